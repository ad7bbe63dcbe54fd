"""Cells that are linear in their state: run level by level anywhere, and by a scan on chains."""

import abc

from torch import Tensor

from structnet.cells.cell import Cell, Gates


class LinearCell(Cell):
    """c = sum_k a_k * c_k + b, with coefficients of the input alone.

    A subclass says `coefficients` and, where the output is not the state itself, `output`. Edge
    gates have a weight of the input for every ordered slot, as there are no recurrent weights.
    """

    @property
    def is_linear(self) -> bool:
        """Whether `coefficients` are all there is to a step."""
        return True

    @abc.abstractmethod
    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """a (n, K or 1, S) and b (n, S) of z (n, G)."""

    def forward(self, z: Tensor, c: Tensor) -> Tensor:
        a, b = self.coefficients(z)
        return (a * c).sum(1) + b

    @property
    def _gates(self) -> tuple[str, ...]:
        return (*self.node_gates, *self.edge_gates * (self.arity or 1))

    def _add_recurrent(self) -> None:
        pass

    def split(self, z: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H), and edge gates (n, K, H) where slots are ordered, else (n, 1, H)."""
        count = len(self.node_gates) * self.hidden_size
        node = z[:, :count].split(self.hidden_size, dim=1) if count else ()
        edge = z[:, count:].unflatten(1, (self.arity or 1, -1, self.hidden_size))
        return node, edge.unbind(2)
