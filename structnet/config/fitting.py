"""The topology chosen for a task when none is named."""

from collections.abc import Sequence

from structnet import registry
from structnet.config.composing import compose
from structnet.data.task import Task
from structnet.registry.signature import REQUIRED
from structnet.run.components import create
from structnet.topology.base import Topology


def fitting_words(words: Sequence[str], folders: Sequence[str] = ()) -> list[str]:
    """A word `topology=NAME` that fits the task, if one is needed.

    None is needed if a word names a topology, or if the task has structures for the default one or
    for that of an experiment.
    """
    if any(word.partition("=")[0] == "topology" for word in words):
        return []
    config = compose(words, folders)
    if "compare" in config:
        return []
    task = create(registry.tasks, config["task"])
    fitting = fitting_topology(task)
    if registry.topologies[config["topology"]["name"]].takes in task.structures or fitting is None:
        return []
    return [f"topology={fitting}"]


def fitting_topology(task: Task) -> str | None:
    """The topology with the fewest directions for the first kind of structure that a task has.

    One of one's own is taken where none of ours fits: a plugin changes no default.
    """
    for kind in task.structures:
        made = {
            name: registry.topologies.create(name)
            for name in registry.topologies.names()
            if registry.topologies[name].takes == kind
            and all(
                default is not REQUIRED for _, default in registry.topologies.options(name).values()
            )
        }
        fitting = [
            (not type(one).__module__.startswith("structnet."), len(one.directions), name)
            for name, one in made.items()
            if _takes(task, one)
        ]
        if fitting:
            return min(fitting)[2]
    return None


def _takes(task: Task, topology: Topology) -> bool:
    try:
        task.check(topology)
    except ValueError:
        return False
    return True
