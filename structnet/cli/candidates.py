"""What may come next on a command line: commands, flags, components, options, choices and paths.

Components are read from the cache of `structnet.config.listing`. The first call after a change
imports them all to make it. What is offered ends with a space where the word is whole.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from structnet.cli import commands
from structnet.cli.usage import FLAGS, HELP
from structnet.config.listing import components
from structnet.config.presets import conf, presets
from structnet.registry.plugin import PluginError, imported
from structnet.system.cache import folder

GROUPS = ("task", "topology", "cell", "net", "readout", "head", "trainer")
FILES = ("experiment", "debug")
PLURALS = {"topologies": "topology"} | {f"{group}s": group for group in (*GROUPS, "executor",
                                                                        *FILES)}  # fmt: skip
# Commands whose words choose components, and those words of train that are no groups.
CHOOSING = ("train", "bench", "draw", "check")
ALONE = {"seed=": "seed of the weights and of the order of samples", "run=": "directory of the run",
         "resume=": "a run, sweep or search to resume"}  # fmt: skip
RUNS = ("run", "resume")
# Before a value, as the first columns of help have it: `run=DIR`, `task.root=PATH`.
KEY = re.compile(r"(?<![\w.])((?:task\.)?[a-z_]+)=")
COLUMN = re.compile(r"^  (\S.*?)(?:  |$)", re.MULTILINE)
SHELLS = ("bash", "zsh", "fish")


class Candidate(NamedTuple):
    """A word that may come next, whole or in part, and what it means."""

    word: str
    meaning: str = ""


def candidates(words: Sequence[str]) -> list[Candidate]:
    """What the last of the words, which may be empty, can become.

    Arguments:
        words: those after `structnet`.
    """
    *before, last = words or [""]
    return [one for one in _next(before, last) if one.word.startswith(last)]


def _next(before: Sequence[str], last: str) -> Iterator[Candidate]:
    if not before or before == ["help"]:
        found = commands.described().items()
        yield from (Candidate(f"{name} ", about) for name, about in found if name.isprintable())
        if not before:
            yield Candidate("help ", "all arguments of a command")
        return
    command, *given = before
    if given and given[-1] in ("--plugin", "--config-dir"):
        yield from _paths("", last)
    elif last.startswith("-"):
        yield from (Candidate(f"{flag} ") for flag in _command(command)[1])
    elif "=" in last:
        yield from _values(command, given, *last.split("=", 1))
    elif command == "list":
        yield from _listed(given)
    elif command == "completion" and not given:
        yield from (Candidate(f"{shell} ") for shell in SHELLS)
    elif command == "new" and not given:
        yield Candidate("plugin ", "a package of a cell and a topology")
    elif command == "train":
        yield from _words_of_training(given, last)
    else:
        columns = "\n".join(COLUMN.findall(_command(command)[0]))
        yield from (Candidate(f"{key}=") for key in dict.fromkeys(KEY.findall(columns)))
        if command == "runs":
            yield from _paths("", last)


def _command(name: str) -> tuple[str, Collection[str]]:
    """The help and the flags of a command; nothing of one that is not known, or fails."""
    if name in HELP:
        return HELP[name], FLAGS[name]
    try:
        found = commands.find(name)
    except PluginError:
        return "", ()
    return ("", ()) if found is None else (found.help, found.flags)


def _listed(given: Sequence[str]) -> Iterator[Candidate]:
    if not given:
        yield from (Candidate(f"{group} ") for group in (*GROUPS, "executor", *FILES))
    elif len(given) == 1:
        group = PLURALS.get(given[0], given[0])
        yield from (Candidate(f"{name} ", doc) for name, doc in _names(group).items())


def _words_of_training(given: Sequence[str], last: str) -> Iterator[Candidate]:
    if "." not in last:
        yield from (Candidate(f"{group}=") for group in (*GROUPS, *FILES))
        yield from (Candidate(f"{group}.", "options") for group in GROUPS)
        yield from (Candidate(word, meaning) for word, meaning in ALONE.items())
        return
    group = last.split(".", 1)[0]
    for option, spec in _options(group, given).items():
        yield Candidate(f"{group}.{option}=", spec.get("meaning", ""))


def _values(command: str, given: Sequence[str], key: str, typed: str) -> Iterator[Candidate]:
    # Of values for a sweep the last one is completed.
    done, comma, _ = typed.rpartition(",")
    begun = f"{key}={done}{comma}"
    group, _, option = key.partition(".")
    if key in RUNS:
        yield from _runs(f"{key}=", typed)
    elif command in CHOOSING and key in (*GROUPS, "executor", *FILES):
        yield from (Candidate(f"{begun}{name}", doc) for name, doc in _names(key).items())
    elif option:
        spec = _options(group, given).get(option, {})
        said = [*_choices(spec)]
        yield from (Candidate(begun + one) for one in said)
        if "str" in spec.get("type", "str"):
            yield from _paths(f"{key}=", typed)
    else:
        yield from _paths(f"{key}=", typed)


def _choices(spec: Mapping[str, Any]) -> Iterator[str]:
    for one in spec.get("choices", ()):
        if one is not None:
            yield str(one)
    if re.search(r"\bbool\b", spec.get("type", "")):
        yield from ("true", "false")
    if re.search(r"\bnull\b", spec.get("type", "")):
        yield "null"


def _names(group: str) -> dict[str, str]:
    """Name -> description of a group's components and files."""
    known = {name: about["doc"] for name, about in _known().get(group, {}).items()}
    return known | (presets(group) if group in (*GROUPS, *FILES) else {})


