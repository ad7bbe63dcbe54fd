"""Composing configurations with Hydra: components' options, files in conf/ and typed words.

Hydra composes components and files only; words that set an option are read by the option's type.
Hydra's launchers, callbacks and job directories, which can name code to run, are not used. The
result is plain data, checked against the registries.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from structnet import DataWarning
from structnet.config.groups import (
    GROUPS,
    OPTIONAL,
    PRESETS,
    REGISTRIES,
    check,
    defaults_of,
    names_of,
    options_of,
)
from structnet.config.presets import conf
from structnet.config.source import search_path
from structnet.config.typed import (
    Word,
    assign,
    change_comparison,
    elsewhere,
    parse,
    sweep_hint,
)
from structnet.registry.option_types import change_items, fits
from structnet.registry.suggest import did_you_mean
from structnet.run.needs import missing, warn_of_others
from structnet.run.plain import refuse_functions
from structnet.run.run import saved_config
from structnet.run.saved import renamed

REFUSED = (HydraException, OmegaConfBaseException, yaml.YAMLError)


def compose(words: Sequence[str], folders: Sequence[str] = ()) -> dict[str, Any]:
    """The configuration that words compose, as plain data.

    Raises ValueError or KeyError that says what is wrong with a word.

    Arguments:
        words: GROUP=NAME and GROUP.OPTION=VALUE, as typed.
        folders: with the user's own configuration files.
    """
    _fill_store()
    typed = parse(words)
    with initialize_config_dir(conf(), version_base="1.3"):
        chosen = _chosen(typed, folders)
        config = _load(chosen, folders)
        for word in chosen.values():
            if word.key in GROUPS and word.text in names_of(word.key):
                _take(config, word, chosen, folders)
            elif word.text == "null" and word.key in OPTIONAL:
                config.pop(word.key, None)
    _suggest(config, chosen)
    for word in typed:
        if word.group == "compare":
            change_comparison(config, word)
        elif word.key not in chosen:
            assign(config, word)
    plain = _resolved(config)
    try:
        # A run's configuration has no `compare` section.
        check({key: value for key, value in plain.items() if key != "compare"})
    except ValueError as error:
        several = [word for word in typed if "," in word.text and word.text in str(error)]
        raise ValueError(f"{error}{''.join(map(sweep_hint, several))}") from error
    return plain


def saved(directory: str) -> dict[str, Any]:
    """The saved configuration of a run, checked; ValueError names the file."""
    config = saved_config(directory)
    try:
        check(config)
    except (ValueError, KeyError) as error:
        reasons = [f"{directory}/config.yaml: {error}", *missing(directory)]
        raise ValueError("; ".join(reasons)) from error
    warn_of_others(directory)
    return config


def override(
    config: Mapping[str, Any], words: Sequence[str], changing: str = "trainer"
) -> dict[str, Any]:
    """A saved configuration with options of one group changed.

    Arguments:
        config: the configuration of a run.
        words: GROUP.OPTION=VALUE each.
        changing: the group, trainer or task.
    """
    changed = {k: dict(v) if isinstance(v, Mapping) else v for k, v in config.items()}
    for word in parse(words):
        if word.group != changing or not word.option:
            example = {"trainer": "trainer.max_epochs=20", "task": "task.root=FOLDER"}[changing]
            raise ValueError(
                f"{word.line!r}: a run keeps its components; the {changing}'s options can "
                f"change, as in {example}"
            )
        assign(changed, word)
    check(changed)
    return changed


def find_option(name: str) -> str | None:
    """The group, or the option of the default configuration, that a name probably stands for."""
    if name in (*GROUPS, *PRESETS):
        return name
    return elsewhere(compose([]), name)


def _folder(name: str) -> Path:
    path = Path(name).expanduser().absolute()
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {name} for --config-dir")
    return path


def _fill_store() -> None:
    """Add the defaults of every registered component to Hydra's store, where it has others."""
    store = ConfigStore.instance()
    for group in GROUPS:
        for name in names_of(group):
            node = defaults_of(group, name)
            held = store.repo.get(group, {}).get(f"{name}.yaml")
            # By its text, as 1 == True. Storing takes ten times as long as looking.
            if held is None or repr(OmegaConf.to_container(held.node)) != repr(node):
                store.store(name, node, group=group, provider="structnet")


def _chosen(typed: Sequence[Word], folders: Sequence[str]) -> dict[str, Word]:
    """The words that choose a component or a file, by group; ValueError if two choose one."""
    chosen: dict[str, Word] = {}
    for word in typed:
        if word.key in (*GROUPS, *PRESETS):
            _check_name(word, folders)
            first = chosen.setdefault(word.key, word)
            if first is not word:
                raise ValueError(
                    f"{word.key} is chosen twice: {first.line} and {word.line}; leave one"
                )
    return chosen


