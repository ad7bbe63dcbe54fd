"""The discharge of rivers, from the water that has lately run into the reaches upstream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from structnet.plugins.graph.basin import Basin, draw_basin, draw_inflow
from torch import Tensor

import structnet as sn

# The hours of a basin's record beside those of the first window.
RECORD = 500


@dataclass(frozen=True, eq=False)
class Record:
    """A basin with its lateral inflow (n, T), true and measured discharge, in mm/h, at some hours.

    Water that ran in at hour t is in the discharge of hour t.
    """

    basin: Basin
    inflow: NDArray[np.float64]
    discharge: NDArray[np.float64]
    measured: NDArray[np.float64]
    hours: NDArray[np.int64]

    def windows(self, series: NDArray[np.float64], window: int) -> Iterator[NDArray[np.float64]]:
        """The last hours (n, window) of a series at every hour of the record, the latest last."""
        return (series[:, hour + 1 - window : hour + 1] for hour in self.hours)


@sn.tasks.register("river")
class River(sn.Regression):
    """The discharge at the end of every reach of a river, from the lateral inflow of its reaches.

    Networks of n = `sources` sources and 2 n - 1 reaches are drawn at random (Shreve 1966),
    `basins` for training and an eighth as many for validation and for test. Storms
    rain on them, and a linear reservoir a reach routes the water to the outlet (Nash 1957). A
    sample is a basin at an hour, of `hours` drawn at random. A node is a reach: its lateral inflow
    in the last `window` hours, length and slope, and the shares of area that its own slopes have in
    what it drains and that this has in what the reach below drains. The target is the discharge at
    its end at that hour, in mm/h of the area that it drains, measured with a lognormal error of
    `noise`.

    "nse" is the efficiency of Nash and Sutcliffe (1970), eq. 3, over all gauges and hours: 1 - the
    sum of squared errors over that around the mean of the measurements, which is torchmetrics'
    R2Score. Water flows downstream: topology `graph`, or `tree` with arity 2 or null.

    Arguments:
        basins: the number of basins to train on.
        sources: the sources of a network, which has 2 sources - 1 reaches.
        hours: the hours drawn of each basin.
        window: the hours of lateral inflow that a node enters with.
        noise: the deviation of the lognormal error of measurements.
    """

    structures = ("graph", "tree")
    unit = "mm/h"
    monitor = "nse"
    mode = "max"

    def __init__(
        self,
        *,
        basins: int = 400,
        sources: int = 20,
        hours: int = 32,
        window: int = 36,
        noise: float = 0.05,
    ):
        counts = {"basins": basins, "sources": sources, "hours": hours, "window": window}
        for name, value in counts.items():
            if value < 1:
                raise ValueError(f"option {name!r} is at least 1, got {value}")
        if hours > RECORD:
            raise ValueError(f"option 'hours' is at most {RECORD}, got {hours}")
        size = 8 * 2 * basins * sources * (3 * (window + RECORD) + hours * window)
        if size > sn.total_memory():
            raise ValueError(
                f"{basins} basins of {sources} sources take {sn.as_bytes(size)}, more than this "
                "machine's memory: take fewer, or a smaller task.window"
            )
        if noise < 0:
            raise ValueError(f"option 'noise' is at least 0, got {noise}")
        self.basins, self.sources, self.hours = basins, sources, hours
        self.window, self.noise = window, noise
        self.input_size = window + 4

    def check(self, topology: sn.Topology) -> None:
        super().check(topology)
        if topology.takes == "tree" and topology.arity not in (2, None):
            raise ValueError(
                f"task 'river' has trees of arity 2 or null (any number of reaches that meet), the "
                f"topology's arity is {topology.arity}"
            )

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        raise ValueError(
            f"task 'river' draws its basins itself and reads no files, here {path}: structnet "
            "draw run=DIR sample=N shows what the net says of one"
        )

    @property
    def reads_files(self) -> bool:
        return False

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "every"

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        random = np.random.default_rng(0)
        few = max(1, self.basins // 8)
        self._records = {
            split: [self._record(random) for _ in range(count)]
            for split, count in (("train", self.basins), ("validation", few), ("test", few))
        }
        self.standardise(self._measured("train"))
        return {
            split: [sample for record in some for sample in self._samples(record, topology)]
            for split, some in self._records.items()
        }

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import R2Score

        return {"nse": R2Score(), **super().metrics()}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        measured = super().measured(output, batch)
        return {"nse": measured["rmse"], **measured}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Linear regressions without the tree, and the routing itself.

        "own inflow" knows what the net knows of the gauge's own reach; "inflow upstream" the mean
        inflow of all that drains through the gauge as well, hour by hour; "routing" is the true
        discharge, which the measurements scatter around: no model can be much better.
        """
        from sklearn.linear_model import LinearRegression

        y, tables = self._measured("train"), (self._table("train"), self._table("test"))
        narrow = slice(self.input_size)
        models = {"own inflow": narrow, "inflow upstream": slice(None)}
        predicted = {
            name: LinearRegression().fit(tables[0][:, columns], y).predict(tables[1][:, columns])
            for name, columns in models.items()
        }
        predicted["routing"] = _at_hours(self._records["test"], "discharge")
        return {name: self._figures(one) for name, one in predicted.items()}

    def _figures(self, predicted: NDArray[np.float64]) -> dict[str, float]:
        y = torch.from_numpy(self._measured("test")).float()
        values, metrics = torch.from_numpy(predicted).float(), self.metrics()
        deviations = (values / self._scale[1], y / self._scale[1])
        return {
            name: float(metric(*(deviations if name == "relative_rmse" else (values, y))))
            for name, metric in metrics.items()
        }

    def _record(self, random: np.random.Generator) -> Record:
        basin = draw_basin(self.sources, random)
        inflow = draw_inflow(basin, self.window + RECORD, random)
        discharge = basin.route(inflow)
        error = np.exp(self.noise * random.standard_normal(discharge.shape))
        hours = np.sort(self.window + random.choice(RECORD, self.hours, replace=False))
        return Record(basin, inflow, discharge, discharge * error, hours)

    def _samples(self, record: Record, topology: sn.Topology) -> Iterator[sn.Sample]:
        structure = _structure(record.basin.below, topology)
        for x, y in zip(self._features(record), record.measured[:, record.hours].T, strict=True):
            yield sn.Sample(structure, x, y.astype(np.float32))

    def _features(self, record: Record) -> Iterator[NDArray[np.float32]]:
        """What is known of every reach (n, window + 4) at the hours of the record."""
        basin = record.basin
        drained = basin.drained
        # What the outlet drains is all that flows on from it.
        share = drained / np.where(basin.below < 0, drained, drained[basin.below])
        still = np.stack(
            [np.log(basin.length), np.log(basin.slope), basin.area / drained, share], axis=1
        )
        for window in record.windows(record.inflow, self.window):
            yield np.concatenate([window, still], axis=1, dtype=np.float32)

    def _table(self, split: str) -> NDArray[np.float32]:
        """What a gauge knows by itself and the mean inflow upstream, a row a gauge and hour."""
        rows = []
        for record in self._records[split]:
            upstream = record.windows(record.basin.upstream(record.inflow), self.window)
            rows += [np.hstack(pair) for pair in zip(self._features(record), upstream, strict=True)]
        return np.concatenate(rows)

    def _measured(self, split: str) -> NDArray[np.float64]:
        return _at_hours(self._records[split], "measured")


def _at_hours(records: Sequence[Record], series: str) -> NDArray[np.float64]:
    """A series at the hours of the records, gauge by gauge."""
    return np.concatenate([getattr(one, series)[:, one.hours].T.ravel() for one in records])


def _structure(below: NDArray[np.int64], topology: sn.Topology) -> Any:
    if topology.takes == "graph":
        return sn.Edges.of_parents(below)
    table = sn.Edges.of_parents(below).table()
    missing = (topology.arity or table.shape[1]) - table.shape[1]
    return np.pad(table, ((0, 0), (0, missing)), constant_values=-1)
