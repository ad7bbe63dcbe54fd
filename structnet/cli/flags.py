"""Flags that a command does not have, and what to write instead."""

import re
import shlex
from collections.abc import Sequence

from structnet.cli.commands import Command


def check_flags(command: Command, words: Sequence[str]) -> None:
    """ValueError for a flag that the command does not have, with what to write instead."""
    known = command.flags
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        # A negative number is the value of a flag, which says why it takes none.
        if not word.startswith("-") or flag in known or flag[1:].isdecimal():
            continue
        name = flag.lstrip("-").replace("-", "_")
        after = words[at + 1] if at + 1 < len(words) else ""
        value = value if equals or "=" in after else after
        meant = _instead(command, name, value)
        raise ValueError(
            f"no flag {flag!r} of {command.name}; write {shlex.quote(meant)}"
            if meant
            else f"no flag {flag!r} of {command.name}, which has {', '.join(known)}; "
            f"see structnet help {command.name}"
        )


def _instead(command: Command, name: str, value: str) -> str | None:
    """The argument that does what the flag was probably meant to do, if there is one."""
    if not name.isidentifier():
        return None
    if re.search(rf"\b{name}=", command.help):
        return f"{name}={value or 'VALUE'}"
    if command.name != "train":
        return None
    from structnet.config.composing import find_option

    found = find_option(name)
    return f"{found}={value or ('NAME' if found == name else 'VALUE')}" if found else None
