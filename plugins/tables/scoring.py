"""Losses and metrics by name, for classes and for numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

import structnet as sn

Loss = Literal["auto", "cross_entropy", "balanced", "squared", "absolute", "huber", "poisson"]
OF_CLASSES = ("cross_entropy", "balanced")
OF_NUMBERS = ("squared", "absolute", "huber", "poisson")


def check_loss(loss: str, goal: str) -> str:
    """The loss of a goal, its default for auto; ValueError for one of the other goal."""
    fitting = OF_CLASSES if goal == "class" else OF_NUMBERS
    if loss == "auto":
        return fitting[0]
    if loss not in fitting:
        raise ValueError(
            f"task.loss={loss} is not for targets that are {goal}s: take one of "
            f"{', '.join(fitting)}, or see task.goal"
        )
    return loss


def class_weights(y: Sequence[int], classes: int) -> Tensor:
    """Weights (C,) by which every class of training targets counts as much as any other."""
    counts = torch.bincount(torch.as_tensor(y), minlength=classes).clamp(min=1)
    return counts.sum() / (len(counts) * counts).float()


def errors_of(loss: str) -> Callable[..., Tensor]:
    """An error of outputs and targets in standard deviations, as `mean_of_known` takes it."""
    return {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}[loss]


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
# Those whose smallest value is best.
SMALLEST = {"mape", "smape", "poisson", "rmse", "mae", "relative_rmse"}


def more_metrics(names: Sequence[str], goal: str, classes: int) -> dict[str, Any]:
    """New metrics by name, beside those that a task has anyway.

    ValueError for an unknown name, with those that there are.
    """
    known = _classes(classes) if goal == "class" else _numbers()
    for name in names:
        if name not in known:
            what = "classes" if goal == "class" else "numbers"
            raise ValueError(
                f"task.metrics has {name!r}, and metrics of {what} are {', '.join(known)}"
            )
    return {name: known[name]() for name in names}
