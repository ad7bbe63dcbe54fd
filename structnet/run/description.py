"""What a net is built again from, as plain data: the contents of DIR/config.json."""

from pathlib import Path
from typing import Any

from structnet.data.task import Task
from structnet.run.needs import needed
from structnet.run.saved import plain_config

# What a configuration has of every run.
GROUPS = ("task", "topology", "cell", "net", "trainer")


def describe(run: Any) -> dict[str, Any]:
    """A run's configuration, and what its task learned; the same of a run that is part of its net.

    Arguments:
        run: a run whose task has been loaded.
    """
    task = run.task
    learned = {name: getattr(task, name) for name in task.learned}
    # Classes set in `load` are saved without being listed in `learned`.
    if classes := learned_classes(task):
        learned["classes"] = classes
    found = {
        **listed(run),
        "config": dict(run.config),
        "plugins": needed(run.config),
        "vocabulary": None if task.vocabulary is None else task.vocabulary.counts,
        "learned": learned,
    }
    if run.embedded is not None:
        inner = describe(run.embedded)
        more = [one for one in inner["plugins"] if one not in found["plugins"]]
        found |= {"plugins": [*found["plugins"], *more], "embedded": inner}
    return found


def listed(run: Any) -> dict[str, Any]:
    """What a list of runs shows of a run and its configuration does not tell."""
    return {"monitor": run.task.monitor, "parts": run.parts}


def learned_classes(task: Task) -> list[str]:
    """The classes that `load` or an option has set on the task; none if they are its class's."""
    return list(map(str, vars(task).get("classes") or ()))


def embedded_config(described: Any, file: Path) -> dict[str, Any]:
    """The configuration of a run that is part of another's net.

    ValueError, which names the file, for anything else.

    Arguments:
        described: what `describe` gave for that run.
        file: holds it.
    """
    config = described.get("config") if isinstance(described, dict) else None
    if not isinstance(config, dict) or not all(
        isinstance(config.get(group), dict) and "name" in config[group] for group in GROUPS
    ):
        raise ValueError(
            f"{file} does not describe the run of net.embeddings, whose net is part of this one: "
            "get it from a copy, or start the run again"
        )
    return plain_config(config, file)
