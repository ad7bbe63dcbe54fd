"""Lines of text files, each with its place for error messages."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structnet as sn

# The most characters of a value that an error message shows.
SHOWN = 100


@dataclass(frozen=True)
class Line:
    """A line of a file, without its line break; `line` counts from 1."""

    path: Path
    line: int
    text: str

    def refuse(self, value: object, expected: str, column: int | None = None) -> ValueError:
        """A ValueError that names the file, the line, the value and what was expected.

        `column` is that of the value, from 1 on: of characters, or of values with tabs between.
        """
        place = f"line {self.line}" + ("" if column is None else f", column {column}")
        return ValueError(f"{self.path}, {place}: {shown(value)}, expected {expected}")


def shown(value: object) -> str:
    """A value as error messages show it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a text file, unpacked if its name ends in .gz, without blank lines at its end.

    Errors are those of `sn.read_text`.
    """
    # Only the line breaks that editors write, no form feeds or Unicode separators.
    text = sn.read_text(path).replace("\r\n", "\n").rstrip(" \t\n")
    lines = text.split("\n") if text else []
    for number, line in enumerate(lines, start=1):
        yield Line(path, number, line)
