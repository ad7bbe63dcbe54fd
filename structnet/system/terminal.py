"""Printing to the terminal: untrusted text is escaped."""

import os
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import TextIOWrapper
from typing import Any

# Wider than any table.
UNBOUNDED = 10_000


def visible(text: str) -> str:
    r"""The text in one line, with unprintable characters escaped, as \x1b and \n.

    Otherwise control characters would act on the terminal, marks of writing direction reorder the
    text, and a line break in a file's name forge a line of output.
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def visible_lines(text: str) -> str:
    """The same for each line of a message, with all but the first indented."""
    return "\n  ".join(map(visible, text.split("\n")))


def visible_text(text: str) -> str:
    """A text of several lines with line breaks and tabs as they are, and all else as `visible`."""
    return "".join(one if one in "\n\t" else visible(one) for one in text)


def counted(number: int, one: str, several: str = "") -> str:
    """A number with its noun: 1 epoch, 2 epochs."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


@contextmanager
def silence() -> Iterator[None]:
    """Discard what is printed to stdout."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        yield


def show_all_letters() -> None:
    """Escape characters that the encoding of stdout or stderr lacks, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def console() -> Any:
    """A console of rich on stdout; if that is not a terminal, tables are not cut to 80 columns."""
    # Imported here, as help does not need it.
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else UNBOUNDED)


def print_rows(
    head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int] = (0,)
) -> None:
    """Print a table; columns are aligned to the right but for the numbers in `left`."""
    # Imported here, as help does not need it.
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