def _options(group: str, given: Sequence[str]) -> Mapping[str, Any]:
    """The options of a component: the one typed, of the run or experiment, or default."""
    chosen = [word.partition("=")[2] for word in given if word.startswith(f"{group}=")]
    set_by = _of_run(group, given) or _of_experiment(group, given)
    name = chosen[-1] if chosen else set_by or _defaults().get(group, "default")
    return _known().get(group, {}).get(name, {}).get("options", {})


def _known() -> Mapping[str, Any]:
    """What the cache has; nothing where nothing is kept, as a key should not import torch."""
    return components() if folder() is not None or imported() else {}


def _of_run(group: str, given: Sequence[str]) -> str | None:
    """The component of a run that was typed."""
    for word in given:
        if word.startswith("run="):
            try:
                path = Path(word.removeprefix("run=")).expanduser() / "config.json"
                if not path.is_file():
                    return None
                name = json.loads(path.read_bytes())["config"][group]["name"]
                return name if isinstance(name, str) else None
            except (OSError, ValueError, KeyError, TypeError, RuntimeError):
                return None
    return None


def _of_experiment(group: str, given: Sequence[str]) -> str | None:
    """The component that a typed experiment chooses, from the folder that was named last."""
    named = [word.partition("=")[2] for word in given if word.startswith("experiment=")]
    folders = [after for flag, after in pairwise(given) if flag == "--config-dir"]
    for place in [*reversed(folders), conf()] if named else ():
        path = Path(place).expanduser() / "experiment" / f"{named[-1]}.yaml"
        try:
            text = path.read_text() if path.is_file() else ""
        except (OSError, ValueError, RuntimeError):
            continue
        if chosen := re.findall(rf"^ +- override /{group}: (\w+)", text, re.MULTILINE):
            return chosen[-1]
    return None


def _defaults() -> dict[str, str]:
    """The components of conf/config.yaml by group."""
    found = re.findall(r"^  - (\w+): (\w+)$", Path(conf(), "config.yaml").read_text(), re.MULTILINE)
    return dict(found)


def _runs(begun: str, typed: str) -> Iterator[Candidate]:
    """Directories of runs, and folders that may have some."""
    found = {path: path for path in _matching(typed) if path.is_dir()}
    if not typed:
        found |= {path: path for path in _matching("runs/") if path.is_dir()}
    for path in sorted(found):
        is_run = (path / "config.yaml").is_file()
        yield Candidate(f"{begun}{_spelled(path, typed)}{' ' if is_run else '/'}")


def _paths(begun: str, typed: str) -> Iterator[Candidate]:
    for path in sorted(_matching(typed)):
        yield Candidate(f"{begun}{_spelled(path, typed)}{'/' if path.is_dir() else ' '}")


def _matching(typed: str) -> list[Path]:
    """The files and folders that begin as a path that is typed; hidden ones where it says so."""
    above, _, name = typed.rpartition("/")
    root = Path(f"{above}/" if above or typed.startswith("/") else ".")
    try:
        every = list(root.expanduser().iterdir())
    # RuntimeError for ~NAME of no user.
    except (OSError, RuntimeError):
        return []
    hidden = name.startswith(".")
    return [
        p for p in every
        if p.name.startswith(name) and p.name.startswith(".") == hidden and p.name.isprintable()
    ]  # fmt: skip


def _spelled(path: Path, typed: str) -> str:
    """A path as it was begun, with ~ where that was typed."""
    above, slash, _ = typed.rpartition("/")
    return f"{above}{slash}{path.name}" if slash else str(path)
