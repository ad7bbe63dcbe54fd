"""Words on the command line, GROUP=NAME and GROUP.OPTION=VALUE, read by the option's type.

A name or a path is read literally, with the home folder for `~/`.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from structnet.config.groups import (
    GROUPS,
    PRESETS,
    REGISTRIES,
    TOP_LEVEL,
    called,
    names_of,
    options_of,
)
from structnet.registry.option_types import fits, is_text, read, takes_lists, type_name
from structnet.registry.signature import check_value
from structnet.registry.suggest import close_to, did_you_mean
from structnet.run.saved import RENAMED

FORM = "GROUP=NAME or GROUP.OPTION=VALUE"
# Names of options in other libraries -> ours.
KNOWN_AS = {
    "lr": "learning_rate",
    "early_stopping": "patience",
    "early_stop": "patience",
    "epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "n_epochs": "max_epochs",
    "steps": "max_steps",
    "max_time": "limit_minutes",
    "batch": "batch_size",
    "bs": "batch_size",
    "workers": "num_workers",
    "wd": "weight_decay",
    "l2": "weight_decay",
    "opt": "optimizer",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "gradient_clip_val": "clip_norm",
    "grad_clip": "clip_norm",
    "max_norm": "clip_norm",
    "limit_train_batches": "limit_batches",
    "device": "accelerator",
    "devices": "accelerator",
    "gpu": "accelerator",
    "gpus": "accelerator",
    "amp": "precision",
    "fp16": "precision",
    "bf16": "precision",
    "hidden": "hidden_size",
    "hidden_dim": "hidden_size",
    "layers": "num_layers",
    "n_layers": "num_layers",
    "embedding_dim": "embedding_size",
    "embed_dim": "embedding_size",
    "proj_size": "projection_size",
    "dir": "root",
    "path": "root",
    "folder": "root",
}
GROUP_KNOWN_AS = {
    "dataset": "task",
    "data": "task",
    "model": "net",
    "network": "net",
    "rnn": "cell",
}


class Word(NamedTuple):
    """A word `line`, as typed, split at = into `key` and `text`."""

    line: str
    key: str
    text: str

    @property
    def group(self) -> str:
        return self.key.partition(".")[0]

    @property
    def option(self) -> str:
        return self.key.partition(".")[2]


def parse(words: Sequence[str]) -> list[Word]:
    """Split words at =; ValueError for one without =, and for Hydra's own syntax."""
    return [_parse(word) for word in words]


def _parse(line: str) -> Word:
    key, equals, text = line.partition("=")
    key = RENAMED.get(key.lstrip("+"), key)
    word = Word(line, key.lstrip("+"), text)
    if key.replace("/", ".").replace("@", ".").lstrip("+~").split(".")[0] == "hydra":
        raise ValueError(f"{line!r}: Hydra itself can't be configured here")
    if key.startswith("~compare."):
        return Word(line, key[1:], "")
    if key.startswith("~"):
        removed = word.key.lstrip("~")
        if "." in removed:
            raise ValueError(f"{line!r}: an option can't be removed; write {removed}=VALUE")
        raise ValueError(
            f"{line!r}: {removed} is one component and can't be removed; write {removed}=NAME"
        )
    if not equals:
        raise ValueError(f"{line!r}: arguments are {FORM}{_hint(line)}")
    if word.key in (*GROUPS, *PRESETS, "run") and not text:
        names = "the directory of a run" if key == "run" else f"a name; see structnet list {key}"
        raise ValueError(f"{line!r}: {key}= takes {names}")
    return word


def _hint(line: str) -> str:
    if line == "help":
        return "; see structnet help train"
    if line in (*GROUPS, *PRESETS):
        return f"; write {line}=NAME, see structnet list {line}"
    for group in REGISTRIES:
        if line in names_of(group):
            return f"; write {group}={line}"
    group, _, option = line.partition(".")
    known = {option for name in names_of(group) for option in options_of(group, name)} if (
        group in GROUPS
    ) else ()  # fmt: skip
    if option in known or line in TOP_LEVEL:
        return f"; write {line}=VALUE"
    return "; a value with spaces stands in quotes, as in 'task.id=Visit No'"


def assign(config: dict[str, Any], word: Word) -> None:
    """Set the option that a word names, in a configuration whose components are chosen.

    ValueError says what is wrong with the word and what to type.
    """
    if word.key in TOP_LEVEL:
        # run=null is a directory named null: there is no run without one.
        kind = str if word.key == "run" else TOP_LEVEL[word.key]
        config[word.key] = _value(word, kind)
        return
    if word.group not in GROUPS or not word.option:
        raise ValueError(_nowhere(config, word))
    group, option = word.group, word.option
    if not config.get(group):
        raise ValueError(f"{word.line!r}: no {group} is chosen; write {group}=NAME as well")
    name = config[group]["name"]
    what = called(group, name)
    if option == "name":
        choices = names_of(group)
        if word.text not in choices:
            raise ValueError(f"no {group} {word.text!r} {did_you_mean(word.text, choices)}")
        raise ValueError(f"{word.line!r}: write {group}={word.text}")
    options = options_of(group, name)
    if option not in options:
        raise ValueError(_unknown(config, word, options, what))
    kind = options[option][0]
    value = _value(word, kind)
    if "${" not in word.text:
        _check(word, value, kind, what)
    config[group][option] = value


