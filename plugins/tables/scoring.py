"""Losses and metrics by name, for classes and for numbers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

import structnet as sn

Loss = Literal[
    "auto", "cross_entropy", "balanced", "squared", "absolute", "huber", "poisson", "quantile"
]
OF_CLASSES = ("cross_entropy", "balanced")
OF_NUMBERS = ("squared", "absolute", "huber", "poisson", "quantile")


def check_loss(loss: str, goal: str) -> str:
    """The loss of a goal, its default for auto; ValueError for one of the other goal."""
    fitting = OF_CLASSES if goal == "class" else OF_NUMBERS
    if loss == "auto":
        return fitting[0]
    if loss not in fitting:
        what = "classes" if goal == "class" else "numbers"
        raise ValueError(
            f"task.loss={loss} is not for targets that are {what}: take one of "
            f"{', '.join(fitting)}, or see task.goal"
        )
    return loss


def class_weights(y: Sequence[int], classes: int) -> Tensor:
    """Weights (C,) by which every class of training targets counts as much as any other."""
    counts = torch.bincount(torch.as_tensor(y), minlength=classes).clamp(min=1)
    return counts.sum() / (len(counts) * counts).float()


def check_quantile(loss: str, quantile: float | None) -> float | None:
    """The quantile of loss=quantile; ValueError for one that is none, or without this loss."""
    if loss != "quantile":
        if quantile is not None:
            raise ValueError(
                f"task.quantile={quantile} is of task.loss=quantile, and task.loss={loss}: set "
                "task.loss=quantile, or leave task.quantile out"
            )
        return None
    if quantile is None:
        raise ValueError("task.loss=quantile takes task.quantile=Q, such as task.quantile=0.9")
    if not 0 < quantile < 1:
        raise ValueError(
            f"task.quantile={quantile}: a quantile lies above 0 and below 1, such as 0.9"
        )
    return quantile


def errors_of(loss: str, quantile: float | None = None) -> Callable[..., Tensor]:
    """An error of outputs and targets in standard deviations, as `mean_of_known` takes it."""
    if quantile is not None:
        return partial(_quantile_loss, quantile=quantile)
    return {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}[loss]


def pinball(predicted: Tensor, y: Tensor, levels: Sequence[float]) -> Tensor:
    """The pinball loss (..., Q) of quantiles (..., Q) of targets (...)."""
    above = y[..., None] - predicted
    level = torch.tensor(levels, dtype=predicted.dtype, device=predicted.device)
    return torch.maximum(level * above, (level - 1) * above)


def _quantile_loss(output: Tensor, y: Tensor, quantile: float, reduction: str) -> Tensor:
    assert reduction == "none"
    return pinball(output[..., None], y, [quantile])[..., 0]


def poisson_loss(output: Tensor, y: Tensor) -> Tensor:
    """The mean of rate - y log(rate) over known counts y, the outputs being log rates."""
    y = y.reshape(len(y), -1)
    known = ~y.isnan()
    rate = torch.where(known, output, 0.0)
    found = F.poisson_nll_loss(rate, y.nan_to_num(), log_input=True, reduction="none")
    return torch.where(known, found, 0.0).sum() / known.sum().clamp(min=1)


def _classes(count: int) -> Mapping[str, Callable[[], Any]]:
    from torchmetrics import classification as of

    options: dict[str, Any] = {"num_classes": count, "ignore_index": sn.IGNORE}
    return {
        "balanced_accuracy": lambda: of.MulticlassAccuracy(average="macro", **options),
        "macro_f1": lambda: of.MulticlassF1Score(average="macro", **options),
        "macro_precision": lambda: of.MulticlassPrecision(average="macro", **options),
        "macro_recall": lambda: of.MulticlassRecall(average="macro", **options),
        "auroc": lambda: of.MulticlassAUROC(**options),
        "cohen_kappa": lambda: of.MulticlassCohenKappa(**options),
        "matthews": lambda: of.MulticlassMatthewsCorrCoef(**options),
    }


def _numbers() -> Mapping[str, Callable[[], Any]]:
    import torchmetrics as of

    return {
        "spearman": of.SpearmanCorrCoef,
        "r2": of.R2Score,
        "mape": of.MeanAbsolutePercentageError,
        "smape": of.SymmetricMeanAbsolutePercentageError,
        "poisson": lambda: of.TweedieDevianceScore(power=1),
    }


# Those that are the same of numbers in another unit, counted from elsewhere.
UNITLESS = {"spearman", "r2"}
# Those of classes that read scores, and not the class that is said.
OF_SCORES = {"auroc"}
# Those whose smallest value is best.
SMALLEST = {"mape", "smape", "poisson", "pinball", "rmse", "mae", "relative_rmse"}


def more_metrics(names: Sequence[str], goal: str, classes: int) -> dict[str, Any]:
    """New metrics by name, beside those that a task has anyway.

    ValueError for an unknown name, with those that there are.
    """
    if goal == "class" and "confusion" in names:
        raise ValueError(
            "task.metrics has 'confusion', which is a table and no figure: leave it out, and "
            "structnet errors run=DIR prints which class is taken for which"
        )
    known = _classes(classes) if goal == "class" else _numbers()
    for name in names:
        if name not in known:
            what = "classes" if goal == "class" else "numbers"
            raise ValueError(
                f"task.metrics has {name!r}, and metrics of {what} are {', '.join(known)}"
            )
    return {name: known[name]() for name in names}
