"""Which predecessor slots count, as an executor says it of the nodes that it calls a cell for.

A state that is absent is zero, so that sums need not know of it; means, maxima and shares do.

n: nodes, K: slots.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_present: ContextVar[Tensor | None] = ContextVar("present", default=None)


@contextmanager
def counting(present: Tensor | None) -> Iterator[None]:
    """Slots (n, K) that count while a cell is called, true or false; None where all do."""
    token = _present.set(None if present is None else present.unsqueeze(2))
    try:
        yield
    finally:
        _present.reset(token)


def counted() -> Tensor | None:
    """The slots that count, (n, K, 1) of true and false, at least one a node; None for all."""
    return _present.get()


def count(slots: int) -> int | Tensor:
    """How many of the slots count, a number or (n, 1)."""
    present = _present.get()
    return slots if present is None else present.sum(1)


def mean(values: Tensor) -> Tensor:
    """The mean (n, S) of values (n, K, S) over the slots that count."""
    present = _present.get()
    if present is None:
        return values.mean(1)
    return values.where(present, 0).sum(1) / present.sum(1)


def largest(values: Tensor) -> Tensor:
    """The largest (n, S) of values (n, K, S) over the slots that count; ties share the gradient."""
    return hide(values).amax(1)


def softmax(logits: Tensor) -> Tensor:
    """The shares of slots (n, K, S), which sum to one over those that count."""
    return hide(logits).softmax(1)


def hide(values: Tensor) -> Tensor:
    """Values (n, K, S) with minus infinity in slots that don't count."""
    present = _present.get()
    return values if present is None else values.where(present, -torch.inf)