def _load(chosen: Mapping[str, Word], folders: Sequence[str]) -> dict[str, Any]:
    """The configuration composed by Hydra, before interpolations are resolved."""
    search = ",".join(search_path(_folder(folder)) for folder in folders)
    extra = [f"hydra.searchpath=[{search}]"] if folders else []
    # GROUP=null leaves a group out, which is the default.
    words = [f"{word.key}={_quoted(word.text)}" for word in chosen.values() if word.text != "null"]
    try:
        composed: Any = hydra_compose("config", overrides=[*words, *extra])
        return renamed(dict(OmegaConf.to_container(composed)))  # pyright: ignore
    except REFUSED as error:
        raise ValueError(_one_line(error)) from error


def _check_name(word: Word, folders: Sequence[str]) -> None:
    if word.text == "null" and word.key in (*OPTIONAL, *PRESETS):
        return
    names = names_of(word.key) if word.key in GROUPS else []
    for folder in (Path(conf()), *map(_folder, folders)):
        names = [*names, *(file.stem for file in folder.glob(f"{word.key}/*.yaml"))]
    if word.text in names:
        return
    if "," in word.text:
        raise ValueError(
            f"{word.line!r}: {word.key} is the name of one component; see structnet list {word.key}"
            f"{sweep_hint(word)}"
        )
    if word.key in REGISTRIES:
        raise ValueError(REGISTRIES[word.key].unknown(word.text, names))
    raise ValueError(f"no {word.key} {word.text!r} {did_you_mean(word.text, names)}")


def _take(
    config: dict[str, Any], word: Word, chosen: Mapping[str, Word], folders: Sequence[str]
) -> None:
    """Replace the component of an experiment by one that was typed.

    Options that the experiment sets are kept if the new component has them; others are dropped,
    with a DataWarning.
    """
    group, name = word.key, word.text
    options = options_of(group, name)
    given = {**config[group], "name": name}
    odd = [key for key, value in given.items() if key != "name" and not _takes(options, key, value)]
    if odd:
        others = {key: one for key, one in chosen.items() if key != group}
        before = _load(others, folders).get(group) or {}
        # An option that the experiment's own component lacks as well is a mistake in its file.
        meant = options_of(group, before["name"]) if before.get("name") in names_of(group) else {}
        odd = [key for key in odd if key in meant]
    if odd:
        lost = ", ".join(f"{group}.{key}={given.pop(key)}" for key in sorted(odd))
        what = "do not fit {} and are dropped" if len(odd) > 1 else "does not fit {} and is dropped"
        warnings.warn(f"{lost} of {before['name']} {what.format(word.line)}",
                      DataWarning, stacklevel=3)  # fmt: skip
    config[group] = {**defaults_of(group, name), **given}


def _suggest(config: dict[str, Any], chosen: Mapping[str, Word]) -> None:
    """Set what a task that was typed suggests, but in what was chosen by an experiment or typed."""
    task = config.get("task") or {}
    if "task" not in chosen or "experiment" in chosen or task.get("name") not in names_of("task"):
        return
    suggested = getattr(REGISTRIES["task"][task["name"]], "suggested", {})
    for group, options in suggested.items():
        if group not in chosen:
            config[group] = {**config[group], **options}


def _takes(options: Mapping[str, tuple[Any, Any]], key: str, value: Any) -> bool:
    interpolated = isinstance(value, str) and "${" in value
    return key in options and (interpolated or fits(value, options[key][0]))


def _resolved(config: dict[str, Any]) -> dict[str, Any]:
    """Resolve interpolations, and convert values of files to their options' types."""
    refuse_functions(config, "the configuration")
    try:
        plain: Any = OmegaConf.to_container(OmegaConf.create(config), resolve=True)
    except RecursionError as error:
        raise ValueError("the configuration is nested too deep") from error
    except REFUSED as error:
        raise ValueError(_one_line(error)) from error
    for group in GROUPS:
        choice = plain.get(group)
        if isinstance(choice, dict) and choice.get("name") in names_of(group):
            options = options_of(group, choice["name"])
            for key in choice.keys() & options.keys():
                choice[key] = _as_typed(choice[key], options[key][0])
    return plain


def _as_typed(value: Any, kind: Any) -> Any:
    """A number in a file as its option's type: 2 as 2.0, and 123 as the name "123"."""
    if isinstance(value, list):
        return change_items(value, kind, _as_typed) or value
    if type(value) in (int, float) and not fits(value, kind) and fits(str(value), kind):
        return str(value)
    return float(value) if type(value) is int and fits(0.5, kind) and kind is float else value


def _quoted(text: str) -> str:
    return QuotedString(text, Quote.single).with_quotes()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split("\n    full_key")[0].split())
