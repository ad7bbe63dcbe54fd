"""Simple forecasts to compare with: their points, and what they erred by in training.

W: windows; H: steps ahead; T: targets; F: features of a step ahead.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from structnet.plugins.sequence.forecast.windows import Windows

Floats = NDArray[np.float64]
# The most windows that models are fitted to, and rows of boosted trees.
FITTED, FITTED_ROWS = 4000, 20_000


@dataclass(frozen=True, eq=False)
class Table:
    """Windows as tables, in deviations from the centre of their series.

    Arguments:
        lags: the last values (W, c, T), 0 where missing.
        given: what is known of the steps ahead (W, H, F), the value a season before among it.
        y: the targets (W, H, T), NaN where missing.
        centre, deviation, naive: the scale (W, T).
        last: the last known value (W, T).
        first: the first known value of the context (W, T).
        before: the steps (W, T) from the first to the last known value.
        season: the value a season before each step ahead (W, H, T).
    """

    lags: Floats
    given: Floats
    y: Floats
    centre: Floats
    deviation: Floats
    naive: Floats
    last: Floats
    first: Floats
    before: Floats
    season: Floats

    @classmethod
    def of(cls, windows: Windows) -> "Table":
        targets = windows.prepared[0].series.values.shape[1]
        horizon, context = windows.layout.horizon, windows.layout.context
        rows: dict[str, list[Floats]] = {name: [] for name in cls.__dataclass_fields__}
        for sample in windows:
            x, y = np.asarray(sample.x, np.float64), np.asarray(sample.y, np.float64)
            read, ahead = x[:-horizon], x[-horizon:]
            values, known = read[:, :targets], read[:, targets : 2 * targets] > 0
            short = context - len(values)
            rows["lags"].append(np.pad(values, ((short, 0), (0, 0))))
            rows["given"].append(ahead[:, 2 * targets :])
            scale = y[0, :, 1:].T
            rows["y"].append((y[-horizon:, :, 0] - scale[0]) / scale[1])
            for name, one in zip(("centre", "deviation", "naive"), scale, strict=True):
                rows[name].append(one)
            ends = _ends(known)
            at = np.arange(targets)
            rows["first"].append(np.where(known.any(0), values[ends[0], at], 0.0))
            rows["last"].append(np.where(known.any(0), values[ends[1], at], 0.0))
            rows["before"].append(np.maximum(ends[1] - ends[0], 1.0))
            season, there = ahead[:, 2 * targets : 3 * targets], ahead[:, 3 * targets : 4 * targets]
            rows["season"].append(np.where(there > 0, season, rows["last"][-1]))
        return cls(**{name: np.stack(some) for name, some in rows.items()})

    def unscaled(self, values: Floats) -> Floats:
        """Values (W, H, T) in the targets' unit."""
        return values * self.deviation[:, None] + self.centre[:, None]


def _ends(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The first and the last known step of each target (2, T)."""
    return np.stack([known.argmax(0), len(known) - 1 - known[::-1].argmax(0)])


# Scaled forecasts (W, H, T) of a table.
Model = Callable[[Table], Floats]


def last_value(table: Table) -> Floats:
    return np.broadcast_to(table.last[:, None], table.y.shape).copy()


def seasonal_naive(table: Table) -> Floats:
    """The last known value a whole number of seasons before."""
    return table.season


def drift(table: Table) -> Floats:
    """The line through the first and the last value of the context, gone on with."""
    slope = (table.last - table.first) / table.before
    steps = 1 + np.arange(table.y.shape[1])
    return table.last[:, None] + slope[:, None] * steps[:, None]


def fit_ridge(table: Table) -> Model:
    """A linear map for every step ahead, of the context's values and what is known of the step."""
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from structnet.plugins.baselines.features import PENALTIES

    models: list[Any] = []
    for step in range(table.y.shape[1]):
        known = np.isfinite(table.y[:, step]).all(1)
        model = None
        if known.any():
            model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES))
            model.fit(_row(table, step)[known], table.y[known, step])
        models.append(model)

    def predict(other: Table) -> Floats:
        said = seasonal_naive(other).copy()
        for step, model in enumerate(models):
            if model is not None:
                said[:, step] = model.predict(_row(other, step)).reshape(len(said), -1)
        return said

    return predict


