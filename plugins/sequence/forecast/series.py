"""Series read from a table in long format: a row per series and time, put on a regular grid.

L: steps of a series, from its first row to its last; T: targets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.forecast.frequency import Frequency, infer, spelled
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import as_number, names_of

# A grid has at most this many steps per row, and this many more: beyond, a time is a mistake.
SPARSEST, FEW = 20, 1000


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Arguments:
        id: of the series' names; None where all rows are of one series.
        order: of times, or numbers.
        target: what is forecast.
        known_future: covariates that are known ahead.
        past: covariates that are known up to now.
        static: covariates that are the same at all times.
    """

    id: str | None
    order: str
    target: Sequence[str]
    known_future: Sequence[str] = ()
    past: Sequence[str] = ()
    static: Sequence[str] = ()

    def check(self, table: Table) -> None:
        """ValueError for a column that is missing, or has two roles."""
        roles = {
            "id": [self.id] * (self.id is not None), "order": [self.order], "target": self.target,
            "known_future": self.known_future, "past": self.past, "static": self.static,
        }  # fmt: skip
        seen: dict[str, str] = {}
        for role, names in roles.items():
            for name in names:
                table.column(name, f"task.{role}")
                if name in seen:
                    raise ValueError(
                        f"column {name!r} is both task.{seen[name]} and task.{role}: leave it out "
                        "of one of them"
                    )
                seen[name] = role


@dataclass(frozen=True, eq=False)
class Series:
    """One series on the grid.

    Arguments:
        name: of the series.
        first: its first time.
        rows: the table's row of each step (L,), -1 where it has none.
        values: the targets (L, T), NaN where missing.
        length: the steps up to the last known target; what follows is known ahead.
        at_ends: whether its times are the ends of months.
    """

    name: str
    first: Any
    rows: NDArray[np.int64]
    values: NDArray[np.float64]
    length: int
    at_ends: bool = False


@dataclass(eq=False)
class Found:
    """The series of a table.

    Arguments:
        table: the table.
        columns: what its columns are.
        frequency: the grid of all series.
        series: the series, in the order of their first rows.
        notes: what was done to the rows, for people.
    """

    table: Table
    columns: Columns
    frequency: Frequency
    series: list[Series]
    notes: list[str] = field(default_factory=list)

    def times(self, one: Series, steps: NDArray[np.int64]) -> NDArray[Any]:
        """The times (n,) of steps of a series."""
        return self.frequency.times(one.first, steps, one.at_ends)


def find_series(
    table: Table,
    columns: Columns,
    frequency: Frequency | None,
    *,
    gaps: Literal["fill", "refuse"] = "fill",
    unordered: Literal["sort", "refuse"] = "sort",
) -> Found:
    """Put the rows of every series in the order of time, on a regular grid.

    ValueError names the rows of a missing or doubled time, one off the grid, and a target that is
    no number.

    Arguments:
        table, columns: the rows, and what they are.
        frequency: of the grid; inferred where None.
        gaps: what becomes of steps without a row: fill, their targets are missing; or refuse.
        unordered: what becomes of rows out of order: sort; or refuse.
    """
    columns.check(table)
    targets = _targets(table, columns.target)
    times = _times(table, columns.order)
    groups = list(_groups(table, columns.id))
    notes = []
    moved = 0
    for at, (name, rows) in enumerate(groups):
        given = times[rows]
        back = np.flatnonzero(given[1:] < given[:-1])
        moved += len(back)
        if len(back) and unordered == "refuse":
            raise _refused_time(
                table, columns, rows[back[0] + 1], f"a time of {_called(name)} after "
                f"{spelled(given[back[0]])}, that of the row before: sort the rows, or take "
                "task.unordered=sort"
            )  # fmt: skip
        order = np.argsort(given, kind="stable")
        groups[at] = name, rows[order]
        _refuse_twice(table, columns, name, times[rows[order]], rows[order])
    if moved:
        notes.append(f"sorted by {columns.order}: rows were out of order at {moved} places")
    grid = frequency or infer(times[rows] for _, rows in groups)
    found = Found(table, columns, grid, [], notes)
    for name, rows in groups:
        found.series.append(_on_grid(table, columns, grid, (name, rows, times[rows]), targets))
    _note_gaps(found, columns, gaps)
    return found


def _targets(table: Table, names: Sequence[str]) -> NDArray[np.float64]:
    """The targets (rows, T); ValueError for one that is no finite number."""
    for name in names:
        column = table.columns[name]
        if not np.issubdtype(column.dtype, np.floating):
            said = names_of(column)
            row = next((at for at, one in enumerate(said) if one and as_number(one) is None), 0)
            raise table.refuse(row, name, said[row], "a number, as in task.target")
        endless = np.flatnonzero(np.isinf(column))
        if len(endless):
            row, expected = int(endless[0]), "a finite number, or nothing for a gap"
            raise table.refuse(row, name, float(column[row]), expected)
    return np.stack([table.columns[name] for name in names], 1)


