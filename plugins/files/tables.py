"""Tables in text files: rows of values separated by commas or tabs."""

import csv
from collections.abc import Iterator
from pathlib import Path

import structnet as sn

NAMES = {",": "comma", ";": "semicolon", "|": "bar"}


def read_rows(
    path: Path, *, tabs: bool = False, separator: str = ","
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, each with the number of its first line; blank lines are skipped.

    Values between commas, or another separator, may stand in double quotes, and then hold commas
    and line breaks; between tabs a quote is a sign like any other. ValueError names file and line
    of a row that is not one; other errors are those of `sn.read_text`.
    """
    # Not stripped at the end: the last value of the last row may be empty.
    lines = (f"{line}\n" for line in sn.read_text(path).replace("\r\n", "\n").split("\n"))
    if tabs:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(lines, strict=True, delimiter=separator)
    number = 1
    try:
        for row in rows:
            if len(row) > 1 or "".join(row).strip():
                yield number, row
            number = rows.line_num + 1
    except csv.Error as error:
        between = "tab" if tabs else NAMES.get(separator, "tab")
        raise ValueError(
            f"{path}, line {number}: not a row of {between}-separated values: {error}"
        ) from error
