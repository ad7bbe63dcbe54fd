"""From a table to windows: what is read, what is learned of it, and how it is split."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.forecast.covariates import Covariates
from structnet.plugins.sequence.forecast.frequency import HARMONICS, Frequency, spelled
from structnet.plugins.sequence.forecast.roles import columns_of, described
from structnet.plugins.sequence.forecast.scaling import Scale, Way, scale_of
from structnet.plugins.sequence.forecast.series import Columns, Found, find_series
from structnet.plugins.sequence.forecast.windows import (
    Layout,
    Place,
    Windows,
    input_size,
    prepare,
    split_origins,
)
from structnet.plugins.tables.reading import read_table
from structnet.plugins.tables.table import Table

ROLES = ("known_future", "past", "static")
# The longest context that is chosen.
LONGEST = 512
# The names that a message has.
NAMED = 3
Splits = dict[str, Windows]


@dataclass(frozen=True, eq=False)
class Learned:
    """What training learns of the data and the net needs again.

    Arguments:
        columns: what the columns are.
        frequency: of the grid.
        layout: how windows are cut.
        covariates: by their role.
        scales: of every series that was trained on, by its name.
    """

    columns: Columns
    frequency: Frequency
    layout: Layout
    covariates: Mapping[str, Covariates]
    scales: Mapping[str, Scale]

    def plain(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {
            "columns": {name: list(value) if isinstance(value, tuple) else value
                        for name, value in asdict(self.columns).items()},
            "frequency": asdict(self.frequency),
            "layout": {**asdict(self.layout), "cycles": list(self.layout.cycles)},
            "covariates": {role: one.plain() for role, one in self.covariates.items()},
            "scales": {name: [part.tolist() for part in one] for name, one in self.scales.items()},
        }  # fmt: skip

    @classmethod
    def of(cls, plain: Any) -> "Learned":
        """ValueError for what is not as `plain` gives it."""
        try:
            columns: Any = {name: tuple(value) if isinstance(value, list) else value
                       for name, value in plain["columns"].items()}  # fmt: skip
            layout = {**plain["layout"], "cycles": tuple(plain["layout"]["cycles"])}
            return cls(
                Columns(**columns),
                Frequency(**plain["frequency"]),
                Layout(**layout),
                {role: Covariates.of(one) for role, one in plain["covariates"].items()},
                {name: Scale(*(np.array(part, np.float64) for part in one))
                 for name, one in plain["scales"].items()},
            )  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"what the task has learned is not that of task forecast: {error!r}"
            ) from error

    @property
    def input_size(self) -> int:
        waves = 2 * HARMONICS * len(self.layout.cycles)
        return input_size(len(self.columns.target), self.covariates, waves)


@dataclass(frozen=True)
class Data:
    """How a table is read and split: options of `Forecast`, and whether targets are counts."""

    columns: Columns
    ignore: tuple[str, ...]
    frequency: str | None
    season: int | None
    context: int | None
    horizon: int
    calendar: bool
    gaps: Literal["fill", "refuse"]
    unordered: Literal["sort", "refuse"]
    way: Way
    by_window: bool
    stride: int
    origins: int
    origin_step: int
    counts: bool

    def read(self, source: Any) -> Table:
        """The table of a path or a frame."""
        return read_table(source, self.ignore)

    def load(self, table: Table, known: Learned | None) -> tuple[Learned, Splits, list[str]]:
        """What is learned, or was known; the windows of each split; and notes for people.

        ValueError where no series is long enough to train on.
        """
        if known is None:
            table.refuse_unknown({"task.ignore": self.ignore})
        columns = columns_of(table, self.columns) if known is None else known.columns
        found = self._find(table, columns, known)
        layout = self._layout(found.frequency) if known is None else known.layout
        cut = [
            split_origins(one.length, layout, self.origins, self.origin_step, self.stride)
            for one in found.series
        ]
        self._check_length(found, layout, cut)
        if known is None:
            known = self._learn(found, columns, layout)
        scales = self._scales(found, known, [self._end(one.length) for one in found.series])
        prepared = prepare(found, columns, known.covariates, layout, scales)
        splits = {
            split: Windows(found, prepared, layout, _known_places(found, layout, cut, split))
            for split in ("train", "validation", "test")
        }
        return known, splits, self._notes(found, cut)

    def ahead(self, table: Table, known: Learned) -> Windows:
        """The windows after the last known value of every series.

        ValueError for columns that are missing, and for a series without rows of what is known
        ahead.
        """
        found = self._find(table, known.columns, known)
        scales = self._scales(found, known, [one.length for one in found.series])
        prepared = prepare(found, known.columns, known.covariates, known.layout, scales)
        for one in found.series:
            if not one.length:
                raise ValueError(
                    f"{table.path}: series {one.name!r} has no known value of "
                    f"{', '.join(known.columns.target)}, from which to go on"
                )
            given = one.rows[one.length : one.length + self.horizon]
            if known.columns.known_future and (given >= 0).sum() < self.horizon:
                step = one.length + int((np.pad(given, (0, self.horizon - len(given)),
                                         constant_values=-1) < 0).argmax())  # fmt: skip
                time = found.times(one, np.array([step]))[0]
                raise ValueError(
                    f"{table.path}: series {one.name!r} has no row for {spelled(time)}: of the "
                    f"{self.horizon} steps after its last target "
                    f"{', '.join(known.columns.known_future)} are known ahead; add rows with them "
                    "whose target is empty"
                )
        places = [Place(at, one.length) for at, one in enumerate(found.series)]
        return Windows(found, prepared, known.layout, places)

    def rolling(self, table: Table, known: Learned, origins: int) -> Windows:
        """The last windows of every series whose targets are known, `origin_step` apart.

        A series that was not trained on is scaled by what lies before the first of them.
        """
        found = self._find(table, known.columns, known)
        cut = [
            split_origins(one.length, known.layout, origins, self.origin_step, 1)
            for one in found.series
        ]
        places = _known_places(found, known.layout, cut, "test")
        if not places:
            raise ValueError(
                f"{table.path}: no series has more than {self.horizon} steps, of which the last "
                f"{self.horizon} are forecast: take a longer file, or leave out origins="
            )
        first = {place.series: place.origin for place in reversed(places)}
        ends = [first.get(at, one.length) for at, one in enumerate(found.series)]
        scales = self._scales(found, known, ends)
        prepared = prepare(found, known.columns, known.covariates, known.layout, scales)
        return Windows(found, prepared, known.layout, places)

    def show(self, table: Table, known: Learned, splits: Splits, notes: Sequence[str]) -> None:
        """Print what the columns are taken to be, and how the series are read."""
        rows = described(table, known.columns)
        sn.print_rows(["column", "role", "kind", "missing"], rows, left=(0, 1, 2))
        lengths = [one.length for one in splits["test"].found.series]
        layout = known.layout
        print(
            f"series: {len(lengths):,} of {min(lengths):,} to {max(lengths):,} steps of "
            f"{known.frequency}; season {layout.season}, context {layout.context}, horizon "
            f"{layout.horizon}; calendar: {', '.join(layout.cycles) or 'none'}"
        )
        for note in notes:
            print(note)

    def _find(self, table: Table, columns: Columns, known: Learned | None) -> Found:
        given = Frequency.of(self.frequency) if self.frequency else None
        frequency = given if known is None else known.frequency
        found = find_series(table, columns, frequency, gaps=self.gaps, unordered=self.unordered)
        if self.counts:
            _refuse_no_counts(table, columns.target)
        return found

    def _layout(self, frequency: Frequency) -> Layout:
        season = self.season or frequency.season
        chosen = min(LONGEST, 2 * max(season, self.horizon))
        cycles = tuple(frequency.calendar()) if self.calendar else ()
        return Layout(
            self.context or chosen, self.horizon, season, self.way, self.by_window, cycles
        )

    def _learn(self, found: Found, columns: Columns, layout: Layout) -> Learned:
        """Learn from the rows of the training part alone."""
        rows = np.zeros(len(found.table), bool)
        for one in found.series:
            part = one.rows[: self._end(one.length)]
            rows[part[part >= 0]] = True
        covariates = {
            role: Covariates.learn(found.table, rows, getattr(columns, role), role)
            for role in ROLES
        }
        scales = {
            one.name: scale_of(one.values[: self._end(one.length)], layout.way, layout.season)
            for one in found.series
        }
        return Learned(columns, found.frequency, layout, covariates, scales)

    def _scales(self, found: Found, known: Learned, ends: Sequence[int]) -> list[Scale]:
        """The scales of series, of those that were not trained on by their steps before `ends`."""
        return [
            known.scales[one.name] if one.name in known.scales
            else scale_of(one.values[:end], known.layout.way, known.layout.season)
            for one, end in zip(found.series, ends, strict=True)
        ]  # fmt: skip

    def _end(self, length: int) -> int:
        """The steps of a series that are the training part, at least one."""
        span = (self.origins - 1) * self.origin_step + self.horizon
        return max(1, length - 2 * span)

    def _check_length(self, found: Found, layout: Layout, cut: Sequence[Any]) -> None:
        longest = max((one.length for one in found.series), default=0)
        if not longest:
            raise ValueError(
                f"{found.table.path}: no row has a value to forecast: see task.target, and that "
                "its values are there"
            )
        for split in ("train", "validation", "test"):
            if not any(one[split] for one in cut):
                span = (self.origins - 1) * self.origin_step + layout.horizon
                raise ValueError(
                    f"{found.table.path}: the longest series has {longest} steps, which are too "
                    f"few to train on: {span} are tested, as many before them validate, and at "
                    f"least {layout.horizon + 1} are left to train on; set task.horizon or "
                    "task.origins to less"
                )

    def _notes(self, found: Found, cut: Sequence[Any]) -> list[str]:
        notes = list(found.notes)
        for split in ("train", "test"):
            short = [one.name for one, of in zip(found.series, cut, strict=True) if not of[split]]
            if short:
                named = ", ".join(map(repr, short[:NAMED])) + ", ..." * (len(short) > NAMED)
                notes.append(f"too short to {split}: {len(short):,} series ({named})")
        return notes


def _known_places(found: Found, layout: Layout, cut: Sequence[Any], split: str) -> list[Place]:
    """The windows of a split that read a known value and have one to forecast."""
    places = []
    for at, (one, of) in enumerate(zip(found.series, cut, strict=True)):
        known: Any = np.isfinite(one.values).any(1)
        for origin in of[split]:
            read = known[max(0, origin - layout.context) : origin]
            if read.any() and known[origin : origin + layout.horizon].any():
                places.append(Place(at, origin))
    return places


def _refuse_no_counts(table: Table, names: Sequence[str]) -> None:
    for name in names:
        values: NDArray[np.float64] = table.columns[name]
        wrong = np.isfinite(values) & ((values < 0) | (values != np.round(values)))
        if wrong.any():
            row = int(wrong.argmax())
            raise table.refuse(
                row, name, float(values[row]),
                "a count, a whole number from 0 on, as task.goal=negative_binomial needs: take "
                "task.goal=normal or mixture",
            )  # fmt: skip
