"""Configurations: signatures and conf/ composed by Hydra into plain data. No other file imports it.

Hydra only composes here. Its launchers, callbacks and job directories, which can name code to run,
are not used, and what is composed is checked against the registries by name.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, make_dataclass
from importlib.util import find_spec
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from structnet import registry
from structnet.config_source import search_path
from structnet.needs import missing, warn_of_others
from structnet.plain import refuse_functions
from structnet.registry import check_options, did_you_mean, read_options
from structnet.run import saved_config
from structnet.train import check_ranges, fit

REGISTRIES = {
    "cell": registry.cells,
    "topology": registry.topologies,
    "readout": registry.readouts,
    "net": registry.nets,
    "task": registry.tasks,
}
GROUPS = (*REGISTRIES, "trainer")
TOP_LEVEL = ("seed", "run")


def groups() -> dict[str, dict[str, Any]]:
    """Group -> component -> its description and its options."""
    listed: dict[str, dict[str, Any]] = {
        group: {
            name: {"doc": kind.doc(name), "options": _described(kind.options(name))}
            for name in kind.names()
        }
        for group, kind in REGISTRIES.items()
    }
    options = read_options(fit, "trainer")
    doc = (fit.__doc__ or "").split("\n")[0]
    listed["trainer"] = {"default": {"doc": doc, "options": _described(options)}}
    return listed


def compose(overrides: Sequence[str], folders: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration as plain data; ValueError or KeyError says what is wrong with a word."""
    _fill_store()
    chosen = _parse(overrides)
    _refuse_odd(chosen)
    search = [search_path(_folder(folder)) for folder in folders]
    extra = [f"hydra.searchpath=[{','.join(search)}]"] if search else []
    with initialize_config_dir(_conf(), version_base="1.3"):
        try:
            config = hydra_compose("config", overrides=[*overrides, *extra])
            refuse_functions(OmegaConf.to_container(config), "the configuration")
            plain = OmegaConf.to_container(config, resolve=True)
        except RecursionError as error:
            raise ValueError("the configuration is nested too deep") from error
        except (HydraException, OmegaConfBaseException, yaml.YAMLError) as error:
            _explain(chosen, folders, extra)
            raise ValueError(str(error).split("\n    full_key")[0]) from error
    if type(plain.get("run")) in (int, float):
        plain["run"] = str(plain["run"])
    # The one part of an experiment that no run keeps.
    _check({key: value for key, value in plain.items() if key != "compare"})
    return plain


def saved(directory: str) -> dict[str, Any]:
    """The configuration of a run, checked like any other; ValueError names the file."""
    config = saved_config(directory)
    try:
        _check(config)
    except (ValueError, KeyError) as error:
        reasons = [f"{directory}/config.yaml: {error}", *missing(directory)]
        raise ValueError("; ".join(reasons)) from error
    warn_of_others(directory)
    return config


def sweep(overrides: Sequence[str]) -> Iterator[list[str]]:
    """Every combination of the words' choices."""
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override()
        else [o.input_line]
        for o in _parse(overrides)
    ]
    return (list(words) for words in itertools.product(*choices))


def override(
    config: Mapping[str, Any], words: Sequence[str], changing: str = "trainer"
) -> dict[str, Any]:
    """A saved configuration with options of one group changed, `group.option=value` each."""
    changed = {k: dict(v) if isinstance(v, Mapping) else v for k, v in config.items()}
    for one in _parse(words):
        group, _, option = one.key_or_group.partition(".")
        if group != changing or not option or one.is_delete():
            example = {"trainer": "trainer.max_epochs=20", "task": "task.root=FOLDER"}[changing]
            raise ValueError(
                f"{one.input_line!r}: a run keeps its components; the {changing}'s options can "
                f"change, as in {example}"
            )
        changed[group][option] = one.value()
    _check(changed)
    return changed


def _conf() -> str:
    spec = find_spec("structnet.conf")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("structnet.conf is missing; install structnet again")
    return str(Path(spec.submodule_search_locations[0]).absolute())


