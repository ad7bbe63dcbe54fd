"""Tables in text files: rows of values separated by commas or tabs."""

import csv
from collections.abc import Iterator
from pathlib import Path

from structnet.plugins.files.lines import read_lines


def read_rows(path: Path, *, tabs: bool = False) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, each with the number of its first line; blank lines are skipped.

    Values between commas may stand in double quotes, and then hold commas and line breaks; between
    tabs a quote is a sign like any other. ValueError names file and line of a row that is not one;
    other errors are those of `sn.read_text`.
    """
    lines = (f"{line.text}\n" for line in read_lines(path))
    if tabs:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(lines, strict=True)
    number = 1
    try:
        for row in rows:
            if row:
                yield number, row
            number = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {number}: not a row of {'tab' if tabs else 'comma'}-separated values: "
            f"{error}"
        ) from error
