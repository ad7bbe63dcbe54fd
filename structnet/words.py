"""The words of a call: flags, their values and options."""

import shlex
from collections.abc import Sequence

from structnet.plugin import plugin_files


def take_flag(words: list[str], flag: str) -> bool:
    """Whether the words have a flag; it is taken out."""
    present = flag in words
    words[:] = [word for word in words if word != flag]
    return present


def take_values(words: list[str], flag: str) -> list[str]:
    """The values of `--flag VALUE`, which are taken out with it."""
    values = []
    while flag in words:
        at = words.index(flag)
        if at + 1 == len(words):
            raise ValueError(f"{flag} takes a value")
        values.append(words[at + 1])
        del words[at : at + 2]
    return values


def refuse_flags(words: list[str]) -> None:
    """ValueError for a flag that is still there."""
    for word in words:
        if word.startswith("-"):
            raise ValueError(f"no flag {word!r}; see structnet --help")


def command_line(*words: object) -> str:
    """A call of ours as it is typed, with the plugin files of this one."""
    plugins = [word for file in plugin_files() for word in ("--plugin", file)]
    return shlex.join(["structnet", *map(str, words), *plugins])


def take_options(
    words: list[str], required: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, str]:
    """The values of words of the form key=value; ValueError for any other word."""
    from structnet.registry import did_you_mean

    options = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in (*required, *optional) or not equals:
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*required, *optional))}")
        options[key] = value
    for key in required:
        if not options.get(key):
            raise ValueError(f"{key}=... is missing; see structnet --help")
    return options


def whole(value: str, name: str, least: int = 1) -> int:
    """A whole number from `least` on; ValueError for anything else."""
    if not (value.isascii() and value.isdigit()) or int(value) < least:
        raise ValueError(f"{name} is a whole number from {least} on, got {value!r}")
    return int(value)
