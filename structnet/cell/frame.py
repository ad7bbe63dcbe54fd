"""What an executor tells a cell of the nodes that it calls it for, beside the call's arguments.

A cell's equations need not know of it: the products, means and gates of the cell algebra ask.

n: nodes, K: slots, H: size of the output.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

# A weight, the x it was multiplied with, and the result.
Product = tuple[Tensor, Tensor, Tensor]


class Observer(Protocol):
    """Is shown what a cell computes on the way, for diagnosis."""

    def gates(self, names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
        """Gates before their nonlinearity, (n, H) or (n, K, H) each."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """Entered while a linear cell makes its coefficients, which is not looked into."""
        ...

    def coefficients(self, a: Tensor) -> None:
        """The coefficients (n, K, S) of a linear recurrence."""
        ...


@dataclass
class Tape:
    """The products with recurrent weights of a sweep, for their gradients after it.

    Only weights among `parameters` are recorded: any other is computed from them (weight norm,
    pruning), and autograd has to see how.
    """

    parameters: frozenset[Tensor] = frozenset()
    weights: dict[Tensor, Tensor] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)

    def product(self, x: Tensor, weight: Tensor, skip: bool) -> Tensor:
        """`x @ weight`, or zeros of its shape if it is to be skipped."""
        constant = self._constant(weight, x)
        if skip:
            return constant.new_zeros(1).expand(*x.shape[:-1], weight.shape[1])
        x = x.to(constant.dtype)
        y = x @ constant
        if y.requires_grad and weight in self.parameters and not constant.requires_grad:
            self.products.append((weight, x.detach(), y))
        return y

    def _constant(self, weight: Tensor, x: Tensor) -> Tensor:
        """The weight without its graph, cast once per sweep.

        As it is, if computed from others, or if no graph would lead through x to the product.
        """
        if weight.requires_grad and not (x.requires_grad and weight in self.parameters):
            return autocast(weight)
        if weight not in self.weights:
            self.weights[weight] = autocast(weight.detach())
        return self.weights[weight]

    def take(self) -> list[Product]:
        """The products (weight, x, y) recorded since the last call."""
        products, self.products = self.products, []
        return products


@dataclass
class EdgeTerms:
    """What features of edges add to gates, (n, K, columns), and whether the cell has used it."""

    terms: Tensor
    used: bool = False


class Frame(NamedTuple):
    """What surrounds one call of a cell.

    Arguments:
        tape: records products with recurrent weights; None where autograd sees them itself.
        alone: whether the nodes have no predecessors, so that products with their states are zero.
        present: (n, K, 1), which slots count in means, maxima and shares; None if all do.
        edges: what features of edges add to gates and scores.
        dropout: (n, H), what the predecessors' outputs are multiplied with where they enter
            products.
        observer: is shown gates and coefficients.
    """

    tape: Tape | None = None
    alone: bool = False
    present: Tensor | None = None
    edges: EdgeTerms | None = None
    dropout: Tensor | None = None
    observer: Observer | None = None


NOTHING = Frame()
_frame: ContextVar[Frame] = ContextVar("frame", default=NOTHING)


def frame() -> Frame:
    """What surrounds the call that is running."""
    return _frame.get()


@contextmanager
def framed(frame: Frame) -> Iterator[None]:
    """Surround calls of a cell with a frame."""
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)


@contextmanager
def counting(present: Tensor | None) -> Iterator[None]:
    """Slots (n, K) that count while a cell is called, true or false; None if all do."""
    with framed(frame()._replace(present=None if present is None else present.unsqueeze(2))):
        yield


def observe(names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
    """Show gates to whoever observes the call."""
    if (observer := _frame.get().observer) is not None:
        observer.gates(names, values)


def edge_terms() -> Tensor | None:
    """What features of edges add, (n, K, columns); None if there are none."""
    edges = _frame.get().edges
    if edges is None:
        return None
    edges.used = True
    return edges.terms


def no_predecessors() -> bool:
    """Whether the cell is being called for nodes without any, so that products are zero."""
    return _frame.get().alone


def autocast(weight: Tensor) -> Tensor:
    """A weight in the dtype that autocast computes in."""
    low = autocast_type(weight.device)
    return weight if low is None else weight.to(low)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """What autocast computes in on a device, None where it does not act."""
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)
