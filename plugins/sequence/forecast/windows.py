"""Windows of series as samples of a net: a node per step of the context, and per step ahead.

The net reads the context, and then goes on over the steps ahead, whose nodes have all that is known
of them but the target; what it says there is scored. So each step ahead sees its own covariates,
every topology over sequences and every cell forecast as they are, and all steps are said at once.

c: steps of a context; H: of the horizon; T: targets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.forecast.covariates import Covariates
from structnet.plugins.sequence.forecast.frequency import calendar_features, spelled
from structnet.plugins.sequence.forecast.scaling import Scale, Way, scale_of
from structnet.plugins.sequence.forecast.series import Columns, Found, Series
from structnet.plugins.sequence.records.grouping import refuse_change
from structnet.plugins.tables.values import names_of

Origins = dict[str, list[int]]


@dataclass(frozen=True)
class Layout:
    """How windows are cut and scaled.

    Arguments:
        context: the most steps that are read.
        horizon: the steps that are forecast.
        season: the steps of a season, whose last value is a feature of every node.
        way: how values are scaled.
        by_window: whether by the context of each window; else by the training part of its series.
        cycles: the cycles of the calendar.
    """

    context: int
    horizon: int
    season: int
    way: Way = "standard"
    by_window: bool = False
    cycles: tuple[str, ...] = ()


class Place(NamedTuple):
    """A window: the number of its series, and the first step that is forecast."""

    series: int
    origin: int


@dataclass(frozen=True, eq=False)
class Prepared:
    """A series with its features.

    Arguments:
        series: the series.
        scale: of its training part, or of what lies before its windows where it was not trained on.
        values: its targets, 0 where missing, and whether they are known (L + 1, 2 T); the last row
            stands for a step before the first.
        ahead: the features (L + H, F) that are known ahead: calendar and covariates.
        past: those of the steps up to now (L, P).
        static: those of the series (S,).
    """

    series: Series
    scale: Scale
    values: NDArray[np.float64]
    ahead: NDArray[np.float32]
    past: NDArray[np.float32]
    static: NDArray[np.float32]


def split_origins(length: int, layout: Layout, origins: int, step: int, stride: int) -> Origins:
    """The first step forecast by each window of a series of a given length, by split.

    The last `origins` windows are tested, `step` apart, as many before them validate, and training
    has what lies before these, every `stride` steps; no step is forecast in two splits.
    """
    span = (origins - 1) * step + layout.horizon
    last = [length - layout.horizon - back * step for back in reversed(range(origins))]
    end = length - 2 * span - layout.horizon
    first = max(1, min(layout.context, end))
    return {
        "train": list(range(end, first - 1, -stride))[::-1],
        "validation": [one - span for one in last if one - span >= 1],
        "test": [one for one in last if one >= 1],
    }


def prepare(
    found: Found,
    columns: Columns,
    learned: Mapping[str, Covariates],
    layout: Layout,
    scales: Sequence[Scale],
) -> list[Prepared]:
    """The series with their features; ValueError for a static covariate that changes in one."""
    encoded = {role: one.encode(found.table) for role, one in learned.items() if role != "past"}
    encoded["past"] = _encode_past(found, learned["past"])
    filled = (one.rows[one.rows >= 0].tolist() for one in found.series)
    refuse_change(
        found.table, filled, columns.static,
        "name a column that changes in task.past, or in task.known_future, not in task.static",
    )  # fmt: skip
    prepared = []
    for one, scale in zip(found.series, scales, strict=True):
        steps = len(one.rows) + layout.horizon
        rows = np.pad(one.rows, (0, layout.horizon), constant_values=-1)
        parts = [_at_rows(encoded["known_future"], rows)]
        if layout.cycles:
            times = found.times(one, np.arange(steps))
            parts.append(calendar_features(times, layout.cycles))
        present = one.rows[one.rows >= 0]
        static = encoded["static"][_fullest(found, columns.static, present)]
        past = _at_rows(encoded["past"], one.rows)
        known = np.isfinite(one.values)
        values = np.concatenate([np.where(known, one.values, 0.0), known], 1)
        values = np.pad(values, ((0, 1), (0, 0)))
        prepared.append(Prepared(one, scale, values, np.concatenate(parts, 1), past, static))
    return prepared


def _encode_past(found: Found, learned: Covariates) -> NDArray[np.float32]:
    """The features of what is known up to now, zeros at the rows of times to come."""
    features = np.zeros((len(found.table), learned.size), np.float32)
    read = np.concatenate([one.rows[: one.length] for one in found.series])
    read = read[read >= 0]
    if len(read) and learned.size:
        features[read] = learned.encode(found.table.take(read))
    return features


def _at_rows(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """The features of steps, zeros where they have no row."""
    return np.where(rows[:, None] >= 0, features[rows], np.float32(0))


def _fullest(found: Found, names: Sequence[str], rows: NDArray[np.int64]) -> int:
    """The first of the rows with the most values of some columns."""
    columns = (names_of(found.table.columns[name][rows]) for name in names)
    known = [[one is not None for one in column] for column in columns]
    return int(rows[np.sum(known, 0).argmax()]) if known else int(rows[0])


class Windows(Sequence[sn.Sample]):
    """Samples that are made when they are asked for.

    Arguments:
        found: the series, for the places of their rows.
        prepared: the series with their features.
        layout: how windows are cut.
        places: the windows.
    """

    def __init__(
        self, found: Found, prepared: Sequence[Prepared], layout: Layout, places: Sequence[Place]
    ):
        self.found, self.prepared, self.layout = found, prepared, layout
        self.places = list(places)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Windows(self.found, self.prepared, self.layout, self.places[index])
        place = self.places[index]
        one, horizon = self.prepared[place.series], self.layout.horizon
        scale = self.scale(place)
        steps = np.arange(max(0, place.origin - self.layout.context), place.origin + horizon)
        x = self._features(one, steps, place.origin, scale)
        # In float32 numbers such as 1,700,000,000 would be 128 apart.
        y = np.empty((len(x), len(scale.centre), 4), np.float64)
        y[..., 0], y[..., 1], y[..., 2], y[..., 3] = np.nan, *scale
        y[len(x) - horizon :, :, 0] = self.targets(place)
        return sn.Sample(len(x), x, y, origin=Window(self, place))

    def scale(self, place: Place) -> Scale:
        """The scale of a window."""
        one = self.prepared[place.series]
        if not self.layout.by_window:
            return one.scale
        context = one.series.values[max(0, place.origin - self.layout.context) : place.origin]
        if not np.isfinite(context).any(0).all():
            return one.scale
        return scale_of(context, self.layout.way, self.layout.season)._replace(
            naive=one.scale.naive
        )

    def targets(self, place: Place) -> NDArray[np.float64]:
        """What is to be forecast (H, T), NaN where it is not known."""
        values = self.prepared[place.series].series.values
        found = np.full((self.layout.horizon, values.shape[1]), np.nan)
        after = values[place.origin : place.origin + self.layout.horizon]
        found[: len(after)] = after
        return found

    def times(self, place: Place) -> NDArray[Any]:
        """The times (H,) that are forecast."""
        steps = np.arange(place.origin, place.origin + self.layout.horizon)
        return self.found.times(self.prepared[place.series].series, steps)

    def _features(
        self, one: Prepared, steps: NDArray[np.int64], origin: int, scale: Scale
    ) -> NDArray[np.float32]:
        """The features (c + H, F): values, those a season before, covariates, how far ahead."""
        targets, read = len(scale.centre), int(origin - steps[0])
        ahead = np.maximum(steps - origin + 1, 0)
        x = np.zeros((len(steps), self.input_size), np.float32)
        _scale_into(x[:read, : 2 * targets], one.values[steps[:read]], scale)
        before = one.values[self._season_before(steps, ahead)]
        _scale_into(x[:, 2 * targets : 4 * targets], before, scale)
        at = 4 * targets
        for end, part in ((read, one.past), (len(steps), one.ahead)):
            x[:end, at : at + part.shape[1]] = part[steps[:end]]
            at += part.shape[1]
        x[:, at:-2] = one.static
        x[:, -2], x[:, -1] = ahead > 0, ahead / self.layout.horizon
        return x

    @property
    def input_size(self) -> int:
        one = self.prepared[0]
        parts = (one.past, one.ahead, one.static)
        return 2 * one.values.shape[1] + sum(part.shape[-1] for part in parts) + 2

    def _season_before(
        self, steps: NDArray[np.int64], ahead: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """The last known step a whole number of seasons before each step; -1 for none."""
        season = self.layout.season
        return np.maximum(steps - season * np.maximum(-(-ahead // season), 1), -1)


@dataclass(frozen=True, eq=False)
class Window:
    """Where a sample comes from: a window, at the row of the last step that it reads.

    Arguments:
        windows: that it is of.
        at: its place.
    """

    windows: Windows
    at: Place

    @property
    def series(self) -> Series:
        return self.windows.prepared[self.at.series].series

    @property
    def path(self) -> str:
        return self.windows.found.table.file(self._row)

    @property
    def line(self) -> int:
        return int(self.windows.found.table.lines[self._row])

    @property
    def text(self) -> str:
        """The series' name, and the first time that is forecast."""
        return f"{self.series.name} from {self.names[0]}".strip()

    @property
    def names(self) -> list[str]:
        """The times that are forecast, as people write them."""
        return [spelled(time) for time in self.windows.times(self.at)]

    def columns(self, time: str | None) -> dict[str, str]:
        """The series and a time, the first one by default, by the names of the data's columns."""
        named = self.windows.found.columns
        series = {} if named.id is None else {named.id: self.series.name}
        return {**series, named.order: time or self.names[0]}

    @property
    def _row(self) -> int:
        rows = self.series.rows[: self.at.origin]
        return int(rows[rows >= 0][-1])


def input_size(targets: int, learned: Mapping[str, Covariates], cycles: int) -> int:
    """The number of features of a node, given the number of those of the calendar."""
    return 4 * targets + sum(one.size for one in learned.values()) + cycles + 2


def _scale_into(x: NDArray[np.float32], values: NDArray[np.float64], scale: Scale) -> None:
    """Write values (n, 2 T) as of `Prepared`, scaled, and whether they are known."""
    known = values[:, len(scale.centre) :]
    x[:, : len(scale.centre)] = (
        (values[:, : len(scale.centre)] - scale.centre) / scale.deviation * known
    )
    x[:, len(scale.centre) :] = known
