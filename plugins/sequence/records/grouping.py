"""Rows of a table as sequences: which rows they are, in their order."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import typed

# What columns are often called, in small letters.
IDS = (
    "id", "sequence", "sequence_id", "series", "series_id", "unique_id", "item_id", "session",
    "session_id", "user", "user_id", "patient", "patient_id", "group_id", "item", "name",
)  # fmt: skip
ORDERS = (
    "time", "timestamp", "date", "datetime", "t", "ds", "step", "order", "position", "index",
    "period",
)  # fmt: skip


# What is to be done about a sequence in two splits.
ONE_SPLIT = "a sequence is in one split, and in one group; name another column, or mend the row"


def named(table: Table, given: str | None, known: Sequence[str], option: str) -> str | None:
    """The column that is given, or the first that is called as such columns are; None for none."""
    if given is not None:
        table.column(given, option)
        return given
    by_name = {name.lower(): name for name in reversed(table.columns)}
    return next((by_name[name] for name in known if name in by_name), None)


def required(table: Table, given: str | None, known: Sequence[str], option: str) -> str:
    """The same; ValueError where there is none."""
    found = named(table, given, known, option)
    if found is None:
        raise ValueError(
            f"{table.path}: {option} is missing, and no column is called {', '.join(known[:4])} or "
            f"the like: set it to one of {', '.join(map(repr, table.columns))}"
        )
    return found


def group_rows(
    table: Table, id_column: str, order: str | None
) -> tuple[Table, list[str], NDArray[np.int64]]:
    """The table with the rows of a sequence next to each other and in order, names, and bounds.

    Sequences are in the order of their first rows; sequence b has the rows `ptr[b]:ptr[b + 1]`.
    ValueError, which names the rows, for a missing name or place, and for one that occurs twice.
    """
    names = table.names(id_column)
    missing = [row for row, name in enumerate(names) if name is None]
    if missing:
        raise table.refuse(missing[0], id_column, None, "the name of a sequence (task.id)")
    first: dict[str, int] = {}
    index = np.array([first.setdefault(name, len(first)) for name in names], np.int64)
    keys = [index] if order is None else [_places(table, order), index]
    rows = np.lexsort(keys)
    if order is not None:
        _refuse_twice(table, rows, index, keys[0], order)
    ptr = np.concatenate([[0], np.cumsum(np.bincount(index, minlength=len(first)))])
    return table.take(rows), list(first), ptr


def is_sorted(table: Table, id_column: str, order: str) -> bool:
    """Whether the rows of every sequence are in order already."""
    places, names = _places(table, order), table.names(id_column)
    last: dict[Any, Any] = {}
    for name, place in zip(names, places, strict=True):
        if name in last and place < last[name]:
            return False
        last[name] = place
    return True


def constant_columns(table: Table, ptr: NDArray[np.int64], names: Sequence[str]) -> list[str]:
    """The columns that have one value in all rows of every sequence."""
    if len(table) == len(ptr) - 1:
        return []
    starts = np.repeat(ptr[:-1], np.diff(ptr))
    found = []
    for name in names:
        values = table.names(name)
        if all(one == other for one, other in zip(values, values[starts], strict=True)):
            found.append(name)
    return found


def refuse_change(
    table: Table, sequences: Iterable[Iterable[int]], names: Sequence[str], remedy: str
) -> None:
    """ValueError, which names the row, for a column with several values in a sequence.

    Arguments:
        table: has the columns.
        sequences: the rows of each.
        names: of the columns.
        remedy: what to do about it.
    """
    every = [list(rows) for rows in sequences]
    for name in names:
        values = table.names(name)
        for rows in every:
            known = [row for row in rows if values[row] is not None]
            for row in known[1:]:
                if values[row] != values[known[0]]:
                    raise table.refuse(
                        row, name, values[row],
                        f"{values[known[0]]!r}, as in the first row of its sequence: {remedy}",
                    )  # fmt: skip


def _places(table: Table, order: str) -> NDArray[Any]:
    """What rows are ordered by; ValueError for rows without a place, or with names."""
    values = table.columns[order]
    if values.dtype == object:
        # The first value that is neither, where only some are.
        odd = (row for row, one in enumerate(values) if one and typed([one])[0].dtype == object)
        row = next(odd, 0)
        raise table.refuse(
            row, order, values[row],
            "a number or a time such as 2024-05-01T13:00, by which steps are ordered (task.order)",
        )  # fmt: skip
    gone = np.isnat(values) if values.dtype.kind == "M" else np.isnan(values)
    if gone.any():
        raise table.refuse(int(gone.argmax()), order, None, "the place of a step (task.order): "
                           "fill it in, or leave the row out")  # fmt: skip
    return values


def _refuse_twice(
    table: Table, rows: NDArray[Any], index: NDArray[Any], places: NDArray[Any], order: str
) -> None:
    same = (index[rows][1:] == index[rows][:-1]) & (places[rows][1:] == places[rows][:-1])
    if same.any():
        at = int(same.argmax())
        before, after = rows[at], rows[at + 1]
        raise table.refuse(
            int(after), order, table.names(order)[after],
            f"each place once in a sequence, and {table.place(int(before))} has it too; remove one "
            "of them, or set another task.id or task.order",
        )  # fmt: skip
