"""Tables: rows with named columns, each with its place."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.lines import shown
from structnet.plugins.tables.values import names_of, typed


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with named columns.

    Arguments:
        path: where the rows come from, for messages.
        columns: float64, NaN where missing; datetime64[us], NaT where missing; or objects, str and
            None. All are of one length.
        lines: the line of each row in its file, or its number, from 1 on.
        what: what `lines` count: line, or row.
        files: the path of each row, where the rows come from several files.
        texts: how the values of some columns of numbers or times are spelled, str and None: a code
            250.00 keeps its noughts, whatever else stands in its column.
        ignored: the columns that were left out.
    """

    path: str
    columns: dict[str, NDArray[Any]]
    lines: NDArray[np.int64]
    what: str = "line"
    files: Sequence[str] = field(default=())
    texts: dict[str, NDArray[Any]] = field(default_factory=dict)
    ignored: Collection[str] = field(default=())

    def __len__(self) -> int:
        return len(self.lines)

    def file(self, row: int) -> str:
        """The path that a row comes from."""
        return self.files[row] if len(self.files) else self.path

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"{self.file(row)}, {self.what} {self.lines[row]}"

    def refuse(self, row: int, column: str, value: Any, expected: str) -> ValueError:
        """A ValueError that names place, column, value and what was expected."""
        return ValueError(
            f"{self.place(row)}, column {column!r}: "
            f"{'no value' if value is None else shown(value)}, expected {expected}"
        )

    def column(self, name: str, option: str | None = None) -> NDArray[Any]:
        """A column; ValueError with those that there are, and the option that named it, if any."""
        if name in self.columns:
            return self.columns[name]
        if option and name in self.ignored:
            raise ValueError(f"{option} names {name!r}, which task.ignore leaves out: take it out "
                             "of one of them")  # fmt: skip
        there = ", ".join(map(repr, self.columns))
        instead = f", or set {option} to one of these before training" if option else ""
        raise ValueError(f"{self.path} has no column {name!r}, but {there}; add it{instead}")

    def refuse_unknown(self, named: Mapping[str, Sequence[str]]) -> None:
        """ValueError for a column that is named by an option, and is not there.

        Arguments:
            named: option -> the columns that it names.
        """
        for option, names in named.items():
            for name in names:
                if name not in self.ignored:
                    self.column(name, option)

    def names(self, column: str, option: str | None = None) -> NDArray[Any]:
        """The values of a column as they are spelled: str, None where missing.

        With the option that named the column, ValueError is that of `column`.
        """
        values = self.column(column, option)
        return self.texts[column] if column in self.texts else names_of(values)

    def read(self, column: str, values: Sequence[Any]) -> None:
        """Take over a column of values as they are written."""
        self.columns[column], texts = typed(values)
        if texts is not None:
            self.texts[column] = texts

    def take(self, rows: NDArray[Any]) -> "Table":
        """Some of the rows, by index or mask."""
        files = np.asarray(self.files, object)[rows].tolist() if len(self.files) else ()
        columns = {name: values[rows] for name, values in self.columns.items()}
        texts = {name: values[rows] for name, values in self.texts.items()}
        return Table(self.path, columns, self.lines[rows], self.what, files, texts)

    def without(self, names: Sequence[str]) -> "Table":
        columns = {name: values for name, values in self.columns.items() if name not in names}
        return Table(self.path, columns, self.lines, self.what, self.files, self.texts)


def table_of(
    records: Sequence[Mapping[str, Any]],
    path: str,
    lines: Sequence[int],
    ignore: Collection[str] = (),
) -> Table:
    """The table of objects as JSON holds them, whose values are plain.

    ValueError names the place and the key of a value that is not: a list or an object.
    """
    names = [name for name in dict.fromkeys(key for one in records for key in one)
             if name not in ignore]  # fmt: skip
    left_out = {key for one in records for key in one}.intersection(ignore)
    table = Table(path, {}, np.asarray(lines, np.int64), ignored=left_out)
    for name in names:
        values = [one.get(name) for one in records]
        for row, value in enumerate(values):
            if not isinstance(value, bool | int | float | str | None):
                raise table.refuse(row, name, value, "a number, a text, true, false or null")
        table.read(name, values)
    return table


def join_tables(folder: str, tables: Sequence[Table]) -> Table:
    """The rows of several tables with the same columns."""
    first = tables[0]
    for other in tables[1:]:
        if set(other.columns) != set(first.columns):
            differ = sorted(set(other.columns) ^ set(first.columns))
            raise ValueError(
                f"{other.path} and {first.path} have not the same columns: {differ} are in one of "
                "them; leave them out with task.ignore, or make the files alike"
            )
    columns = {name: _stacked(tables, name) for name in first.columns}
    spelled = {name for one in tables for name in one.texts if columns[name].dtype != object}
    texts = {name: np.concatenate([one.names(name) for one in tables]) for name in spelled}
    lines = np.concatenate([one.lines for one in tables])
    files = [file for one in tables for file in (one.files or [one.path] * len(one))]
    return Table(folder, columns, lines, first.what, files, texts, first.ignored)


def _stacked(tables: Sequence[Table], name: str) -> NDArray[Any]:
    """A column of several tables: as names where it is not of one type."""
    parts = [one.columns[name] for one in tables]
    if len({part.dtype.kind for part in parts}) > 1:
        parts = [one.names(name) for one in tables]
    return np.concatenate(parts)


def refuse_large(path: Path, size: int) -> None:
    """ValueError for a table that would take more than the machine's memory."""
    if size > sn.total_memory():
        raise ValueError(
            f"{path} would take about {sn.as_bytes(size)}, more than this machine's memory of "
            f"{sn.as_bytes(sn.total_memory())}: split it into a folder of files with task.lazy=true"
        )
