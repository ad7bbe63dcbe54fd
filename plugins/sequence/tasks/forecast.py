"""Forecasts of numeric series from a table in long format."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.forecast import scores
from structnet.plugins.sequence.forecast.data import Data, Learned
from structnet.plugins.sequence.forecast.outlooks import OUTLOOKS
from structnet.plugins.sequence.forecast.scaling import Way
from structnet.plugins.sequence.forecast.series import Columns
from structnet.plugins.tables.prints import compare_prints
from structnet.plugins.tables.table import Table, table_of

# One column, or several.
Names = str | list[str] | None


@sn.tasks.register("forecast")
class Forecast(sn.Task):
    """The next values of numeric series: points, quantiles or distributions.

    The data is a table in long format, a row per series and time: .csv, .tsv, .jsonl, .parquet or a
    folder of them. Rows are put on a regular grid of times; what is missing there is masked. A
    sample is a window: the last `context` steps, and the `horizon` steps after them, whose nodes
    have all that is known ahead. The last windows of every series are tested, those before them
    validate. Every topology over sequences and every cell fit.

    Arguments:
        root: the table.
        target: the columns that are forecast; null for the only other column of numbers.
        order: the column of times, or of numbers; null for the only column of times.
        id: the column of series' names; null for one series, or the only other column of names.
        known_future: the columns that are known ahead, such as prices or holidays. Rows after the
            last target give them.
        past: the columns that are known up to now.
        static: the columns that are the same in all rows of a series.
        ignore: the columns that are not read.
        horizon: the steps that are forecast.
        context: the most steps that are read; null for two seasons, or two horizons if longer.
        frequency: the step of the grid, such as 15min, 1h, 1d, 1w, 1mo, 1y, or a number; null for
            the most frequent distance of two times.
        season: the steps of a season; null for a day, of days a week, of weeks and months a year.
        calendar: whether nodes have the hour, weekday and month of their time.
        gaps: what becomes of steps without a row: fill, they are missing; or refuse.
        unordered: what becomes of rows that are not in the order of time: sort; or refuse.
        goal: what is learned: point, by absolute error; quantiles, by pinball loss; or a
            distribution, by its likelihood: normal, negative_binomial, for counts, or mixture, of
            three normals.
        quantiles: the levels that are predicted and measured, for goal=quantiles around 0.5.
        scaling: standard, by mean and deviation; absolute, by the mean absolute value; none; null
            for absolute of counts, else standard.
        scaled_by: the training part of each series, or the context of each window.
        stride: the steps from one training window of a series to the next.
        origins: the windows of each series that are tested, one after the other; as many validate.
        origin_step: the steps between their beginnings; null for the horizon.
    """

    structures = ("sequence",)
    predicts_numbers = True
    mode = "min"
    learned = ("known", "files")
    suggested: ClassVar = {
        "net": {"dropout": 0.1, "hidden_size": 32},
        "trainer": {"max_epochs": 20, "patience": 5},
    }
    # What `Learned` is as plain data; None before anything is loaded.
    known: Any = None
    # The fingerprints of what was trained on; None before.
    files: Any = None
    takes_data: ClassVar = True

    def __init__(
        self,
        *,
        root: str = "series.csv",
        target: Names = None,
        order: str | None = None,
        id: str | None = None,
        known_future: Names = None,
        past: Names = None,
        static: Names = None,
        ignore: Names = None,
        horizon: int = 12,
        context: int | None = None,
        frequency: str | None = None,
        season: int | None = None,
        calendar: bool = True,
        gaps: Literal["fill", "refuse"] = "fill",
        unordered: Literal["sort", "refuse"] = "sort",
        goal: Literal["point", "quantiles", "normal", "negative_binomial", "mixture"] = "quantiles",
        quantiles: tuple[float, ...] = (0.1, 0.5, 0.9),
        scaling: Way | None = None,
        scaled_by: Literal["series", "window"] = "series",
        stride: int = 1,
        origins: int = 1,
        origin_step: int | None = None,
    ):
        counts = {
            "horizon": horizon, "context": context, "season": season, "stride": stride,
            "origins": origins, "origin_step": origin_step,
        }  # fmt: skip
        for name, value in counts.items():
            if value is not None and value < 1:
                raise ValueError(f"option {name!r} is at least 1, got {value}")
        self.outlook = OUTLOOKS[goal](quantiles)
        if self.outlook.counts and scaling not in (None, "absolute"):
            raise ValueError(f"task.goal={goal} scales by task.scaling=absolute, got {scaling}")
        self.root, self.goal = Path(root).expanduser(), goal
        columns = Columns(
            id, order or "", _names(target), _names(known_future), _names(past), _names(static)
        )
        self.reading = Data(
            columns, _names(ignore), frequency, season, context, horizon, calendar, gaps, unordered,
            scaling or ("absolute" if self.outlook.counts else "standard"), scaled_by == "window",
            stride, origins, origin_step or horizon, self.outlook.counts,
        )  # fmt: skip
        self.monitor = "mase" if goal == "point" else "scaled_quantile_loss"
        self.loss_unit = "deviations" if goal in ("point", "quantiles") else "nats"

    @property
    def learned_data(self) -> Learned:
        """What is known of the columns; ValueError before anything is loaded."""
        if self.known is None:
            raise ValueError(f"{sn.tasks.called(self)} has not loaded its data")
        return Learned.of(self.known)

    def find(self) -> Any:
        if self.data is not None:
            return self.data
        if not self.root.exists():
            raise FileNotFoundError(
                f"there is no {self.root}: task.root is a table with a row per series and time, "
                ".csv, .tsv, .jsonl or .parquet, or a folder of them"
            )
        return self.root

    @property
    def input_size(self) -> int | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Known once data is loaded; 1 before, for the checks that build a net without data."""
        return 1 if self.known is None else self.learned_data.input_size

    @property
    def num_outputs(self) -> int:
        targets = 1 if self.known is None else len(self.learned_data.columns.target)
        return targets * self.outlook.size

    @property
    def outputs(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The names of what `in_units` gives of a step: forecasts, and their quantiles."""
        levels = [f" {level:g}" for level in self.outlook.levels] if self.goal != "point" else []
        return [f"{name}{more}" for name in self.learned_data.columns.target
                for more in ("", *levels)]  # fmt: skip

    @property
    def raw_outputs(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (
            f"for each node and target {self.outlook.raw}, in deviations from the centre of the "
            "series: neither this scale nor the target's unit is in an exported net"
        )

    def load(self, topology: sn.Topology) -> sn.Splits:
        known = None if self.known is None else self.learned_data
        prints = compare_prints(self.files, {"all": self.find()})
        table = self.reading.read(self.find())
        known, splits, notes = self.reading.load(table, known)
        if self.known is None:
            self.reading.show(table, known, splits, notes)
        return sn.Splits(splits, source=splits, known=known.plain(), files=self.files or prints)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """What follows the last known value of every series in a table."""
        yield from self.read_data(path, topology)

    def read_data(self, data: Any, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The same of a data frame, a path, or records as `read_record` takes them."""
        if isinstance(data, str | Path) or hasattr(data, "__arrow_c_stream__"):
            yield from self.reading.ahead(self.reading.read(data), self.learned_data)
        else:
            yield from super().read_data(data, topology)

    def read_record(
        self, record: Mapping[str, Any], place: Any, topology: sn.Topology
    ) -> sn.Sample:
        """What follows the rows of one series, `{"rows": [{COLUMN: value, ...}, ...]}`."""
        rows = record.get("rows")
        where = f"{place.path}, line {place.line}"
        if not isinstance(rows, list) or not rows or not all(isinstance(r, dict) for r in rows):
            raise ValueError(
                f'{where}: expected {{"rows": [...]}}, with an object for every time of a series '
                f"that has its columns by name, got keys {list(record)[:20]}"
            )
        table: Table = table_of(rows, str(place.path), [place.line] * len(rows))
        windows = self.reading.ahead(table, self.learned_data)
        if len(windows) > 1:
            raise ValueError(f"{where}: rows of {len(windows)} series, expected those of one")
        return windows[0]

    @property
    def no_stream(self) -> str:
        return (
            "a record of task forecast is a whole window, whose scale and steps ahead those of the "
            "next one do not follow: send all rows to /predict"
        )

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def predicted_nodes(self, sample: sn.Sample) -> Sequence[int]:
        return range(sample.num_nodes - self.reading.horizon, sample.num_nodes)

    def node_names(self, sample: sn.Sample) -> Sequence[str] | None:
        read = sample.num_nodes - self.reading.horizon
        origin: Any = sample.origin
        return [*(f"-{read - at}" for at in range(read)), *origin.names]

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield "predict", "path=FILE"
        yield "forecast", "path=FILE", "out=forecasts.csv", "picture=forecasts.png"
        yield "forecast", f"origins={self.reading.origins}"

    def scaled(self, output: Tensor, batch: sn.Batch) -> tuple[Tensor, Tensor]:
        """Outputs (N, T, P), and targets and scales (N, T, 4) in the order of `Windows`.

        ValueError for a net that does not score every node.
        """
        if len(output) != len(batch.y):
            raise ValueError(
                f"{sn.tasks.called(self)} has a target per node, the net gives {len(output)} rows "
                f"for {len(batch.y)}: take readout=every"
            )
        return output.unflatten(1, (-1, self.outlook.size)), batch.y

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        """The mean loss of the targets that are known."""
        o, target = self.scaled(output, batch)
        known = ~target[..., 0].isnan()
        y, centre, deviation, _ = target[known].unbind(-1)
        # From the centre on, where single precision is enough.
        kind = torch.promote_types(o.dtype, torch.float32)
        given = (y - centre).to(kind), torch.zeros_like(centre, dtype=kind), deviation.to(kind)
        every = self.outlook.loss(o[known].to(kind), *given)
        return every.sum() / known.sum().clamp(min=1)

    def num_targets(self, output: Any, batch: sn.Batch) -> Tensor:
        return (~batch.y[..., 0].isnan()).sum()

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanSquaredError

        has_crps = self.goal not in ("point", "quantiles")
        names = scores.names(self.outlook.levels, self.goal != "point", has_crps)
        return {**scores.measures(names), "rmse": MeanSquaredError(squared=False)}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        o, target = self.scaled(output, batch)
        known = ~target[..., 0].isnan()
        o, (y, centre, deviation, naive) = o[known].double(), target[known].double().unbind(-1)
        point = self.outlook.point(o, centre, deviation)
        found = scores.sums(
            y, naive, point, self.outlook.levels, self.outlook.quantiles(o, centre, deviation),
            self.outlook.crps(o, y, centre, deviation),
        )  # fmt: skip
        # The trainer takes these as the numbers themselves, beside which it has their mean's.
        return {**found, "rmse": (point, y)}

    def in_units(self, output: Tensor, batch: sn.Batch) -> Tensor:
        """Of every node the forecasts in the targets' units, each with its quantiles."""
        o, target = self.scaled(output, batch)
        o = o.double()
        _, centre, deviation, _ = target.double().unbind(-1)
        parts = [self.outlook.point(o, centre, deviation)[..., None]]
        if (quantiles := self.outlook.quantiles(o, centre, deviation)) is not None:
            parts.append(quantiles)
        return torch.cat(parts, -1).flatten(1)

    def baselines(self) -> dict[str, dict[str, float]]:
        """The last value, a season before, a line through the context, and two that learn.

        Their quantiles are those of normal distributions as wide as their training errors.
        """
        from structnet.plugins.sequence.forecast.backtest import baseline_figures

        found = baseline_figures(self.loaded.source, self.outlook.levels)
        return {name: {one: each[one] for one in self.metrics()} for name, each in found.items()}


def _names(given: Names) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
