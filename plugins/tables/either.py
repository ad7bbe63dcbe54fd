"""Tasks of classes or of numbers, as their data turn out to be."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.tables.scoring import (
    SMALLEST,
    UNITLESS,
    check_loss,
    class_weights,
    errors_of,
    more_metrics,
    poisson_loss,
)
from structnet.plugins.tables.targets import Goal

# Of losses of numbers; the others are of squares.
UNITS = {
    "poisson": "nats",
    "absolute": "standard deviations",
    "quantile": "standard deviations",
}
# The largest logarithm of a rate, so that it is finite.
LARGEST_LOG = 30.0


class ClassesOrNumbers(sn.Regression):
    """A task that predicts classes, or one or several numbers.

    Attributes:
        goal: which of both, where an option says; else None.
        targets: the columns to predict.
        loss_name: the loss by name, or auto.
        quantile: the one that loss=quantile learns; None for other losses.
        more: the names of further metrics.
        chosen: the metric that selects the best epoch, where an option says.
        schema: what was learned, with the goal in it; None before.
    """

    goal: Goal | None = None
    targets: Sequence[str] = ()
    loss_name: str = "auto"
    quantile: float | None = None
    more: Sequence[str] = ()
    chosen: str | None = None
    schema: Any = None
    _weights: Tensor | None = None

    @property
    def predicts_numbers(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.aim == "number"

    @property
    def aim(self) -> Goal | None:
        """Whether classes or numbers are predicted; None before the data is read, if not given."""
        known: Any = self.schema.get("goal") if isinstance(self.schema, dict) else None
        return known or self.goal or ("number" if len(self.targets) > 1 else None)

    @property
    def num_outputs(self) -> int:
        return max(1, len(self.outputs)) if self.predicts_numbers else len(self.classes)

    def set_monitor(self) -> None:
        """Choose the metric that selects the best epoch, once the goal is known."""
        if self.aim != "number":
            own = "accuracy"
        elif self.quantile is not None:
            own = "pinball"
        else:
            own = "relative_rmse" if self.outputs else "rmse"
        self.monitor = self.chosen or own
        self.mode = "min" if self.monitor in SMALLEST else "max"
        if self.aim == "number":
            self.loss_unit = UNITS.get(self.loss_name, "squared deviations")

    def loss(self, output: Any, batch: sn.Batch) -> Tensor:
        if not self.predicts_numbers:
            return sn.Task.loss(self, output, batch)
        loss = check_loss(self.loss_name, "number")
        if loss == "poisson":
            self._check_length(output, batch)
            return poisson_loss(output, batch.y)
        return self.mean_of_known(errors_of(loss, self.quantile), output, batch)

    def cross_entropy(self, output: Any, y: Tensor, weights: Tensor | None = None) -> Tensor:
        if check_loss(self.loss_name, "class") == "balanced" and weights is None:
            weights = None if self._weights is None else self._weights.to(y.device)
        return super().cross_entropy(output, y, weights)

    def weigh(self, y: NDArray[Any], classes: int) -> None:
        """Take the weights of classes for loss=balanced from training targets."""
        if self.loss_name == "balanced":
            self._weights = class_weights(y[y != sn.IGNORE].tolist(), classes)

    def num_targets(self, output: Any, batch: sn.Batch) -> Tensor:
        if self._weights is None:
            return super().num_targets(output, batch)
        y = batch.y
        return (self._weights.to(y.device)[y.clamp(min=0)] * (y != sn.IGNORE)).sum()

    def values(self, output: Tensor) -> Tensor:
        if self.loss_name != "poisson":
            return super().values(output)
        rates = output.clamp(max=LARGEST_LOG).exp()
        return rates if self.outputs else rates[:, 0]

    def metrics(self) -> dict[str, Any]:
        goal = self.aim or "class"
        if self.outputs and self.more:
            raise ValueError("task.metrics are for one target, and task.target has several")
        more = more_metrics(self.more, goal, len(self.classes))
        own = self._metrics_of_numbers() if goal == "number" else sn.Task.metrics(self)
        known = own | more
        if self.monitor not in known:
            raise ValueError(
                f"task.monitor={self.monitor} is none of the metrics {', '.join(known)}; add it to "
                "task.metrics"
            )
        return known

    def _metrics_of_numbers(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric

        found = super().metrics()
        if self.quantile is None:
            return found
        # Beside the mean, whose rmse is the least, a quantile would seem to be bad.
        found.pop("rmse", None)
        return {"pinball": MeanMetric(), **found}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        if self.predicts_numbers:
            found = super().measured(output, batch)
            if self.quantile is not None:
                found.pop("rmse", None)
                found["pinball"] = self._pinball(output, batch, self.quantile)
        else:
            found = sn.Task.measured(self, output, batch)
        if not self.more:
            return found
        if not self.predicts_numbers:
            return found | dict.fromkeys(self.more, found["accuracy"])
        # What stays the same in another unit is exact in deviations, of numbers far from 0 too.
        of = {name: "relative_rmse" if name in UNITLESS else "mae" for name in self.more}
        return found | {name: found[one] for name, one in of.items()}

    def _pinball(self, output: Tensor, batch: sn.Batch, quantile: float) -> tuple[Tensor, Tensor]:
        """The loss of every known target with loss=quantile, and its weight in the mean."""
        y, error = self._standardised(batch.y).float(), errors_of("quantile", quantile)
        known = ~y.isnan()
        found = error(output.float()[known], y[known], reduction="none")
        return found, torch.ones_like(found)

    def in_deviations(self, output: Tensor) -> Tensor:
        if self.loss_name != "poisson":
            return output
        mean, deviation = self._scale_like(output)
        return (output.clamp(max=LARGEST_LOG).exp() - mean) / deviation
