"""The kinds of columns: which one a column is of, and its numbers."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import as_number, names_of

Kind = Literal["number", "category", "text", "time"]
# A column of texts has more words than this in a value on average, and more values than the most
# that a category has for every ten rows.
WORDS = 1.5
# A column of names of which this share are numbers is taken for numbers with mistakes.
ALMOST = 0.8
# What is expected in a column of numbers.
NUMBER = "a number; mend it, or leave it empty if missing"
# Days are counted from here, in microseconds of numpy.
DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


def kind_of(table: Table, name: str) -> Kind:
    """The kind of a column by its values."""
    values = table.columns[name]
    if values.dtype != object:
        return "time" if values.dtype.kind == "M" else "number"
    known = [one for one in values if one is not None]
    words = sum(len(one.split()) for one in known) / max(1, len(known))
    return "text" if words > WORDS and len(set(known)) > len(known) / 10 else "category"


def refuse_mistakes(table: Table, training: Table, name: str) -> None:
    """ValueError, which names the row, for a column of numbers with mistakes among them.

    Arguments:
        table: all rows, in any of which a mistake may stand.
        training: those that are trained on: a column is of numbers where most are in either.
        name: of the column.
    """
    values = table.columns[name]
    if values.dtype != object:
        return
    other = next((at for at, one in enumerate(values) if one and as_number(one) is None), None)
    for some in (table, training):
        known = [as_number(one) for one in some.columns[name] if one is not None]
        numbers = len(known) - known.count(None)
        if other is not None and known and numbers >= ALMOST * len(known):
            raise table.refuse(
                other, name, values[other],
                f"a number as in {numbers:,} of {len(known):,} values; mend it, leave it empty, or "
                f"set task.categories=[{name}]",
            )  # fmt: skip


def numbers_of(table: Table, name: str, kind: str) -> NDArray[np.float64]:
    """The numbers of a column, or its times in days; ValueError names what is none."""
    values = table.columns[name]
    if kind == "time":
        if values.dtype.kind != "M":
            row = _first(values)
            if names_of(values)[row] is not None:
                expected = "a time as in training, such as 2024-05-01 or 2024-05-01T13:00"
                raise table.refuse(row, name, values[row], expected)
            return np.full(len(values), np.nan)
        days = values.astype("datetime64[us]").astype(np.float64) / DAY
        return np.where(np.isnat(values), np.nan, days)
    if values.dtype == object:
        found = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if value is not None:
                number = as_number(value)
                if number is None:
                    raise table.refuse(row, name, value, NUMBER)
                found[row] = number
        values = found
    if values.dtype.kind == "M":
        raise table.refuse(_first(values), name, str(values[_first(values)]), NUMBER)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise table.refuse(row, name, values[row], "a finite number; leave it empty if missing")
    return values


def _first(values: NDArray[Any]) -> int:
    """The first row with a value."""
    return next((row for row, one in enumerate(names_of(values)) if one is not None), 0)
