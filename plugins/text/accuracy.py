"""Accuracy over classes of which the net may not know all."""

from typing import Any

import torch
from torch import Tensor

import structnet as sn


def accuracy() -> Any:
    """A new metric of torchmetrics: the share of known targets that have the largest score.

    It is updated with scores (n, C) and targets (n,), of which those from C on are classes that a
    net does not know, and count as wrong.
    """
    from torchmetrics import Metric

    class Accuracy(Metric):
        right: Tensor
        total: Tensor

        def __init__(self) -> None:
            super().__init__()
            for state in ("right", "total"):
                self.add_state(state, torch.zeros((), dtype=torch.long), "sum")

        def update(self, scores: Tensor, y: Tensor) -> None:
            self.right += (scores.argmax(1) == y).sum()
            self.total += (y != sn.IGNORE).sum()

        def compute(self) -> Tensor:
            return self.right / self.total.clamp(min=1)

    return Accuracy()
