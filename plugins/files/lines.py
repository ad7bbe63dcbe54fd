"""Lines of text files, and where a sample was read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structnet as sn

# An error shows no more of a line.
SHOWN = 100


@dataclass(frozen=True)
class Line:
    """A line of a file, without its end."""

    path: Path
    line: int
    text: str

    def refuse(self, value: object, expected: str) -> ValueError:
        """The error that names the file, the line, what stands there and what was expected."""
        text = repr(value)
        text = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
        return ValueError(f"{self.path}, line {self.line}: {text}, expected {expected}")


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a text file, unpacked if its name ends in .gz, blank ones at its end left out.

    The errors of `sn.read_text`.
    """
    # Of ends of lines only those that editors make: no form feeds or Unicode separators.
    text = sn.read_text(path).replace("\r\n", "\n").rstrip(" \t\n")
    lines = text.split("\n") if text else []
    for number, line in enumerate(lines, start=1):
        yield Line(path, number, line)
