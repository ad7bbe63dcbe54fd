"""Regression: tasks whose targets are numbers."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.data.batch import Batch
from structnet.data.task import Task
from structnet.registry import tasks

Scale = tuple[float, float]


class Regression(Task):
    """A task with a number, or several, as the target of each node or sample.

    Targets are float32, or float64 where that is too coarse, in the unit `unit`, and NaN if not
    known: one for each node or sample, or of several numbers an array (1, T) for a sample, (n, T)
    for its nodes, by their names `outputs`. The net's outputs are in standard deviations from the
    mean of the training targets; `load` takes this `scale` from `scale_of`. The loss is the mean
    squared error of these outputs.

    Metrics: "rmse", the root mean squared error, and "mae", the mean absolute error, in the
    targets' unit; "relative_rmse", the rmse in standard deviations; "pearson", the correlation. Of
    several numbers these are "relative_rmse" of all, which selects the best epoch, and "rmse of"
    each.
    """

    monitor = "rmse"
    mode = "min"
    loss_unit = "squared standard deviations"
    learned = ("scale",)
    predicts_numbers = True
    # Mean and standard deviation of the training targets; of several numbers those of each.
    scale: Any = None

    @property
    def num_outputs(self) -> int:
        return max(1, len(self.outputs))

    def scale_of(self, targets: Any) -> Any:
        """Mean and standard deviation of the training targets, or the `scale` if it is known.

        Of several numbers (n, T) a pair for each. The deviation of equal targets is 1. ValueError
        if no target is known or one is infinite.
        """
        if self.scale is not None:
            return self.scale
        y = torch.as_tensor(targets).double()
        if not self.outputs:
            return self._scale_of(y.flatten())
        columns = y.reshape(-1, len(self.outputs)).unbind(1)
        return [list(self._scale_of(column)) for column in columns]

    def _scale_of(self, y: Tensor) -> Scale:
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
        """The net's outputs (n, T) in the targets' unit: (n,), of several numbers (n, T)."""
        mean, deviation = self._scale_like(output)
        values = output * deviation + mean
        return values if self.outputs else values[:, 0]

    def in_deviations(self, output: Tensor) -> Tensor:
        """The net's outputs (n, T) in standard deviations from the mean: what they are already."""
        return output

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean squared error, in standard deviations, over the targets that are known."""
        return self.mean_of_known(F.mse_loss, output, batch)

    def mean_of_known(self, error: Any, output: Tensor, batch: Batch) -> Tensor:
        """The mean over the known targets of an error such as those of torch.nn.functional.

        It gets outputs and targets (n, T) in standard deviations, and `reduction="none"`.
        """
        self._check_length(output, batch)
        target = self._standardised(batch.y).to(torch.promote_types(output.dtype, torch.float32))
        known = ~target.isnan()
        output = output.to(target.dtype)
        # An error of what is not known would have a gradient.
        found = error(torch.where(known, output, 0.0), target.nan_to_num(), reduction="none")
        return torch.where(known, found, 0.0).sum() / known.sum().clamp(min=1)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanAbsoluteError, MeanSquaredError, PearsonCorrCoef

        if self.outputs:
            names = ("relative_rmse", *map("rmse of {}".format, self.outputs))
            return {name: MeanSquaredError(squared=False) for name in names}
        roots = {
            name: MeanSquaredError(squared=False) for name in ("rmse", "relative_rmse", *self.kinds)
        }
        return {**roots, "mae": MeanAbsoluteError(), "pearson": PearsonCorrCoef()}

    def measured(self, output: Tensor, batch: Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self._check_length(output, batch)
        if self.outputs:
            return self._measured_each(output.double(), batch.y.double())
        known = ~batch.y.isnan()
        output, y = output[known], batch.y[known]
        # Sums of squares over a whole split are inexact in half precision, and differences of
        # numbers far from 0 in single precision.
        values, y = self.values(output.double()), y.double()
        relative = self.in_deviations(output.float())[:, 0], self._standardised(y)[:, 0].float()
        measured = {"relative_rmse": relative, "pearson": relative}
        for name in ("rmse", "mae"):
            measured[name] = (values, y)
        if self.kinds:
            per_node = len(known) > batch.num_samples
            kind = (batch.kind[batch.sample_of_node()] if per_node else batch.kind)[known]
            for index, name in enumerate(self.kinds):
                measured[name] = (values[kind == index], y[kind == index])
        return measured

    def _measured_each(self, output: Tensor, y: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        known = ~y.isnan()
        relative = self.in_deviations(output)[known], self._standardised(y)[known]
        measured = {"relative_rmse": relative}
        values = self.values(output)
        for at, name in enumerate(self.outputs):
            rows = known[:, at]
            measured[f"rmse of {name}"] = (values[rows, at], y[rows, at])
        return measured

    def _scale_like(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (T,) of every number."""
        if self.scale is None:
            raise ValueError(
                f"{tasks.called(self)} knows no scale of its targets: return it from `load` as "
                "sn.Splits(..., scale=self.scale_of(targets))"
            )
        pairs = output.new_tensor(self.scale, dtype=torch.float64).reshape(-1, 2)
        pairs = pairs.to(torch.promote_types(output.dtype, torch.float32))
        return pairs[:, 0], pairs[:, 1]

    def _standardised(self, y: Tensor) -> Tensor:
        """Targets (n,) or (n, T) in standard deviations, (n, T)."""
        mean, deviation = self._scale_like(y)
        return (y.reshape(len(y), -1) - mean) / deviation

    def _check_length(self, output: Tensor, batch: Batch) -> None:
        if len(output) != len(batch.y):
            per = "node" if len(batch.y) > batch.num_samples else "sample"
            raise ValueError(
                f"{tasks.called(self)} has a target per {per}, the net gives {len(output)} "
                f"numbers for {len(batch.y)}: take readout={'every' if per == 'node' else 'root'}"
            )
