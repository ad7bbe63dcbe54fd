"""Recurrent products, the one part of a cell that executors treat on their own.

Within a sweep of the batched executor a product's weight is a constant of the level's graph; what
its gradient needs is noted on a tape, and after the sweep it is one product over all nodes.

x: inputs (..., I), y: outputs (..., O), weight: (I, O).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch

# A weight, the x it was multiplied with, and the result.
Product = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass
class Tape:
    """What a sweep knows of its recurrent products.

    Only weights among `parameters` are treated on their own: any other is computed from them
    (weight norm, pruning), and autograd has to see how.
    """

    parameters: frozenset[torch.Tensor] = frozenset()
    weights: dict[torch.Tensor, torch.Tensor] = field(default_factory=dict)
    products: list[Product] = field(default_factory=list)
    no_predecessors: bool = False

    def product(self, x: torch.Tensor, weight: torch.Tensor, skip: bool) -> torch.Tensor:
        constant = self._constant(weight, x)
        if skip:
            return constant.new_zeros(1).expand(*x.shape[:-1], weight.shape[1])
        x = x.to(constant.dtype)
        y = x @ constant
        if y.requires_grad and weight in self.parameters and not constant.requires_grad:
            self.products.append((weight, x.detach(), y))
        return y

    def _constant(self, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The weight without its graph, cast once a sweep.

        As it is, if computed from others, or if no graph would lead through x to the product.
        """
        if weight.requires_grad and not (x.requires_grad and weight in self.parameters):
            return _autocast(weight)
        if weight not in self.weights:
            self.weights[weight] = _autocast(weight.detach())
        return self.weights[weight]

    def take(self) -> list[Product]:
        """The products (weight, x, y) noted since the last call."""
        products, self.products = self.products, []
        return products


_tape: ContextVar[Tape | None] = ContextVar("tape", default=None)


@contextmanager
def recording(tape: Tape) -> Iterator[Tape]:
    token = _tape.set(tape)
    try:
        yield tape
    finally:
        _tape.reset(token)


# What the predecessors' outputs are multiplied with where they enter a product, (n, H).
_mask: ContextVar[torch.Tensor | None] = ContextVar("mask", default=None)


@contextmanager
def masking(mask: torch.Tensor) -> Iterator[None]:
    token = _mask.set(mask)
    try:
        yield
    finally:
        _mask.reset(token)


def masked(x: torch.Tensor) -> torch.Tensor:
    """x (n, ..., multiple of H), of predecessors' outputs, under the mask that is set."""
    mask = _mask.get()
    if mask is None:
        return x
    blocks = x.unflatten(-1, (-1, mask.shape[1]))
    return (blocks * mask.view(mask.shape[0], *[1] * (x.dim() - 1), -1)).flatten(-2)


def product(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x @ weight`, where x is zero for a node without predecessors.

    That holds for the states and whatever gates scale them by; level 0 skips the product. x is made
    of the predecessors' outputs, and recurrent dropout acts on it.
    """
    tape, x = _tape.get(), masked(x)
    return x @ weight if tape is None else tape.product(x, weight, skip=tape.no_predecessors)


def dense(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x @ weight` for any x, such as a node's new state."""
    tape = _tape.get()
    return x @ weight if tape is None else tape.product(x, weight, skip=False)


def no_predecessors() -> bool:
    """Whether the cell is being called for nodes that have none, so that products are zero."""
    tape = _tape.get()
    return tape is not None and tape.no_predecessors


def _autocast(weight: torch.Tensor) -> torch.Tensor:
    low = autocast_type(weight.device)
    return weight if low is None else weight.to(low)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """What autocast computes in on a device, None where it does not act."""
    kind = device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)
