"""Measures of forecasts, each a ratio of two sums over targets, so that windows add up.

y: targets (n,), all known; naive (n,): what their series' naive forecast errs by in training.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.plugins.tables.scoring import pinball

# What is summed above and below of every target, by the name of the measure.
Sums = dict[str, tuple[Tensor, Tensor]]


def sums(
    y: Tensor,
    naive: Tensor,
    point: Tensor,
    levels: Sequence[float] = (),
    quantiles: Tensor | None = None,
    crps: Tensor | None = None,
) -> Sums:
    """What the measures add up, for every target.

    "mase": the absolute error over the naive one (Hyndman and Koehler 2006). "smape": 200 |e| /
    (|y| + |forecast|), as in the M4 competition; 0 where both are 0. "quantile_loss": twice the
    pinball loss of all levels over |y|; "scaled_quantile_loss": over the naive error.
    "coverage_80": the share between the outer quantiles, here those of 0.1 and 0.9. "crps": the
    mean. "rmse" is a root: see `ratio`.

    Arguments:
        y, naive, point: (n,), the target, its series' naive error and its forecast.
        levels: of the quantiles.
        quantiles: (n, Q); None for none.
        crps: (n,), the continuous ranked probability score; None for none.
    """
    error, one = (y - point).abs(), torch.ones_like(y)
    size = y.abs() + point.abs()
    found = {
        "mase": (error / naive, one),
        "smape": (200 * error / size.where(size > 0, one), one),
        "mae": (error, one),
        "rmse": (error.square(), one),
    }
    if quantiles is not None:
        loss = 2 * pinball(quantiles, y, levels).mean(-1)
        found |= {"quantile_loss": (loss, y.abs()), "scaled_quantile_loss": (loss / naive, one)}
        if len(levels) > 1:
            inside = (quantiles[:, 0] <= y) & (y <= quantiles[:, -1])
            found[coverage(levels)] = inside.to(y.dtype), one
    if crps is not None:
        found["crps"] = crps, one
    return found


def names(levels: Sequence[float], has_quantiles: bool, has_crps: bool) -> list[str]:
    """The names of the measures that `sums` gives."""
    some = torch.ones(1)
    quantiles = torch.ones(1, len(levels)) if has_quantiles else None
    return list(sums(some, some, some, levels, quantiles, some if has_crps else None))


def coverage(levels: Sequence[float]) -> str:
    """The name of the share of targets between the outer quantiles."""
    return f"coverage_{100 * (levels[-1] - levels[0]):.3g}"


def ratio(name: str, above: float, below: float) -> float:
    """A measure of the two sums; NaN where the lower one is 0."""
    value = above / below if below else float("nan")
    return value**0.5 if name == "rmse" else value


def figures(found: Sums) -> dict[str, float]:
    """All measures of some targets."""
    return {
        name: ratio(name, above.double().sum().item(), below.double().sum().item())
        for name, (above, below) in found.items()
    }


def measures(which: Sequence[str]) -> Mapping[str, Any]:
    """New metrics of torchmetrics by name, each updated with what `sums` gives for it."""
    from torchmetrics import Metric

    class Measure(Metric):
        """The ratio of the sums over all targets."""

        above: Tensor
        below: Tensor

        def __init__(self, name: str):
            super().__init__()
            self.name = name
            for total in ("above", "below"):
                # Of a million numbers, float32 would lose the last digits.
                self.add_state(total, torch.zeros((), dtype=torch.float64), "sum")

        def update(self, above: Tensor, below: Tensor) -> None:
            self.above += above.double().sum()
            self.below += below.double().sum()

        def compute(self) -> Tensor:
            value = ratio(self.name, self.above.item(), self.below.item())
            return torch.tensor(value, dtype=torch.float64)

    return {name: Measure(name) for name in which}
