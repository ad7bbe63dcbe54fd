"""The gate algebra: node gates and edge gates over ordered slots or unordered predecessors.

n: nodes, K: slots, H: hidden size.
"""

import abc
import inspect
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from structnet.cells.product import no_predecessors, product

Gates = tuple[Tensor, ...]


class Cell(nn.Module, abc.ABC):
    """One step at a node: `cell(z, *states)` gives the node's states.

    z is the input's half of every gate (n, G), computed by `project` for all nodes at once. Each
    state is (n, K, H), the states of the predecessors, zeros where one is absent; K is the arity,
    or what a group of nodes has in common where the arity is None. Returns the new states, (n, H)
    each (a tensor where there is one state), the output first.

    A subclass names its gates and writes its equations in `forward`. Node gates come once a node
    and are linear in the input and all predecessors, edge gates come once per predecessor. Ordered
    slots have weights of their own, and an edge gate sees every slot (Tai et al. 2015, eq. 10);
    unordered predecessors share their weights: node gates see the sum, an edge gate its own
    predecessor (eq. 4).
    """

    node_gates: ClassVar[tuple[str, ...]] = ()
    edge_gates: ClassVar[tuple[str, ...]] = ()

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        """ValueError for a size below 1."""
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if size < 1:
                raise ValueError(f"{name} is at least 1, got {size}")
        self.input_size, self.hidden_size, self.arity = input_size, hidden_size, arity
        node, edge = len(self.node_gates) * hidden_size, len(self.edge_gates) * hidden_size
        slots = arity or 1
        # Without gates of its own a cell gets the input as it is, unless it projects it itself.
        self.input = nn.Linear(input_size, node + edge) if node + edge else nn.Identity()
        if arity is None:
            self.recurrent = nn.Parameter(torch.empty(hidden_size, node))
            self.recurrent_edge = nn.Parameter(torch.empty(hidden_size, edge))
        else:
            self.recurrent = nn.Parameter(torch.empty(slots * hidden_size, node + slots * edge))
        self.reset_parameters()

    @abc.abstractmethod
    def forward(self, z: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]: ...

    @property
    def num_states(self) -> int:
        """The states that `forward` takes beside z."""
        return len(inspect.signature(self.forward).parameters) - 1

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The size of every state; the first is the output's."""
        return (self.hidden_size,) * self.num_states

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Glorot for inputs, orthogonal H x H blocks for the recurrence, zero biases."""
        if isinstance(self.input, nn.Linear):
            nn.init.xavier_uniform_(self.input.weight, gain=self._gain())
            nn.init.zeros_(self.input.bias)
        for name, weight in self.named_parameters(recurse=False):
            if name.startswith("recurrent"):
                for rows in weight.split(self.hidden_size):
                    for block in rows.split(self.hidden_size, dim=1):
                        nn.init.orthogonal_(block)

    def _gain(self) -> float:
        # Glorot's bound for one gate, not for all gates stacked in one matrix.
        gates = len(self.node_gates) + len(self.edge_gates)
        together = self.input_size + gates * self.hidden_size
        return (together / (self.input_size + self.hidden_size)) ** 0.5

    def project(self, x: Tensor) -> Tensor:
        """The input's half of every gate, (N, input_size) -> (N, G)."""
        return self.input(x)

    def gates(self, z: Tensor, h: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H) and edge gates (n, K, H) before their nonlinearity."""
        node, edge = self.split(z)
        if no_predecessors():
            return node, tuple(gate.expand(-1, h.shape[1], -1) for gate in edge)
        if self.arity == 1:
            node, edge = self.split(z + product(h.flatten(1), self.recurrent))
            return node, edge
        node_h, edge_h = self.recur(h)
        return _add(node, node_h), _add(edge, edge_h)

    def split(self, z: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H) and edge gates (n, 1, H) of the input's half."""
        chunks = _chunks(z, self.hidden_size)
        count = len(self.node_gates)
        return chunks[:count], tuple(chunk.unsqueeze(1) for chunk in chunks[count:])

    def recur(self, h: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H) and edge gates (n, K, H) of the predecessors' half."""
        size = self.hidden_size
        if self.arity is None:
            nodes = product(h.sum(1), self.recurrent) if self.node_gates else h[:, 0, :0]
            edges = product(h, self.recurrent_edge) if self.edge_gates else h[..., :0]
            return _chunks(nodes, size), _chunks(edges, size)
        both = product(h.flatten(1), self.recurrent)
        node = len(self.node_gates) * size
        edges = both[:, node:].unflatten(1, (len(self.edge_gates), self.arity, size))
        return _chunks(both[:, :node], size), edges.unbind(1)


def _chunks(gates: Tensor, size: int) -> Gates:
    return gates.split(size, dim=-1) if gates.shape[-1] else ()


def _add(left: Gates, right: Gates) -> Gates:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def as_states(out: Any) -> tuple[Tensor, ...]:
    """What a cell returned as a tuple of states."""
    return (out,) if isinstance(out, Tensor) else tuple(out)