def change_comparison(config: dict[str, Any], word: Word) -> None:
    """Set a part of the section `compare`, merge a mapping into it, or remove it with `~`."""
    if "compare" not in config:
        raise ValueError(
            f"{word.line!r}: this is no comparison; choose an experiment that is one, "
            "such as experiment=cell_comparison"
        )
    *above, last = word.key.split(".")
    section: Any = config
    for name in above:
        section = section.get(name) if isinstance(section, dict) else None
    removed = word.line.startswith("~")
    if not isinstance(section, dict) or (removed and last not in section):
        raise ValueError(f"{word.line!r}: there is no {word.key} to change")
    if removed:
        del section[last]
        return
    try:
        section[last] = _merged(section.get(last), yaml.safe_load(word.text))
    except yaml.YAMLError as error:
        raise ValueError(
            f"{word.line!r}: {word.key} takes YAML, as in 'compare.seeds=[0,1]'"
        ) from error


def _merged(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}


def _value(word: Word, kind: Any) -> Any:
    if not word.text and fits("", kind) and fits(None, kind):
        # An unset shell variable, as in task.root=$DATA, must not choose the default folder.
        raise ValueError(f"{word.line!r}: {word.key}= takes a value, or null for none")
    # An interpolation is resolved once all words are read.
    return word.text if "${" in word.text else read(word.text, kind)


def _check(word: Word, value: Any, kind: Any, what: str) -> None:
    try:
        check_value(value, kind, word.option, what, type_name)
    except ValueError as error:
        raise ValueError(f"{error}{_list_hint(word, kind) or sweep_hint(word)}") from error


def _list_hint(word: Word, kind: Any) -> str:
    """The end of an error about a list without brackets: how to write it; empty for other types."""
    if not takes_lists(kind) or word.text.startswith("["):
        return ""
    return f": a list stands in brackets, '{word.key}=[{word.text}]'"


def sweep_hint(word: Word) -> str:
    """The end of an error about a value with a comma: how to write a sweep."""
    if "," not in word.text or word.text.startswith("["):
        return ""
    return f"; several values make a sweep, with -m: -m {word.line}"


def _unknown(config: Mapping[str, Any], word: Word, options: Collection[str], what: str) -> str:
    option = word.option
    meant = KNOWN_AS.get(option.casefold())
    if meant not in options:
        meant = close_to(option, options)
    if not meant and (found := elsewhere(config, option)):
        return f"no option {option!r} of {what}; write {found}={word.text}"
    hint = f"; did you mean {meant!r}?" if meant else ""
    return f"no option {option!r} of {what} among {sorted(options)}{hint}"


def _nowhere(config: Mapping[str, Any], word: Word) -> str:
    """The error for a word whose key is not a group."""
    if found := elsewhere(config, word.key):
        return f"no group or option {word.key!r}; write {found}={word.text}"
    choices = (*GROUPS, *TOP_LEVEL, *PRESETS, "resume")
    of = [group for group in REGISTRIES if word.group in names_of(group)]
    if of and word.option:
        return (
            f"no group {word.group!r}; write {of[0]}={word.group} {of[0]}.{word.option}={word.text}"
        )
    if not word.option and word.key in GROUP_KNOWN_AS:
        return f"no group {word.key!r}; write {GROUP_KNOWN_AS[word.key]}={word.text}"
    if word.group in GROUPS:
        return f"{word.line!r}: arguments are {FORM}"
    return f"no group or option {word.group!r} {did_you_mean(word.group, choices)}"


def elsewhere(config: Mapping[str, Any], option: str) -> str | None:
    """`GROUP.OPTION` for the chosen component that has an option of this name."""
    for name in (option, KNOWN_AS.get(option.casefold())):
        for group in ("net", "cell", "topology", "readout", "head", "task", "trainer"):
            choice = config.get(group)
            if choice and name in options_of(group, choice["name"]):
                return f"{group}.{name}"
    return option if option in TOP_LEVEL else None


def takes_text(key: str) -> bool:
    """Whether values of the key are text, in which Hydra's grammar does not apply."""
    return any(map(is_text, kinds_of(key)))


def kinds_of(key: str) -> list[Any]:
    """The types of the options that a key may name; none for a group, or an unknown key."""
    if key in TOP_LEVEL:
        return [TOP_LEVEL[key]]
    group, _, option = key.partition(".")
    if group not in GROUPS or not option:
        return []
    known = [options_of(group, name) for name in names_of(group)]
    return [options[option][0] for options in known if option in options]
