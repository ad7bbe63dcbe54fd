"""What the edges of a node add to its gates, as an executor gives it to the cell that it calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor


@dataclass
class Given:
    """Terms (n, K, columns) for n nodes' predecessors, and whether the cell has taken them."""

    terms: Tensor
    taken: bool = False


_given: ContextVar[Given | None] = ContextVar("edge_terms", default=None)


@contextmanager
def giving(terms: Tensor) -> Iterator[Given]:
    given = Given(terms)
    token = _given.set(given)
    try:
        yield given
    finally:
        _given.reset(token)


def edge_terms() -> Tensor | None:
    """The terms of the nodes that the cell is being called for; None where there are none."""
    given = _given.get()
    if given is None:
        return None
    given.taken = True
    return given.terms