def fit_trees(table: Table) -> Model:
    """Boosted trees for each target, of the same and the step's number, by absolute error."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, y = _rows(table), table.y.reshape(-1, table.y.shape[2])
    some = np.random.default_rng(0).permutation(len(x))[:FITTED_ROWS]
    models: list[Any] = []
    for target in range(y.shape[1]):
        rows = some[np.isfinite(y[some, target])]
        options: dict[str, Any] = {"early_stopping": False, "random_state": 0}
        model = HistGradientBoostingRegressor(loss="absolute_error", max_iter=100, **options)
        models.append(model.fit(x[rows], y[rows, target]) if len(rows) else None)

    def predict(other: Table) -> Floats:
        said, rows = seasonal_naive(other).copy(), _rows(other)
        for target, model in enumerate(models):
            if model is not None:
                said[..., target] = model.predict(rows).reshape(said.shape[:2])
        return said

    return predict


def _row(table: Table, step: int) -> Floats:
    """The features (W, c T + F) of a step ahead."""
    return np.concatenate([table.lags.reshape(len(table.lags), -1), table.given[:, step]], 1)


def _rows(table: Table) -> Floats:
    """The same of all steps ahead, (W H, c T + F)."""
    every = [_row(table, step) for step in range(table.y.shape[1])]
    return np.stack(every, 1).reshape(-1, every[0].shape[1])


class Baselines:
    """Models fitted to the training windows.

    Arguments:
        train: the windows, of which at most FITTED are taken, evenly.
        trained: whether there are models that learn, too, or the naive ones alone.
    """

    def __init__(self, train: Windows, trained: bool = True):
        some = np.unique(np.linspace(0, len(train) - 1, FITTED).astype(int))
        places = [train.places[at] for at in some]
        table = Table.of(Windows(train.found, train.prepared, train.layout, places))
        self.models: dict[str, Model] = {
            "last value": last_value,
            "seasonal naive": seasonal_naive,
            "drift": drift,
        }
        if trained:
            self.models |= {"ridge": fit_ridge(table), "boosted trees": fit_trees(table)}
        self.deviations: Mapping[str, Floats] = {
            name: _deviation(model(table) - table.y) for name, model in self.models.items()
        }

    def forecast(self, name: str, table: Table) -> tuple[Tensor, Tensor]:
        """Means and deviations (W, H, T) of a model, as of normal distributions.

        The deviation of each step ahead is the root mean square of the training errors, in
        deviations of the series.
        """
        point = table.unscaled(self.models[name](table))
        sigma = self.deviations[name] * table.deviation[:, None]
        return torch.from_numpy(point), torch.from_numpy(sigma)


def _deviation(errors: Floats) -> Floats:
    """The root mean square (H, T) of errors (W, H, T); above 0."""
    with warnings.catch_warnings():
        # A step that no window knows: what all steps err by.
        warnings.simplefilter("ignore", RuntimeWarning)
        every, steps = np.nanmean(errors**2), np.nanmean(errors**2, 0)
    found = np.where(np.isfinite(steps), steps, every)
    return np.maximum(np.sqrt(np.nan_to_num(found, nan=1.0)), 1e-9)


def normal_quantiles(point: Tensor, sigma: Tensor, levels: tuple[float, ...]) -> Tensor:
    """The quantiles (..., Q) of normal distributions."""
    share = torch.tensor(levels, dtype=point.dtype)
    return point[..., None] + sigma[..., None] * torch.special.ndtri(share)
