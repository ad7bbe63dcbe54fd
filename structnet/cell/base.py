"""The gate algebra: node gates and edge gates over ordered slots or unordered predecessors.

n: nodes, K: slots, H: hidden size.
"""

import abc
import inspect
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.aggregate import Attention, make_aggregate
from structnet.cell.frame import edge_terms, no_predecessors, observe
from structnet.cell.input import Input
from structnet.cell.product import is_recurrent, masked, product
from structnet.cell.renew import Renewable, orthogonal_blocks_
from structnet.cell.slots import counted, mean

Gates = tuple[Tensor, ...]


class Cell(Renewable):
    """One step at a node: `cell(z, *states)` returns the node's new states.

    z (n, G) is the input's half of every gate, computed by `project` for all nodes at once. Each of
    `states` (n, K, H) holds a state of the predecessors, zeros where one is absent; K is the arity,
    or the number of predecessors that the n nodes have in common where the arity is None. The new
    states are (n, H) each, the output first; a single one may be returned without a tuple.

    A subclass names its gates and writes its equations in `forward`. Node gates exist once per node
    and are linear in the input and all predecessors, edge gates exist once per predecessor. Ordered
    slots have weights of their own, and an edge gate sees every slot (Tai et al. 2015, eq. 10);
    unordered predecessors share weights: node gates see their `aggregate`, edge gates the one
    predecessor that they belong to (eq. 4). Recurrent weights are `recurrent`, for unordered
    predecessors also `recurrent_edge`, and those that a subclass names recurrent...

    Absent predecessors add nothing to a sum over slots, but must be left out of a mean, a maximum
    or a softmax: use `self.mean(h)` in place of `h.mean(1)`, and `self.present(h)` for others.
    """

    # The names of the states, the output first; by default the arguments of `forward` after z.
    states: tuple[str, ...] = ("h",)
    # A subclass may set these, for an instance before it calls `__init__`.
    node_gates: tuple[str, ...] = ()
    edge_gates: tuple[str, ...] = ()
    # The gates with columns in z, if not those above; `split` works only for those above.
    input_gates: tuple[str, ...] = ()
    # Gates whose recurrent matrix is diagonal.
    diagonal: tuple[str, ...] = ()
    # Whether every gate is normalised before its nonlinearity (Ba et al. 2016).
    layer_norm: bool = False
    # How unordered predecessors are combined for node gates: a name in `AGGREGATES`.
    aggregate: str = "sum"
    # The first state's size; None for the hidden size.
    output_size: Any = None
    # Whether the input ends with the node's own states in the layer below.
    reads_own: bool = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "forward" in vars(cls) and "states" not in vars(cls):
            _, _, *states = inspect.signature(cls.forward).parameters.values()
            if all(one.kind is not one.VAR_POSITIONAL for one in states):
                cls.states = tuple(one.name for one in states)

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        """Raises ValueError for a size below 1 or an aggregate with ordered slots."""
        super().__init__()
        if self.output_size is None:
            self.output_size = hidden_size
        self.input_size, self.hidden_size, self.arity = input_size, hidden_size, arity
        for name in ("input_size", "hidden_size", "output_size"):
            if not isinstance(size := getattr(self, name), int):
                raise ValueError(f"{name} is a whole number, got {size!r}")
            if size < 1:
                raise ValueError(f"{name} is at least 1, got {size}")
        size = len(self._gates) * hidden_size
        # A cell without gates gets the input as it is, unless it projects it itself.
        make = partial(Input, input_size, size, not self.layer_norm) if size else nn.Identity
        self.input: Any = make()
        if self.layer_norm:
            self.norm_gain = nn.Parameter(torch.ones(size))
            self.norm_bias = nn.Parameter(torch.zeros(size))
        self._add_recurrent()
        self.pool = self._make_pool()
        self.reset_parameters()

    def _make_pool(self) -> nn.Module | None:
        if self.arity is None:
            return make_aggregate(self.aggregate, self.output_size)
        usual = type(self).aggregate
        if self.aggregate != usual:
            raise ValueError(
                f"option 'aggregate' is for unordered predecessors, and {self.arity} ordered slots "
                f"have weights of their own, got {self.aggregate!r}; leave it {usual!r}, or take a "
                "topology of unordered predecessors (graph, or tree with topology.arity=null)"
            )
        return None

    def _add_recurrent(self) -> None:
        size, slots = self.hidden_size, self.arity or 1
        node, edge = (
            len([gate for gate in gates if gate not in self.diagonal]) * size
            for gates in (self.node_gates, self.edge_gates)
        )
        if self.arity is None:
            self.recurrent = nn.Parameter(torch.empty(self.output_size, node))
            self.recurrent_edge = nn.Parameter(torch.empty(self.output_size, edge))
        else:
            columns = node + slots * edge
            self.recurrent = nn.Parameter(torch.empty(slots * self.output_size, columns))
        if self.diagonal:
            if self.output_size != size:
                raise ValueError(
                    f"a diagonal recurrent matrix is square, got {self.output_size} x {size}; "
                    "leave out diagonal gates or the projection"
                )
            self.diagonal_recurrent = nn.Parameter(torch.ones(slots, len(self.diagonal), size))

    @property
    def edge_columns(self) -> int:
        """The number of terms that an edge's features add to edge gates, and then to a score."""
        return len(self.edge_gates) * self.hidden_size + isinstance(self.pool, Attention)

    @abc.abstractmethod
    def forward(self, z: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, ...]: ...

    def output(self, z: Tensor, *states: Tensor) -> Tensor:
        """The output (N, output_size) for the layer above, for all nodes at once."""
        return states[0]

    @property
    def _gates(self) -> tuple[str, ...]:
        """The gates in the order of their columns in z."""
        return self.input_gates or (*self.node_gates, *self.edge_gates)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """The size of every state; the first is the output, unless `output` is overridden."""
        return (self.output_size, *(self.hidden_size,) * (len(self.states) - 1))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise parameters and buffers as a new cell does, given the same random state.

        Glorot for inputs, orthogonal blocks for recurrent weights, zero biases, and what `__init__`
        does besides. Raises ValueError for a tensor that was added later, or that is now computed
        in a way that has no inverse.
        """
        if isinstance(self.input, nn.Linear):
            nn.init.xavier_uniform_(self.input.weight, gain=self._gain())
            if self.input.bias is not None:
                nn.init.zeros_(self.input.bias)
        for name, weight in self.named_parameters(recurse=False):
            if is_recurrent(name):
                orthogonal_blocks_(weight, self.output_size, self.hidden_size)

    def _gain(self) -> float:
        # Glorot's bound for one gate, not for all gates stacked in one matrix.
        together = self.input_size + self.input.out_features
        return (together / (self.input_size + self.hidden_size)) ** 0.5

    def bias(self, gate: str) -> Tensor:
        """The bias of a gate (H,), for initialisation."""
        at = self._gates.index(gate) * self.hidden_size
        bias = self.norm_bias if self.layer_norm else self.input.bias
        return bias.data[at : at + self.hidden_size]

    def project(self, x: Tensor) -> Tensor:
        """The input's half of every gate, (N, input_size) -> (N, G)."""
        return self.input(x)

    def gates(self, z: Tensor, h: Tensor) -> tuple[Gates, Gates]:
        """Node gates (n, H) and edge gates (n, K, H) before their nonlinearity."""
        if no_predecessors():
            node, edge = self.split(z)
            both = node, tuple(gate.expand(-1, h.shape[1], -1) for gate in edge)
        elif self.arity == 1 and not self.diagonal:
            both = self.split(z + product(h.flatten(1), self.recurrent))
        else:
            node, edge = self.split(z)
            node_h, edge_h = self.recur(h)
            both = _add(node, node_h), _add(edge, edge_h)
        return self._shown(*self._normalise(*both)) if self.layer_norm else self._shown(*both)

    def split(self, z: Tensor) -> tuple[Gates, Gates]:
        """The input's half of node gates (n, H) and edge gates (n, 1, H)."""
        chunks = _chunks(z, self.hidden_size)
        count = len(self.node_gates)
        return self._shown(chunks[:count], tuple(chunk.unsqueeze(1) for chunk in chunks[count:]))

    def _shown(self, node: Gates, edge: Gates) -> tuple[Gates, Gates]:
        """The gates, after showing them to an observer."""
        observe((*self.node_gates, *self.edge_gates), (*node, *edge))
        return node, edge

    def pooled(self, h: Tensor) -> Tensor:
        """The input of node gates: ordered slots (n, K, H), or the aggregate (n, 1, H)."""
        if self.pool is None:
            return h
        if isinstance(self.pool, Attention) and (terms := edge_terms()) is not None:
            return self.pool(h, terms[..., -1:]).unsqueeze(1)
        return self.pool(h).unsqueeze(1)

    def recur(self, h: Tensor, pooled: Tensor | None = None) -> tuple[Gates, Gates]:
        """The predecessors' half of node gates (n, H) and edge gates (n, K, H).

        `pooled` is `self.pooled(h)`, for a cell that has computed it already.
        """
        size = self.hidden_size
        pooled = self.pooled(h) if pooled is None else pooled
        if self.arity is None:
            node = _chunks(product(pooled.flatten(1), self.recurrent), size)
            edge = _chunks(product(h, self.recurrent_edge), size)
        else:
            node_size = sum(gate not in self.diagonal for gate in self.node_gates) * size
            both = product(h.flatten(1), self.recurrent)
            node, edge = both.split([node_size, both.shape[1] - node_size], dim=1)
            node = _chunks(node, size)
            edge = edge.unflatten(1, (-1, self.arity, size)).unbind(1) if edge.shape[1] else ()
        if self.diagonal:
            node, edge = self._with_diagonal(h, pooled, node, edge)
        if self.edge_gates and (terms := edge_terms()) is not None:
            edge = _add(edge, terms[..., : len(edge) * size].split(size, dim=-1))
        return self._shown(node, edge)

    def present(self, states: Tensor) -> Tensor:
        """A mask (n, K, 1) of the predecessors that count in a mean, a maximum or a softmax.

        `states` (n, K, ...) are any of those that the cell was called with. Present predecessors
        count; at a node without any, one null state does, as at the first step of a chain.
        """
        found = counted()
        return states.new_ones(*states.shape[:2], 1, dtype=torch.bool) if found is None else found

    def mean(self, values: Tensor) -> Tensor:
        """The mean (n, S) of values (n, K, S) over the predecessors that are `present`."""
        return mean(values)

    def new_recurrent(self) -> nn.Parameter:
        """The recurrent matrix of one more node gate, for use in `_add_recurrent`."""
        rows = (self.arity or 1) * self.output_size
        return nn.Parameter(torch.empty(rows, self.hidden_size))

    def recur_alone(self, h: Tensor, weight: Tensor) -> Tensor:
        """The predecessors' half (n, H) of one node gate, of states such as r * h (n, K, H)."""
        return product(h.sum(1) if self.arity is None else h.flatten(1), weight)

    def _with_diagonal(
        self, h: Tensor, pooled: Tensor, node: Gates, edge: Gates
    ) -> tuple[Gates, Gates]:
        """All gates in order, those with a diagonal matrix between those with a full one."""
        full = iter((*node, *edge))
        scale = dict(zip(self.diagonal, self.diagonal_recurrent.unbind(1), strict=True))
        gates, h, pooled = [], masked(h), masked(pooled)
        for gate in self._gates:
            if gate not in scale:
                gates.append(next(full))
            elif gate in self.node_gates:
                gates.append((pooled * scale[gate]).sum(1))
            else:
                gates.append(h * scale[gate])
        count = len(self.node_gates)
        return tuple(gates[:count]), tuple(gates[count:])

    def _normalise(self, node: Gates, edge: Gates) -> tuple[Gates, Gates]:
        gains, biases = (_chunks(all, self.hidden_size) for all in (self.norm_gain, self.norm_bias))
        normal = tuple(
            F.layer_norm(gate, gain.shape, gain, bias)
            for gate, gain, bias in zip((*node, *edge), gains, biases, strict=True)
        )
        return normal[: len(node)], normal[len(node) :]


def _chunks(gates: Tensor, size: int) -> Gates:
    return gates.split(size, dim=-1) if gates.shape[-1] else ()


def _add(left: Gates, right: Gates) -> Gates:
    return tuple(a + b for a, b in zip(left, right, strict=True))
