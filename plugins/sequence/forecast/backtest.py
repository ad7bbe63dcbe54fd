"""Forecasts of windows by a net and by baselines, and their figures over all, by step, by origin.

W: windows; H: steps ahead; T: targets; Q: levels.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.sequence.forecast import scores
from structnet.plugins.sequence.forecast.baselines import Baselines, Table, normal_quantiles
from structnet.plugins.sequence.forecast.outlooks import Distribution, normal_crps
from structnet.plugins.sequence.forecast.windows import Windows


class Said(NamedTuple):
    """Forecasts in the targets' unit: points (W, H, T), their quantiles (W, H, T, Q), the CRPS.

    Each but the points may be None. `samples` (W, H, T, S) are drawn for every step by itself.
    """

    point: Tensor
    quantiles: Tensor | None
    crps: Tensor | None
    samples: Tensor | None = None


class Truth(NamedTuple):
    """Targets (W, H, T), NaN where not known, and what their series' naive forecast errs by."""

    y: Tensor
    naive: Tensor

    @classmethod
    def of(cls, table: Table) -> "Truth":
        naive = np.broadcast_to(table.naive[:, None], table.y.shape)
        return cls(torch.from_numpy(table.unscaled(table.y)), torch.from_numpy(naive.copy()))


def forecast(
    task: Any, net: Any, topology: sn.Topology, windows: Windows, samples: int = 0, seed: int = 0
) -> Said:
    """A net's forecasts.

    Arguments:
        task: a task `Forecast`.
        net: trained on it.
        topology: of the net.
        windows: of the task.
        samples: how many numbers are drawn for each step; of a distribution alone.
        seed: of what is drawn.
    """
    outlook, horizon = task.outlook, windows.layout.horizon
    generator = torch.Generator().manual_seed(seed)
    found: dict[int, tuple[Tensor | None, ...]] = {}
    batches: Any = sn.loader(windows, topology, batch_nodes=8192)
    with torch.inference_mode():
        for indices, batch in zip(batches.batch_sampler, batches, strict=True):
            o, target = task.scaled(net(batch), batch)
            ahead = (batch.ptr[1:, None] - horizon + torch.arange(horizon)).flatten()
            o = o[ahead].double()
            y, centre, deviation, _ = target[ahead].double().unbind(-1)
            drawn = None
            if samples and isinstance(outlook, Distribution):
                drawn = outlook.sample(o, centre, deviation, samples, generator)
            every = (
                outlook.point(o, centre, deviation), outlook.quantiles(o, centre, deviation),
                outlook.crps(o, y, centre, deviation), drawn,
            )  # fmt: skip
            split = [[None] * len(indices) if one is None else one.split(horizon) for one in every]
            found.update(zip(indices, zip(*split, strict=True), strict=True))
    columns = zip(*(found[at] for at in range(len(windows))), strict=True)
    return Said(*(None if one[0] is None else torch.stack(one) for one in columns))  # pyright: ignore


def baseline(baselines: Baselines, name: str, table: Table, levels: Sequence[float]) -> Said:
    """A baseline's forecasts, as of normal distributions."""
    point, sigma = baselines.forecast(name, table)
    y = torch.from_numpy(table.unscaled(table.y))
    quantiles = normal_quantiles(point, sigma, tuple(levels))
    return Said(point, quantiles, normal_crps(y, point, sigma))


def baseline_figures(
    splits: Mapping[str, Windows], levels: Sequence[float]
) -> dict[str, dict[str, float]]:
    """Test figures of all baselines, fitted to the training split."""
    baselines, table = Baselines(splits["train"]), Table.of(splits["test"])
    truth = Truth.of(table)
    return {
        name: figures(baseline(baselines, name, table, levels), truth, levels)
        for name in baselines.models
    }


def figures(
    said: Said, truth: Truth, levels: Sequence[float], at: Any = slice(None)
) -> dict[str, float]:
    """The measures of forecasts, of all targets that are known, or of some windows or steps.

    Arguments:
        said, truth: the forecasts and targets.
        levels: of the quantiles.
        at: an index of windows, or (windows, steps).
    """
    y = truth.y[at]
    known = y.isfinite()
    given = [None if one is None else one[at][known] for one in said[:3]]
    point, quantiles, crps = given
    assert point is not None
    return scores.figures(
        scores.sums(y[known], truth.naive[at][known], point, levels, quantiles, crps)
    )


def by_step(said: Said, truth: Truth, levels: Sequence[float]) -> list[dict[str, float]]:
    """The figures of every step ahead, over all windows."""
    steps = range(truth.y.shape[1])
    return [figures(said, truth, levels, (slice(None), step)) for step in steps]


def by_origin(
    said: Said, truth: Truth, levels: Sequence[float], windows: Windows
) -> list[dict[str, float]]:
    """The figures of every rolling origin, over all series; the last is the latest."""
    left: dict[int, int] = {}
    place = np.zeros(len(windows), np.int64)
    for at in reversed(range(len(windows))):
        series = windows.places[at].series
        place[at] = left[series] = left.get(series, -1) + 1
    return [
        figures(said, truth, levels, torch.from_numpy(place == back))
        for back in reversed(range(int(place.max()) + 1))
    ]
