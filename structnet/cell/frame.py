"""The context of a cell call: what an executor passes to a cell beside its arguments.

A cell's equations need not know of it; the products, means and gates of the cell algebra read it.

n: nodes, K: slots, H: size of the output.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

# Of y = x @ weight: (weight, x, y).
Product = tuple[Tensor, Tensor, Tensor]


class Observer(Protocol):
    """Is shown intermediate values of a cell, for diagnosis."""

    def gates(self, names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
        """Gates before their nonlinearity, (n, H) or (n, K, H) each."""
        ...

    def aside(self) -> AbstractContextManager[None]:
        """A context in which a linear cell computes its coefficients, unobserved."""
        ...

    def coefficients(self, a: Tensor) -> None:
        """The coefficients (n, K, S) of a linear recurrence."""
        ...


@dataclass
class Tape:
    """Records the products with recurrent weights of a pass, for the weights' gradients.

    Only products with `parameters` are recorded; autograd differentiates those with weights that
    are computed from parameters (weight norm, pruning).
    """

    parameters: frozenset[Tensor] = frozenset()
    weights: dict[Tensor, Tensor] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)

    def product(self, x: Tensor, weight: Tensor, skip: bool) -> Tensor:
        """`x @ weight`, or zeros of its shape where `skip`."""
        constant = self._constant(weight, x)
        if skip:
            return constant.new_zeros(1).expand(*x.shape[:-1], weight.shape[1])
        x = x.to(constant.dtype)
        y = x @ constant
        if y.requires_grad and weight in self.parameters and not constant.requires_grad:
            self.products.append((weight, x.detach(), y))
        return y

    def _constant(self, weight: Tensor, x: Tensor) -> Tensor:
        """The weight, detached and cast once per pass.

        Not detached if it is computed from others, or if x requires no gradient.
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
    """What edge features add to gates, (n, K, columns), and whether the cell has used it."""

    terms: Tensor
    used: bool = False


class Frame(NamedTuple):
    """The context of one call of a cell.

    Arguments:
        tape: records products with recurrent weights; None where autograd differentiates them.
        alone: whether the nodes have no predecessors, so that recurrent products are zero.
        present: (n, K, 1), which slots count in means, maxima and softmaxes; None if all do.
        edges: what edge features add to gates and scores.
        dropout: (n, H), the mask on the predecessors' outputs in recurrent products.
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
    """The context of the running call."""
    return _frame.get()


@contextmanager
def framed(frame: Frame) -> Iterator[None]:
    """Call cells in a context."""
    token = _frame.set(frame)
    try:
        yield
    finally:
        _frame.reset(token)


@contextmanager
def counting(present: Tensor | None) -> Iterator[None]:
    """Call a cell with a mask (n, K) of the slots that count; None if all do."""
    with framed(frame()._replace(present=None if present is None else present.unsqueeze(2))):
        yield


def observe(names: tuple[str, ...], values: tuple[Tensor, ...]) -> None:
    """Show gates to the observer of the call, if any."""
    if (observer := _frame.get().observer) is not None:
        observer.gates(names, values)


def edge_terms() -> Tensor | None:
    """What edge features add, (n, K, columns); None without edge features."""
    edges = _frame.get().edges
    if edges is None:
        return None
    edges.used = True
    return edges.terms


def no_predecessors() -> bool:
    """Whether the nodes of the running call have no predecessors."""
    return _frame.get().alone


def first_parameter(module: nn.Module, otherwise: Any = None) -> Any:
    """The first parameter of a module, or what is taken otherwise; faster than `parameters()`."""
    for weight in module._parameters.values():
        if weight is not None:
            return weight
    for child in module._modules.values():
        if child is not None and (found := first_parameter(child)) is not None:
            return found
    return otherwise


def autocast(weight: Tensor) -> Tensor:
    """A weight in the dtype that autocast computes in."""
    low = autocast_type(weight.device)
    return weight if low is None else weight.to(low)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """The dtype that autocast computes in on a device; None where it is off."""
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)
