"""The discharge of rivers, predicted from the recent lateral inflow of the reaches upstream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.graph.basin import Basin, draw_basin, draw_inflow

# The length of a basin's record in hours, without the hours of the first window.
RECORD = 500


@dataclass(frozen=True, eq=False)
class Record:
    """A basin with its lateral inflow, true and measured discharge (n, T) in mm/h.

    `hours` are those that samples are made of. The inflow of an hour already counts in the
    discharge of the same hour.
    """

    basin: Basin
    inflow: NDArray[np.float64]
    discharge: NDArray[np.float64]
    measured: NDArray[np.float64]
    hours: NDArray[np.int64]

    def windows(self, series: NDArray[np.float64], window: int) -> Iterator[NDArray[np.float64]]:
        """The last `window` values (n, window) of a series at each of `hours`, the latest last."""
        return (series[:, hour + 1 - window : hour + 1] for hour in self.hours)


@sn.tasks.register("river")
class River(sn.Regression):
    """The discharge at the end of every reach of a river, from the lateral inflow of its reaches.

    River networks with n sources and 2 n - 1 reaches are drawn at random (Shreve 1966): `basins`
    of them for training, and an eighth of that number each for validation and test. Storms rain on
    them, and one linear reservoir per reach routes the water to the outlet (Nash 1957). A sample is
    a basin at one hour. A node is a reach; its features are the lateral inflow of the last `window`
    hours, length and slope, the share of its own slopes in the area that it drains, and the share
    of that area in what the reach below drains. The target is the discharge at its end at that
    hour, in mm/h over the drained area, measured with a lognormal error.

    "nse" is the efficiency of Nash and Sutcliffe (1970), eq. 3, over all gauges and hours: 1 minus
    the ratio of the squared errors to the squared deviations of the measurements from their mean,
    which is torchmetrics' R2Score. Water flows downstream: topology `graph`, or `tree` with arity 2
    or null.

    Arguments:
        basins: the number of basins to train on.
        sources: the number of sources n of a network, which has 2 n - 1 reaches.
        hours: how many hours are drawn per basin.
        window: the number of hours of lateral inflow in a node's features.
        noise: the standard deviation of the logarithm of the measurement error.
    """

    structures = ("graph", "tree")
    unit = "mm/h"
    monitor = "nse"
    mode = "max"
    # The targets are it, with an error.
    bounds = ("routing",)

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
                "machine's memory: set task.basins or task.window to less"
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
                f"task 'river' has trees of arity 2 or null (any number of tributaries), the "
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

    def load(self, topology: sn.Topology) -> sn.Splits:
        random = np.random.default_rng(0)
        few = max(1, self.basins // 8)
        records = {
            split: [self._record(random) for _ in range(count)]
            for split, count in (("train", self.basins), ("validation", few), ("test", few))
        }
        splits = {
            split: [sample for record in some for sample in self._samples(record, topology)]
            for split, some in records.items()
        }
        scale = self.scale_of(_at_hours(records["train"], "measured"))
        return sn.Splits(splits, source=records, scale=scale)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import R2Score

        return {"nse": R2Score(), **super().metrics()}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        measured = super().measured(output, batch)
        return {"nse": measured["rmse"], **measured}

    def baselines(self) -> dict[str, dict[str, float]]:
        """Linear regressions without the tree, and the routing itself.

        "own inflow" sees the features of the gauge's own reach, "inflow upstream" also the mean
        inflow over the drained area hour by hour. "routing" is the true discharge that the
        measurements scatter around, so no model can be much better.
        """
        from sklearn.linear_model import LinearRegression

        y, tables = self._measured("train"), (self._table("train"), self._table("test"))
        narrow = slice(self.input_size)
        models = {"own inflow": narrow, "inflow upstream": slice(None)}
        predicted = {
            name: LinearRegression().fit(tables[0][:, columns], y).predict(tables[1][:, columns])
            for name, columns in models.items()
        }
        predicted["routing"] = _at_hours(self.loaded.source["test"], "discharge")
        return {name: self._figures(one) for name, one in predicted.items()}

    def _figures(self, predicted: NDArray[np.float64]) -> dict[str, float]:
        y = torch.from_numpy(self._measured("test")).float()
        values, metrics = torch.from_numpy(predicted).float(), self.metrics()
        deviations = (values / self.scale[1], y / self.scale[1])
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
        """The features (n, window + 4) of every reach at each of the hours of the record."""
        basin = record.basin
        drained = basin.drained
        # Below the outlet there is no reach: its share is 1.
        share = drained / np.where(basin.below < 0, drained, drained[basin.below])
        still = np.stack(
            [np.log(basin.length), np.log(basin.slope), basin.area / drained, share], axis=1
        )
        for window in record.windows(record.inflow, self.window):
            yield np.concatenate([window, still], axis=1, dtype=np.float32)

    def _table(self, split: str) -> NDArray[np.float32]:
        """A gauge's own features and the mean inflow upstream, one row per gauge and hour."""
        rows = []
        for record in self.loaded.source[split]:
            upstream = record.windows(record.basin.upstream(record.inflow), self.window)
            rows += [np.hstack(pair) for pair in zip(self._features(record), upstream, strict=True)]
        return np.concatenate(rows)

    def _measured(self, split: str) -> NDArray[np.float64]:
        return _at_hours(self.loaded.source[split], "measured")


def _at_hours(records: Sequence[Record], series: str) -> NDArray[np.float64]:
    """A series at the hours of the records, gauge by gauge."""
    return np.concatenate([getattr(one, series)[:, one.hours].T.ravel() for one in records])


def _structure(below: NDArray[np.int64], topology: sn.Topology) -> Any:
    if topology.takes == "graph":
        return sn.Edges.of_parents(below)
    table = sn.Edges.of_parents(below).table()
    missing = (topology.arity or table.shape[1]) - table.shape[1]
    return np.pad(table, ((0, 0), (0, missing)), constant_values=-1)
