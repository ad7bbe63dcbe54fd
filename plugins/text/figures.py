"""Precision, recall and F1 of things that are found, such as entities and brackets.

They are 0 where there is nothing to divide by.
"""

from typing import Any

import torch
from torch import Tensor

FIGURES = ("precision", "recall", "f1")


def figures(right: float, predicted: float, there: float) -> dict[str, float]:
    """Precision, recall and F1, of how many are right, predicted, and there."""
    values = (
        right / max(predicted, 1),
        right / max(there, 1),
        2 * right / max(predicted + there, 1),
    )
    return dict(zip(FIGURES, values, strict=True))


def figure_metric(figure: str, row: int | None = None) -> Any:
    """A new metric of torchmetrics: one of the figures, over all that it is updated with.

    It is updated with how many are right and predicted (n, 2), and there (n,); `row` is the one of
    the n that counts, such as that of a kind; None for all.
    """
    from torchmetrics import Metric

    class Figure(Metric):
        found: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.add_state("found", torch.zeros(3, dtype=torch.float64), "sum")

        def update(self, said: Tensor, there: Tensor) -> None:
            counts = torch.cat([said, there[:, None]], dim=1)
            self.found += counts.sum(0) if row is None else counts[row]

        def compute(self) -> Tensor:
            return torch.tensor(figures(*self.found.tolist())[figure], dtype=torch.float64)

    return Figure()