def _times(table: Table, name: str) -> NDArray[Any]:
    times = table.columns[name]
    expected = "a time such as 2024-01-31 or 2024-01-31T15:00, or a number, as in task.order"
    if times.dtype == object:
        row = next((at for at, one in enumerate(times) if not _is_time(one)), 0)
        raise table.refuse(row, name, times[row], f"{expected}, in all rows")
    missing = np.flatnonzero(np.isnat(times) if times.dtype.kind == "M" else ~np.isfinite(times))
    if len(missing):
        raise table.refuse(int(missing[0]), name, None, expected)
    return times


def _is_time(text: str | None) -> bool:
    try:
        np.datetime64(text or "?")
    except ValueError:
        return False
    return True


def _groups(table: Table, name: str | None) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """The rows of every series, by its name, in the order of first rows."""
    if name is None:
        yield "", np.arange(len(table))
        return
    ids = table.names(name)
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(ids):
        if one is None:
            raise table.refuse(row, name, None, "the name of a series, as in task.id")
        rows.setdefault(one, []).append(row)
    for one, some in rows.items():
        yield one, np.array(some)


def _refuse_twice(
    table: Table, columns: Columns, name: str, times: NDArray[Any], rows: NDArray[np.int64]
) -> None:
    twice = np.flatnonzero(times[1:] == times[:-1])
    if len(twice):
        first, second = rows[twice[0] : twice[0] + 2]
        hint = "" if columns.id else "; of several series, name the column of their names: task.id"
        raise _refused_time(
            table, columns, second, f"a time that {_called(name)} has once, it is also at "
            f"{table.what} {table.lines[first]}: keep one of both rows, or their sum{hint}"
        )  # fmt: skip


def _on_grid(
    table: Table,
    columns: Columns,
    grid: Frequency,
    group: tuple[str, NDArray[np.int64], NDArray[Any]],
    targets: NDArray[np.float64],
) -> Series:
    name, rows, times = group
    if (times.dtype.kind == "M") != (grid.unit != "number"):
        kind = "times" if times.dtype.kind == "M" else "numbers"
        raise ValueError(
            f"{table.path}: column {columns.order!r} has {kind}, whose steps are not those of "
            f"{grid}: set task.frequency to such as {'1d' if kind == 'times' else '1'}"
        )
    places = grid.positions(times)
    off = np.flatnonzero(places != np.round(places))
    if len(off):
        raise _refused_time(
            table, columns, rows[off[0]], f"a whole number of steps of {grid} after "
            f"{spelled(times[0])}, where {_called(name)} begins: set task.frequency to the step of "
            "the series, or round the times"
        )  # fmt: skip
    count = int(places[-1]) + 1
    if count > SPARSEST * len(rows) + FEW:
        at = int(np.diff(places).argmax()) + 1
        raise _refused_time(
            table, columns, rows[at], f"a time nearer to the row before, {spelled(times[at - 1])}: "
            f"{_called(name)} would have {count} steps of {grid} for {len(rows)} rows; correct the "
            "time, or set task.frequency"
        )  # fmt: skip
    filled = np.full(count, -1)
    filled[places.astype(np.int64)] = rows
    values = np.where(filled[:, None] >= 0, targets[filled], np.nan)
    known = np.flatnonzero(np.isfinite(values).any(1))
    length = int(known[-1]) + 1 if len(known) else 0
    return Series(name, times[0], filled, values, length, grid.at_ends(times))


def _note_gaps(found: Found, columns: Columns, gaps: str) -> None:
    """Say how many steps are missing; ValueError for one without a row, if they are refused."""
    steps = sum(one.length for one in found.series)
    empty, missing = 0, 0
    for one in found.series:
        without = np.flatnonzero(one.rows[: one.length] < 0)
        if len(without) and gaps == "refuse":
            after = int(one.rows[without[0] :][one.rows[without[0] :] >= 0][0])
            time = found.times(one, without[:1])[0]
            raise _refused_time(
                found.table, columns, after, f"a row of {_called(one.name)} for {spelled(time)} "
                "before it: add it, or fill gaps as missing with task.gaps=fill"
            )  # fmt: skip
        empty += len(without)
        missing += int(np.isnan(one.values[: one.length]).any(1).sum())
    if missing:
        found.notes.append(
            f"missing: {missing:,} of {steps:,} steps, {empty:,} of them without a row"
        )


def _refused_time(table: Table, columns: Columns, row: Any, expected: str) -> ValueError:
    time = spelled(table.columns[columns.order][row])
    return table.refuse(int(row), columns.order, time, expected)


def _called(name: str) -> str:
    return f"series {name!r}" if name else "the series"
