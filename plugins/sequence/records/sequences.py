"""Rows of a table as sequences, and the gaps between their steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.records.grouping import group_rows
from structnet.plugins.tables.table import Table, join_tables


@dataclass(frozen=True, eq=False)
class Sequences:
    """Sequences of rows.

    Arguments:
        table: the rows, those of a sequence next to each other.
        names: of the sequences.
        ptr: sequence b has the rows `ptr[b]:ptr[b + 1]`.
    """

    table: Table
    names: Sequence[str]
    ptr: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def firsts(self) -> Table:
        """The first row of every sequence."""
        return self.table.take(self.ptr[:-1])

    @property
    def lasts(self) -> NDArray[np.int64]:
        """The index of the last row of every sequence."""
        return self.ptr[1:] - 1

    def rows_of(self, taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask of the rows of some sequences, given theirs."""
        return np.repeat(taken, np.diff(self.ptr))

    def bounds(self) -> Iterator[tuple[int, int]]:
        yield from zip(self.ptr[:-1].tolist(), self.ptr[1:].tolist(), strict=True)

    def rows(self) -> Iterator[range]:
        """The rows of every sequence."""
        yield from (range(start, end) for start, end in self.bounds())

    def some(self, taken: NDArray[np.bool_]) -> "Sequences":
        """Some of the sequences, by mask."""
        names = [name for name, one in zip(self.names, taken.tolist(), strict=True) if one]
        lengths = np.diff(self.ptr)[taken]
        table = self.table.take(self.rows_of(taken))
        return Sequences(table, names, np.concatenate([[0], np.cumsum(lengths)]))

    def first_known(self, column: str) -> NDArray[np.int64]:
        """The row of every sequence that has the first value of a column; the first for none."""
        known = np.array([value is not None for value in self.table.names(column)])
        return np.array([start + int(known[start:end].argmax()) for start, end in self.bounds()])


@dataclass(frozen=True, eq=False)
class Heads:
    """What is known of sequences without their rows.

    Arguments:
        names: (B,).
        lengths: (B,), in steps.
        firsts: the first row of each.
        targets: the first known target of each, as a name.
        ends: (B,), what the last row is ordered by; None without an order.
    """

    names: Sequence[str]
    lengths: NDArray[np.int64]
    firsts: Table
    targets: Sequence[str]
    ends: NDArray[Any] | None

    @classmethod
    def of(cls, sequences: Sequences, target: str, order: str | None) -> "Heads":
        table = sequences.table
        values = table.names(target)
        targets = [str(values[row]) for row in sequences.first_known(target)]
        ends = None if order is None else table.columns[order][sequences.lasts]
        return cls(sequences.names, np.diff(sequences.ptr), sequences.firsts, targets, ends)

    @classmethod
    def joined(cls, path: str, parts: Sequence["Heads"]) -> "Heads":
        ends = [one.ends for one in parts if one.ends is not None]
        return cls(
            [name for one in parts for name in one.names],
            np.concatenate([one.lengths for one in parts]),
            join_tables(path, [one.firsts for one in parts]),
            [target for one in parts for target in one.targets],
            np.concatenate(ends) if ends else None,
        )


def group(table: Table, id_column: str, order: str | None) -> Sequences:
    """The sequences of a table, with the gaps between their steps as a further column.

    Errors are those of `group_rows`.
    """
    ordered, names, ptr = group_rows(table, id_column, order)
    if order is not None:
        ordered.columns[gap_name(order)] = _gaps(ordered.columns[order], ptr)
    return Sequences(ordered, names, ptr)


def join(path: str, parts: Sequence[Sequences]) -> Sequences:
    """Several sequences of sequences, one after the other."""
    table = join_tables(path, [one.table for one in parts])
    names = [name for one in parts for name in one.names]
    lengths = np.concatenate([np.diff(one.ptr) for one in parts])
    return Sequences(table, names, np.concatenate([[0], np.cumsum(lengths)]))


def gap_name(order: str) -> str:
    return f"{order} since the step before"


def _gaps(places: NDArray[Any], ptr: NDArray[np.int64]) -> NDArray[np.float64]:
    """How far a step is from the one before it, 0 for the first; of times in days."""
    if places.dtype.kind == "M":
        places = places.astype(np.float64) / 86_400e6
    gaps = np.diff(places, prepend=places[:1])
    gaps[ptr[:-1]] = 0.0
    return gaps
