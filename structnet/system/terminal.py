"""Printing untrusted text: control characters and letters the terminal lacks are escaped."""

import sys
from collections.abc import Collection, Sequence
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


def print_rows(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> None:
    """Print a table; columns are aligned to the right but for the numbers in `left`."""
    # Imported here: help is printed without it.
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    # Without padding at the edges: a table is printed in 80 characters where that is enough.
    table = Table(box=SIMPLE_HEAD, collapse_padding=True, pad_edge=False, show_edge=False)
    for number, name in enumerate(head):
        table.add_column(Text(visible(name)), justify="left" if number in left else "right")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console().print(table)
