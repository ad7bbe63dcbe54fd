"""The figures of a constant prediction: the most frequent class, or the mean."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, sqrt

import torch
from torch import Tensor

# How many standard errors above the constant prediction an accuracy must be to count as better.
CLEAR = 2


@dataclass
class Constant:
    """The targets of a split, collected batch by batch: counts of classes, or numbers."""

    counts: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    numbers: list[Tensor] = field(default_factory=list)

    def update(self, output: Tensor, target: Tensor, ignored: int) -> None:
        """Add the targets of a batch; targets that are neither classes nor numbers are left out.

        Arguments:
            output: the net's scores (n, classes), classes (n,), or numbers (n,).
            target: class indices (n,), or numbers (n,).
            ignored: the class index of a target that is not measured.
        """
        decided = output.ndim == 2 or not output.is_floating_point()
        if decided and target.ndim == 1 and not target.is_floating_point():
            classes = output.shape[1] if output.ndim == 2 else 0
            found = torch.bincount(target[target != ignored].cpu(), minlength=classes)
            size = max(len(found), len(self.counts))
            self.counts = _padded(self.counts, size) + _padded(found, size)
        elif output.ndim == 1 and target.is_floating_point():
            self.numbers.append(target.detach().double().cpu())

    def figures(self) -> dict[str, float]:
        """Accuracy of the most frequent class, and root mean squared error of the mean.

        A net with more than "clear_accuracy" is better than the most frequent class.
        """
        found = {}
        if total := int(self.counts.sum()):
            share = int(self.counts.max()) / total
            clear = share + CLEAR * sqrt(share * (1 - share) / total)
            found |= {"constant_accuracy": share, "clear_accuracy": clear}
        if self.numbers:
            found["constant_rmse"] = torch.cat(self.numbers).std(correction=0).item()
        return found


def no_better(figures: Mapping[str, float], constant: Mapping[str, float]) -> str | None:
    """A sentence if a net's figures are no better than a constant prediction's, else None."""
    share = constant.get("constant_accuracy", 0)
    # Where all targets are of one class, nothing can be better.
    if share < 1 and figures.get("accuracy", 1) <= constant.get("clear_accuracy", 0):
        return (
            f"accuracy {figures['accuracy']:.4f} is no clear improvement over always giving "
            f"the most frequent class of the test split, {share:.4f}"
        )
    if figures.get("rmse", 0) >= constant.get("constant_rmse", inf):
        return (
            f"rmse {figures['rmse']:.4g} is no better than always giving the mean of the test "
            f"split, {constant['constant_rmse']:.4g}"
        )
    return None


def _padded(counts: Tensor, size: int) -> Tensor:
    return torch.nn.functional.pad(counts, (0, size - len(counts)))
