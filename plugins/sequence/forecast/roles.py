"""Which column of a table is what: what a user names, and what the rest is taken to be."""

from collections.abc import Callable, Sequence

import numpy as np

from structnet.plugins.sequence.forecast.series import Columns
from structnet.plugins.sequence.records.grouping import IDS, ORDERS
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import names_of


def columns_of(table: Table, given: Columns) -> Columns:
    """The columns, of which those that are not named (None, or "") are inferred.

    The order is the only column of times, or one with a name in ORDERS; the target the only column
    of numbers that has no other role; the id a column of names called as in IDS or, where times
    occur twice, the only one. ValueError, with the columns to choose from, where that says nothing.
    """
    used = {given.id, given.order, *given.target, *given.known_future, *given.past, *given.static}
    rest = [name for name in table.columns if name not in used]
    order = given.order or _choose(table, rest, "order", "times", _is_time, ORDERS)
    rest = [name for name in rest if name != order]
    times = table.column(order, "task.order")
    known = times[~np.isnat(times)] if times.dtype.kind == "M" else times
    called = (name for name in rest if name.lower() in IDS and _is_name(table, name))
    one = given.id or next(called, None)
    if one is None and len(set(known.tolist())) < len(known):
        one = _choose(table, rest, "id", "names", _is_name, IDS)
    rest = [name for name in rest if name != one]
    target = given.target or (_choose(table, rest, "target", "numbers", _is_number, ()),)
    return Columns(one, order, target, given.known_future, given.past, given.static)


def described(table: Table, columns: Columns) -> list[list[str]]:
    """A row for every column of a table: name, role, what it holds, and how many are missing."""
    roles = {columns.id: "id", columns.order: "order"}
    roles |= dict.fromkeys(columns.target, "target")
    for role in ("known_future", "past", "static"):
        roles |= dict.fromkeys(getattr(columns, role), role)
    rows = []
    for name, values in table.columns.items():
        missing = sum(one is None for one in names_of(values))
        kind = {"M": "time", "f": "number"}.get(values.dtype.kind, "category")
        rows.append([name, roles.get(name, "not used"), kind, f"{missing:,}" if missing else ""])
    return rows


def _choose(
    table: Table,
    rest: Sequence[str],
    role: str,
    what: str,
    fits: Callable[[Table, str], bool],
    names: Sequence[str],
) -> str:
    """The only fitting column, or the first that has one of the names."""
    fitting = [name for name in rest if fits(table, name)]
    called = [name for name in rest if name.lower() in names]
    if len(fitting) == 1:
        return fitting[0]
    if called:
        return called[0]
    found = f"several columns of {what}, {', '.join(map(repr, fitting))}" if fitting else ""
    every = ", ".join(map(repr, table.columns))
    raise ValueError(
        f"{table.path} has {found or f'no column of {what} among {every}'}: name the one that is "
        f"the {role}, task.{role}=COLUMN"
    )


def _is_time(table: Table, name: str) -> bool:
    return table.columns[name].dtype.kind == "M"


def _is_number(table: Table, name: str) -> bool:
    return table.columns[name].dtype.kind == "f"


def _is_name(table: Table, name: str) -> bool:
    """Whether a column holds texts, other than true and false."""
    column = table.columns[name]
    return column.dtype == object and not {*column.tolist()} <= {"true", "false", None}
