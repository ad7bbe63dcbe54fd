"""Cells that are linear in their state: run level by level anywhere, and by a scan on chains."""

import abc
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from structnet.cell.base import Cell, Gates
from structnet.cell.frame import frame
from structnet.cell.slots import hide


class Selection(NamedTuple):
    """The coefficients of a selective state space model, where nodes have one predecessor.

    Of every node n: `u` and `step` (n, H), `write` and `read` (n, N); of the model: `rate` (N, H)
    and `direct` (H,). Its states are a h + b, with a = exp(-rate step) and b = write step u all
    (n, N, H), and its output is sum_N read h + direct u.
    """

    rate: Tensor
    direct: Tensor
    u: Tensor
    step: Tensor
    write: Tensor
    read: Tensor

    def at(self, nodes: slice) -> "Selection":
        return Selection(self.rate, self.direct, *(part[nodes] for part in self[2:]))


class LinearCell(Cell):
    """c = sum_k a_k * c_k + b, with coefficients that depend on the input alone.

    A subclass implements `coefficients` and, where the output is not the state itself, `output`.
    There are no recurrent weights; edge gates have an input weight for every ordered slot.
    """

    @property
    def is_linear(self) -> bool:
        """Whether a step is given by `coefficients` alone."""
        return True

    @property
    def scans(self) -> bool:
        """Whether it is linear, and no subclass has overridden `forward` without `is_linear`."""
        return self.is_linear and _knows(type(self), "is_linear", "forward")

    @property
    def selects(self) -> bool:
        """Whether no subclass has overridden `coefficients` or `output` without `selection`."""
        return _knows(type(self), "selection", "coefficients", "output")

    @abc.abstractmethod
    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        """a (n, slots, S) and b (n, S) of z (n, G), for nodes with this number of predecessors.

        A dimension of a may be 1 where it is the same for all nodes or slots.
        """

    def selection(self, z: Tensor) -> Selection | None:
        """The `Selection` that `coefficients` on one slot and `output` compute with, if any."""
        return None

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        a, b = self.checked_coefficients(z, c.shape[1])
        return (a * c).sum(1) + b

    def checked_coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        """The coefficients; ValueError for other shapes than documented."""
        observer = frame().observer
        with nullcontext() if observer is None else observer.aside():
            a, b = self.coefficients(z, slots)
        if observer is not None:
            observer.coefficients(a)
        shape = (z.shape[0], self.state_sizes[0])
        if b.shape != shape or a.dim() != 3 or a.shape[1] not in (1, slots):
            raise ValueError(
                f"coefficients of {type(self).__name__} are a (n, slots, S) and b (n, S) with "
                f"n, S = {shape} and {slots} slots, got a {tuple(a.shape)} and b {tuple(b.shape)}"
            )
        return a, b

    @property
    def edge_columns(self) -> int:
        """None: coefficients are made of the input alone."""
        return 0

    @property
    def _gates(self) -> tuple[str, ...]:
        return (*self.node_gates, *self.edge_gates * (self.arity or 1))

    def _add_recurrent(self) -> None:
        pass

    def split(self, z: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H), and edge gates (n, K, H) where slots are ordered, else (n, 1, H).

        A cell may keep columns of its own behind those of the gates.
        """
        node = z[:, : len(self.node_gates) * self.hidden_size]
        edge = z[:, node.shape[1] : len(self._gates) * self.hidden_size]
        shape = (self.arity or 1, len(self.edge_gates), self.hidden_size)
        return self._shown(
            node.unflatten(1, (-1, self.hidden_size)).unbind(1), edge.unflatten(1, shape).unbind(2)
        )


def _knows(cell: type, name: str, *others: str) -> bool:
    """Whether `name` is defined in the same class as each of the others, or in a subclass of it."""

    def says(method: str) -> type:
        return next(one for one in cell.__mro__ if method in vars(one))

    return all(issubclass(says(name), says(other)) for other in others)


def shares(logits: Tensor, slots: int) -> tuple[Tensor, Tensor]:
    """A node's own share (n, H) and its predecessors' (n, slots, H), which sum to one.

    They are softmax(0, l_1, ..., l_K) of the logits l (n, K or 1, H) of the slots that count: on
    one slot 1 - s(l) and s(l), s the logistic function. A state that is a mean with such weights
    stays within the range of the candidates on every topology, however many paths lead to a node.
    """
    if slots == 1:
        return (-logits).sigmoid().squeeze(1), logits.sigmoid()
    logits = hide(logits.expand(-1, slots, -1))
    weights = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1).softmax(1)
    return weights[:, 0], weights[:, 1:]


def positive_candidate(v: Tensor) -> Tensor:
    """v + 1/2 where v >= 0, else s(v): continuous and positive (Feng et al. 2024, appendix B)."""
    return (v + 0.5).where(v >= 0, v.sigmoid())
