"""The groups of a configuration: their components and options, and checks of all values."""

from collections.abc import Mapping
from typing import Any

from structnet import registry
from structnet.execute.executor import find
from structnet.execute.features import FEATURES
from structnet.registry.meanings import first_line, meanings
from structnet.registry.option_types import choices, fits, type_name
from structnet.registry.signature import REQUIRED, check_options, known_options
from structnet.registry.suggest import did_you_mean
from structnet.training.options import TrainerOptions

REGISTRIES = {
    "cell": registry.cells,
    "topology": registry.topologies,
    "readout": registry.readouts,
    "head": registry.heads,
    "net": registry.nets,
    "task": registry.tasks,
}
GROUPS = (*REGISTRIES, "trainer")
# Groups of which the task names a component, where the configuration does not.
OPTIONAL = ("readout", "head")
# Groups of files only, in conf/ and in the user's folders.
PRESETS = ("experiment", "debug")
TOP_LEVEL: Mapping[str, Any] = {"seed": int, "run": str | None}
Options = Mapping[str, tuple[Any, Any]]


def groups() -> dict[str, dict[str, Any]]:
    """Group -> component -> its description and its options, for `structnet list`."""
    listed: dict[str, dict[str, Any]] = {
        group: {name: _described(known[name], known.options(name)) for name in known.names()}
        for group, known in REGISTRIES.items()
    }
    listed["trainer"] = {"default": _described(TrainerOptions, options_of("trainer", "default"))}
    return listed


def executors() -> dict[str, Any]:
    """Executor -> its description and what it takes, for `structnet list`."""
    known, listed = registry.executors, {}
    for name in known.names():
        executor = find(name)
        takes = [feature for feature in FEATURES if feature in executor.takes]
        described = _described(known[name], known.options(name))
        listed[name] = {**described, "takes": takes, "needs_gpu": executor.needs_gpu}
    return listed


def options_of(group: str, name: str) -> Options:
    """Option -> (type, default or `REQUIRED`) of a component; KeyError for an unknown component."""
    if group == "trainer":
        return known_options(TrainerOptions, "trainer")
    return REGISTRIES[group].options(name)


def names_of(group: str) -> list[str]:
    return ["default"] if group == "trainer" else REGISTRIES[group].names()


def called(group: str, name: str) -> str:
    """A component in errors: `cell 'lstm'`, or `trainer`, which has no names."""
    return "trainer" if group == "trainer" else f"{group} {name!r}"


def defaults_of(group: str, name: str) -> dict[str, Any]:
    """The configuration of a component: its name, and its options that have defaults."""
    known = {k: one for k, (_, one) in options_of(group, name).items() if one is not REQUIRED}
    # Lists for tuples, as files hold them.
    plain = {k: [*one] if isinstance(one, list | tuple) else one for k, one in known.items()}
    return {"name": name, **plain}


def check(config: Any) -> None:
    """ValueError or KeyError for unknown groups, components and options, and for wrong values."""
    for group in ("task", "topology", "cell", "net", "trainer"):
        if group not in config:
            raise ValueError(f"the configuration has no {group}")
    for key, value in config.items():
        if key in REGISTRIES:
            _check_group(key, value)
        elif key == "trainer":
            _check_trainer(value)
        elif key not in TOP_LEVEL:
            raise ValueError(
                f"no group or option {key!r} {did_you_mean(key, (*GROUPS, *TOP_LEVEL))}"
            )
    seed = config.get("seed")
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to {2**32 - 1}, got {seed!r}")
    if not fits(config.get("run"), TOP_LEVEL["run"]):
        raise ValueError(f"run must be the name of a directory, got {config['run']!r}")


def _described(component: Any, options: Options) -> dict[str, Any]:
    said = meanings(component)
    described = {}
    for name, (kind, default) in options.items():
        one: dict[str, Any] = {"type": type_name(kind)}
        one |= {"required": True} if default is REQUIRED else {"default": default}
        if name in said:
            one["meaning"] = said[name]
        if choices(kind):
            one["choices"] = choices(kind)
        described[name] = one
    return {"doc": first_line(component), "options": described}


def _check_trainer(choice: Any) -> None:
    if not isinstance(choice, dict) or choice.get("name") != "default":
        raise ValueError(f"trainer must hold name=default and its options, got {choice!r}")
    options = {name: value for name, value in choice.items() if name != "name"}
    check_options(TrainerOptions, options, "trainer")
    TrainerOptions(**options)


def _check_group(group: str, choice: Any) -> None:
    known = REGISTRIES[group]
    if not isinstance(choice, dict) or "name" not in choice:
        raise ValueError(f"{group} must hold a component's name and its options, got {choice!r}")
    options = {name: value for name, value in choice.items() if name != "name"}
    for option, (_, default) in known.options(choice["name"]).items():
        if default is REQUIRED and option not in options:
            said = meanings(known[choice["name"]]).get(option, "")
            raise ValueError(
                f"{group}.{option} is required by {called(group, choice['name'])}"
                f"{f' ({said})' if said else ''}: write {group}.{option}=..."
            )
    check_options(known[choice["name"]], options, called(group, choice["name"]))
