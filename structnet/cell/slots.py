"""Means, maxima and softmaxes over the predecessor slots that count.

The state of an absent predecessor is zero, so sums need no mask; these do.

n: nodes, K: slots, S: size.
"""

import torch
from torch import Tensor

from structnet.cell.frame import frame


def counted() -> Tensor | None:
    """The slots that count, (n, K, 1) booleans, at least one per node; None if all do."""
    return frame().present


def count(slots: int) -> int | Tensor:
    """How many of the slots count, a number or (n, 1)."""
    present = counted()
    return slots if present is None else present.sum(1)


def mean(values: Tensor) -> Tensor:
    """The mean (n, S) of values (n, K, S) over the slots that count."""
    present = counted()
    if present is None:
        return values.mean(1)
    return values.where(present, 0).sum(1) / present.sum(1)


def largest(values: Tensor) -> Tensor:
    """The maximum (n, S) of values (n, K, S) over the slots that count; ties share the gradient."""
    return hide(values).amax(1)


def softmax(logits: Tensor) -> Tensor:
    """Softmax (n, K, S) over the slots that count."""
    return hide(logits).softmax(1)


def hide(values: Tensor) -> Tensor:
    """Values (n, K, S) with minus infinity in slots that don't count."""
    present = counted()
    return values if present is None else values.where(present, -torch.inf)
