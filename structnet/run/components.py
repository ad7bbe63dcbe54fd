"""Components as a configuration names them, created with its options."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from structnet import registry
from structnet.data.task import Task
from structnet.nn.head import JointHead
from structnet.registry.signature import count_wired
from structnet.topology.base import Topology

Config = Mapping[str, Any]


def create(known: registry.Registry, choice: Config, *wired: Any) -> Any:
    """Create the component that a configuration names, with its options.

    Arguments:
        known: the registry.
        choice: the component's `name` and its options.
        wired: the positional arguments that the component is created with.
    """
    return component(known, choice)(*wired)


def component(known: registry.Registry, choice: Config) -> Callable[..., Any]:
    """A function that creates the component from its positional arguments."""
    options = {name: value for name, value in choice.items() if name != "name"}
    return partial(known.create, choice["name"], **options)


def check_chosen(config: Config, task: Task, topology: Topology) -> None:
    """ValueError for a readout that does not fit the task, and a head that does not fit the net."""
    _check_readout(config, task, topology)
    _check_head(config)


def _check_readout(config: Config, task: Task, topology: Topology) -> None:
    """ValueError for a readout that scores every node where the task has one target per sample."""
    choice = config.get("readout")
    if choice is None or task.scores_nodes(topology):
        return
    per_sample = [name for name in registry.readouts.names() if not _per_node(name)]
    if _per_node(choice["name"]):
        raise ValueError(
            f"readout {choice['name']!r} gives every node a score, task "
            f"{config['task']['name']!r} has one target per sample; choose among {per_sample}"
        )


def _check_head(config: Config) -> None:
    """ValueError for a head that is chosen for a net that makes its own."""
    net = registry.nets[config["net"]["name"]]
    if config.get("head") is not None and count_wired(net, "") == 4:
        others = [name for name in registry.nets.names() if _takes_head(name)]
        raise ValueError(
            f"net {config['net']['name']!r} makes its own head: leave out head="
            f"{config['head']['name']}, or take a net of {others}"
        )


def is_joint(head: Config | None) -> bool:
    """Whether a head is chosen that scores the nodes of a sample together."""
    made: Any = None if head is None else registry.heads[head["name"]]
    return isinstance(made, type) and issubclass(made, JointHead)


def check_joint(config: Config, task: Task, topology: Topology) -> None:
    """ValueError for a head that scores nodes together where they have no class each."""
    readout = (config.get("readout") or {"name": task.readout(topology)})["name"]
    others = task.predicts_numbers or task.apart
    fits = task.scores_nodes(topology) and _per_node(readout) and not others
    if is_joint(config.get("head")) and not fits:
        raise ValueError(
            f"head {config['head']['name']!r} scores the classes of a sample's nodes together, and "
            f"task {config['task']['name']!r} with readout {readout!r} has not one class per node: "
            "take head=softmax, or readout=every and a task that has"
        )


def _takes_head(net: str) -> bool:
    return count_wired(registry.nets[net], "") != 4


def _per_node(readout: str) -> bool:
    return getattr(registry.readouts[readout], "per_node", False)
