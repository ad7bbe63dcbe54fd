"""Regression: tasks whose targets are numbers."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from structnet.data.batch import Batch
from structnet.data.task import Task
from structnet.registry import tasks


class Regression(Task):
    """A task with a number as the target of each node or sample.

    Targets are float32, in the unit `unit`, and NaN if not known. The net's outputs are in standard
    deviations from the mean of the training targets; `load` takes this `scale` from `scale_of`. The
    loss is the mean squared error of these outputs.

    Metrics: "rmse", the root mean squared error, and "mae", the mean absolute error, in the
    targets' unit; "relative_rmse", the rmse in standard deviations; "pearson", the correlation.
    """

    unit: ClassVar[str] = ""
    monitor = "rmse"
    mode = "min"
    loss_unit = "squared standard deviations"
    learned = ("scale",)
    # Mean and standard deviation of the training targets.
    scale: tuple[float, float] | None = None

    @property
    def num_outputs(self) -> int:
        return 1

    def scale_of(self, targets: Any) -> tuple[float, float]:
        """Mean and standard deviation of the training targets, or the `scale` if it is known.

        The deviation of equal targets is 1. ValueError if no target is known or one is infinite.
        """
        if self.scale is not None:
            return self.scale
        y = torch.as_tensor(targets).double().flatten()
        y = y[~y.isnan()]
        if not len(y) or not y.isfinite().all():
            raise ValueError(
                f"{tasks.called(self)}: the mean of {len(y)} known training targets is "
                f"{y.mean().item()}; give finite ones, NaN where a target is not known"
            )
        return (y.mean().item(), y.std(correction=0).item() or 1.0)

    def standardise(self, targets: Any) -> None:
        """Set `scale` to the `scale_of` the training targets, for a `load` that returns a dict."""
        self.scale = self.scale_of(targets)

    def values(self, output: Tensor) -> Tensor:
        """The net's outputs (n, 1) in the targets' unit (n,)."""
        mean, deviation = self._scale
        return output[:, 0] * deviation + mean

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean squared error, in standard deviations, over the targets that are known."""
        self._check_length(output, batch)
        target = self._standardised(batch.y)
        known = ~target.isnan()
        error = torch.where(known, output[:, 0] - target.nan_to_num(), 0.0)
        return error.square().sum() / known.sum().clamp(min=1)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, PearsonCorrCoef

        roots = {
            name: MeanSquaredError(squared=False) for name in ("rmse", "relative_rmse", *self.kinds)
        }
        return {**roots, "mae": MeanAbsoluteError(), "pearson": PearsonCorrCoef()}

    def measured(self, output: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self._check_length(output, batch)
        known = ~batch.y.isnan()
        output, y = output[known], batch.y[known]
        # Sums of squares over a whole split are inexact in half precision.
        values = self.values(output.float())
        measured = {"relative_rmse": (output[:, 0].float(), self._standardised(y))}
        for name in ("rmse", "mae", "pearson"):
            measured[name] = (values, y)
        if self.kinds:
            per_node = len(known) > batch.num_samples
            kind = (batch.kind[batch.sample_of_node()] if per_node else batch.kind)[known]
            for index, name in enumerate(self.kinds):
                measured[name] = (values[kind == index], y[kind == index])
        return measured

    @property
    def _scale(self) -> tuple[float, float]:
        if self.scale is None:
            raise ValueError(
                f"{tasks.called(self)} knows no scale of its targets: return it from `load` as "
                "sn.Splits(..., scale=self.scale_of(targets))"
            )
        return self.scale

    def _standardised(self, y: Tensor) -> Tensor:
        mean, deviation = self._scale
        return (y - mean) / deviation

    def _check_length(self, output: Tensor, batch: Batch) -> None:
        if len(output) != len(batch.y):
            per = "node" if len(batch.y) > batch.num_samples else "sample"
            raise ValueError(
                f"{tasks.called(self)} has a target per {per}, the net gives {len(output)} "
                f"numbers for {len(batch.y)}: take readout={'every' if per == 'node' else 'root'}"
            )
