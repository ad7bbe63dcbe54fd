"""Printing untrusted text: control characters and letters the terminal lacks are escaped."""

import sys
from io import TextIOWrapper
from typing import Any

# No table is as wide.
UNBOUNDED = 10_000


def visible(text: str) -> str:
    r"""Text on one line, of what can be printed: others are escaped, as \x1b and \n are.

    A terminal obeys control characters, marks of writing direction show a text in another order,
    and a line break in a file's name forges a line of ours.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def visible_lines(text: str) -> str:
    """The same of a message of several lines, all but the first one indented."""
    return "\n  ".join(map(visible, text.split("\n")))


def counted(number: int, one: str, several: str = "") -> str:
    """A number of things in words: 1 epoch, 2 epochs."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def show_all_letters() -> None:
    """Print characters that stdout's or stderr's encoding lacks as escapes, not as errors."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console() -> Any:
    """rich's console of stdout, where tables are as wide as they need to be if it is no terminal.

    rich cuts them to 80 columns there, which nobody has.
    """
    # Imported here: help is printed without it.
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else UNBOUNDED)
