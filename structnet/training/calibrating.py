"""Temperature scaling: probabilities of classes that say how often they are right."""

import torch
from torch import Tensor

from structnet.data.cross_entropy import IGNORE

# Temperatures from 1 / MOST to MOST are searched.
MOST = 20.0
# Halvings of that range, on a logarithmic scale: to the last digit of a float32.
HALVINGS = 30


class Calibration:
    """The scores of classes on a split, collected batch by batch, and their temperature.

    Guo et al. (2017), section 4.2: scores are divided by the temperature whose probabilities have
    the smallest cross entropy. The most probable classes stay the same.
    """

    def __init__(self) -> None:
        self.scores: list[Tensor] = []
        self.targets: list[Tensor] = []

    def update(self, scores: Tensor, target: Tensor) -> None:
        """Add scores (n, classes) and class indices (n,); anything else is left out."""
        if scores.ndim != 2 or target.ndim != 1 or target.is_floating_point():
            return
        # A class that was not in training has no score.
        known = (target != IGNORE) & (target < scores.shape[1])
        self.scores.append(scores.detach()[known].double().cpu())
        self.targets.append(target[known].cpu())

    def temperature(self) -> float | None:
        """None where no temperature is best, as where all samples are right, or there are none."""
        if not any(map(len, self.targets)):
            return None
        scores, target = torch.cat(self.scores), torch.cat(self.targets)[:, None]
        low, high = 1 / MOST, MOST
        if not _rises(scores, target, low) or _rises(scores, target, high):
            return None
        # The cross entropy is convex in the inverse of the temperature: one bound is above it.
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            if _rises(scores, target, middle):
                low = middle
            else:
                high = middle
        return (low * high) ** 0.5


def _rises(scores: Tensor, target: Tensor, temperature: float) -> bool:
    """Whether the cross entropy rises with the inverse of the temperature there."""
    mean = ((scores / temperature).softmax(1) * scores).sum(1)
    return bool((mean - scores.gather(1, target)[:, 0]).mean() > 0)
