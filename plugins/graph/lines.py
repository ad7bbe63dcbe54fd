"""Lines of text files, and where a sample was read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from structnet.plugins.grid.files import read_bytes

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
    """The lines of a text file, unpacked if its name ends in .gz.

    FileNotFoundError if there is none; ValueError, naming it, if it is damaged or no UTF-8.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    try:
        # Spreadsheets begin a file with a mark that is no part of its first word.
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8: {error}") from error
    # Of ends of lines only those that editors make: no form feeds or Unicode separators.
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    for number, line in enumerate(lines, start=1):
        yield Line(path, number, line)
