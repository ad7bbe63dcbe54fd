"""The words of a command line: flags, their values and options."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from structnet.registry.option_types import home
from structnet.registry.plugin import plugin_files
from structnet.system.terminal import visible

# Placeholders for the values of required words.
WANTED = {
    "run": "DIR",
    "path": "FILE_OR_FOLDER",
    "to": "OWNER/NAME",
    "from": "OWNER/NAME[@REVISION]",
    "out": "FOLDER",
}


def take_flag(words: list[str], flag: str) -> bool:
    """Remove a flag from the words; whether it was there."""
    present = flag in words
    words[:] = [word for word in words if word != flag]
    return present


def take_values(words: list[str], flag: str) -> list[str]:
    """Remove `--flag VALUE` and `--flag=VALUE` from the words and return the values."""
    values = []
    given = [word for word in words if word == flag or word.startswith(f"{flag}=")]
    for word in given:
        at = words.index(word)
        _, equals, value = words.pop(at).partition("=")
        if not equals and at < len(words):
            value = words.pop(at)
        if not value:
            raise ValueError(f"{flag} takes a value")
        values.append(value)
    return values


def take_repeated(words: list[str], key: str) -> list[str]:
    """Remove all words of the form key=value and return the values, which may be empty."""
    given = [word for word in words if word.startswith(f"{key}=")]
    words[:] = [word for word in words if word not in given]
    return [word.removeprefix(f"{key}=") for word in given]


def command_line(*words: object) -> str:
    """A structnet command as one would type it, with the plugin files of this process."""
    plugins = [word for file in plugin_files() for word in ("--plugin", file)]
    return visible(shlex.join(["structnet", *map(str, words), *plugins]))


def take_options(
    words: list[str],
    required: Sequence[str],
    optional: Sequence[str] | None = (),
    also: Sequence[str] = (),
) -> dict[str, str]:
    """The values of words of the form key=value, with `~/` expanded.

    ValueError for any other word or key, for one that is given twice and for one that is missing.

    Arguments:
        words: the words.
        required, optional: the keys; `optional` None allows any.
        also: further words that the command takes, for the message.
    """
    from structnet.registry.suggest import did_you_mean

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        known = (*required, *(optional or ()))
        if key in known and not equals:
            raise ValueError(f"{key!r} takes a value: write {key}={WANTED.get(key, 'VALUE')}")
        if not equals or (optional is not None and key not in known):
            kind = None if equals else _kind(word)
            meant = f"; write {kind}={word}" if kind in known else ""
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*known, *also))}{meant}")
        if not value:
            missing = f"{key}=... is missing: " if key in required else ""
            raise ValueError(f"{missing}{key}= takes a value")
        if key in options:
            raise ValueError(f"{key}= is given twice")
        options[key] = home(value)
    for key in required:
        if key not in options:
            raise ValueError(f"{key}=... is missing: write {key}={WANTED.get(key, 'VALUE')}")
    return options


def _kind(word: str) -> str | None:
    """What a bare word may be meant as: the directory of a run, or a path; None for neither."""
    place = Path(home(word))
    if (place / "config.yaml").is_file():
        return "run"
    return "path" if place.exists() else None


def whole(value: str, name: str, least: int = 1) -> int:
    """A text as a whole number; ValueError if it is none, or less than `least`.

    >>> sn.whole("12", "top")
    12
    """
    if not (value.isascii() and value.isdigit()) or int(value) < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}")
    return int(value)