def _folder(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {name} for --config-dir")
    return path


def _fill_store() -> None:
    """Put every registered component's options into Hydra's store, typed as in its signature."""
    store = ConfigStore.instance()
    for group, kind in REGISTRIES.items():
        for name in kind.names():
            store.store(name, _schema(name, kind.options(name)), group=group, provider="structnet")
    trainer = _schema("default", read_options(fit, "trainer"))
    store.store("default", trainer, group="trainer", provider="structnet")


def _schema(name: str, options: Mapping[str, tuple[Any, Any]]) -> Any:
    fields = [(option, kind, field(default=default)) for option, (kind, default) in options.items()]
    return make_dataclass("Options", [("name", str, field(default=name)), *fields])


def _described(options: Mapping[str, tuple[Any, Any]]) -> dict[str, Any]:
    return {
        name: {"type": _type_name(kind), "default": default}
        for name, (kind, default) in options.items()
    }


def _type_name(kind: Any) -> str:
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " or ".join(map(_type_name, get_args(kind)))
    return {type(None): "null"}.get(kind, getattr(kind, "__name__", str(kind)))


def _parse(words: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(words))
    except HydraException as error:
        first = str(error).split("\n")[0]
        raise ValueError(f"{first}; words are GROUP=NAME or GROUP.OPTION=VALUE") from error


def _refuse_odd(overrides: Sequence[Override]) -> None:
    """ValueError for words that Hydra knows and that have no place here."""
    for one in overrides:
        key = one.key_or_group
        if key.split(".")[0].split("/")[0] == "hydra":
            raise ValueError(f"{one.input_line!r}: nothing of Hydra's own is configured here")
        if key in GROUPS and (one.is_delete() or not isinstance(one.value(), str)):
            raise ValueError(
                f"{one.input_line!r}: {key} is the name of one component; see structnet list {key} "
                "(several make a sweep, with -m)"
            )


def _explain(overrides: Sequence[Override], folders: Sequence[str], extra: Sequence[str]) -> None:
    """Raise the error that says which word is wrong, if it is one that we know of."""
    loader = GlobalHydra.instance().config_loader()
    choices = [one for one in overrides if one.key_or_group in (*GROUPS, "experiment", "debug")]
    for one in choices:
        key = one.key_or_group
        if isinstance(one.value(), str):
            names = loader.get_group_options(key)
            names += [file.stem for folder in folders for file in Path(folder, key).glob("*.yaml")]
            if one.value() not in names and key in REGISTRIES:
                raise REGISTRIES[key].unknown(one.value(), names)
            if one.value() not in names:
                raise ValueError(f"no {key} {one.value()!r} {did_you_mean(one.value(), names)}")
    chosen = _names([*(one.input_line for one in choices), *extra])
    for one in overrides:
        group, _, option = one.key_or_group.partition(".")
        if group == "trainer" and option:
            check_options(fit, {option: one.value()}, "trainer")
        elif group in REGISTRIES and option and group in chosen:
            kind = REGISTRIES[group]
            if chosen[group] in kind.names():
                what = f"{group} {chosen[group]!r}"
                check_options(kind[chosen[group]], {option: one.value()}, what)
        elif group not in (*GROUPS, *TOP_LEVEL, "experiment", "debug", "compare"):
            choices = (*GROUPS, *TOP_LEVEL, "experiment", "debug", "resume")
            raise ValueError(f"no group or option {group!r} {did_you_mean(group, choices)}")


def _names(choices: Sequence[str]) -> dict[str, str]:
    """The component of every group, an experiment's among them; none if they don't compose."""
    try:
        config = hydra_compose("config", overrides=list(choices))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError):
        return {}
    return {group: config[group].name for group in REGISTRIES if config.get(group)}


def _check(config: Any) -> None:
    """Only known groups, components and options, all of plain types."""
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
        raise ValueError(f"seed is a whole number from 0 to {2**32 - 1}, got {seed!r}")
    if not isinstance(config.get("run"), str | None):
        raise ValueError(f"run is the name of a directory, got {config['run']!r}")


def _check_trainer(choice: Any) -> None:
    if not isinstance(choice, dict) or choice.get("name") != "default":
        raise ValueError(f"trainer is its options, named 'default', got {choice!r}")
    options = {name: value for name, value in choice.items() if name != "name"}
    check_options(fit, options, "trainer")
    check_ranges(options)


def _check_group(group: str, choice: Any) -> None:
    kind = REGISTRIES[group]
    if not isinstance(choice, dict) or "name" not in choice:
        raise ValueError(f"{group} is a component's name with its options, got {choice!r}")
    options = {name: value for name, value in choice.items() if name != "name"}
    check_options(kind[choice["name"]], options, f"{group} {choice['name']!r}")
