"""The words of a call: flags, their values and options."""

import shlex
from collections.abc import Sequence

from structnet.registry.option_types import home
from structnet.registry.plugin import plugin_files
from structnet.system.terminal import visible

# What stands for the value of a word that a command cannot do without.
WANTED = {"run": "DIR", "path": "FILE_OR_FOLDER"}


def take_flag(words: list[str], flag: str) -> bool:
    """Whether the words have a flag; it is taken out."""
    present = flag in words
    words[:] = [word for word in words if word != flag]
    return present


def take_values(words: list[str], flag: str) -> list[str]:
    """The values of `--flag VALUE` and `--flag=VALUE`, which are taken out with it."""
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


def command_line(*words: object) -> str:
    """A call of ours as it is typed, with the plugin files of this one."""
    plugins = [word for file in plugin_files() for word in ("--plugin", file)]
    return visible(shlex.join(["structnet", *map(str, words), *plugins]))


def take_options(
    words: list[str],
    required: Sequence[str],
    optional: Sequence[str] | None = (),
    also: Sequence[str] = (),
) -> dict[str, str]:
    """The values of words of the form key=value, paths with the home folder for `~/`.

    ValueError for any other word, which names those that the command takes `also`; where `optional`
    is None, any key is taken.
    """
    from structnet.registry.signature import did_you_mean

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        known = (*required, *(optional or ()))
        if key in known and not equals:
            raise ValueError(f"{key!r} takes a value: write {key}={WANTED.get(key, 'VALUE')}")
        if not equals or (optional is not None and key not in known):
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*known, *also))}")
        if not value:
            missing = f"{key}=... is missing: " if key in required else ""
            raise ValueError(f"{missing}{key}= takes a value")
        if key in options:
            raise ValueError(f"{key}= is given twice")
        options[key] = home(value)
    for key in required:
        if key not in options:
            raise ValueError(f"{key}=... is missing: write {key}={WANTED[key]}")
    return options


def whole(value: str, name: str, least: int = 1) -> int:
    """A whole number from `least` on; ValueError for anything else."""
    if not (value.isascii() and value.isdigit()) or int(value) < least:
        raise ValueError(f"{name} is a whole number from {least} on, got {value!r}")
    return int(value)
