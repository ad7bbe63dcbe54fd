"""Cells as graphs, cut at their products with weights.

A cell is called once, on tensors without data, and its graph is cut at every product y_j = x_j w_j
with a matrix that is computed from parameters alone. What remains are functions of z, the
predecessors' states, the parameters and the y: one for each x_j, and one for the new states.

n: nodes, K: slots, S: size of a state.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from structnet.cell.call import call
from structnet.cell.frame import Frame, Tape
from structnet.execute.compiled.graph import (
    LINEAR,
    VIEWS,
    addmm,
    copy,
    expression,
    factors_of,
    source_of,
)
from structnet.execute.compiled.refusal import reason, refusal
from structnet.execute.compiled.signature import Product, Signature, tensors_of

aten = torch.ops.aten
# Values of the symbolic sizes while tracing.
NODES, SLOTS, ROWS = 1021, 3, 4093


class Trace:
    """The graph of a cell's step, with tensors without data to run it on."""

    def __init__(self, cell: Any, signature: Signature):
        """ValueError for a cell that can't be traced."""
        self.signature, self.sizes = signature, tuple(cell.state_sizes)
        # Nodes without predecessors may read any number of absent ones.
        self.slots = signature.slots or (1 if signature.alone else SLOTS)
        self.fake = FakeTensorMode(shape_env=ShapeEnv())
        named = tensors_of(cell)
        self.learns = [tensor.requires_grad for tensor in named.values()]
        self._imagine(list(named.values()))
        self.graph = self._trace(copy_of(cell), list(named))

    def cut(self) -> None:
        """Cut the graph at its products."""
        holders = self.graph.graph.find_nodes(op="placeholder")
        self._read = holders[1 : 1 + len(self.sizes)]
        self._local = (
            holders[: 1 + len(self.sizes)] + holders[len(holders) - self.signature.counts :]
        )
        self.cuts, self._zeros = self._find_products()
        self.products = [self._product(node) for node in self.cuts]
        self.ys = [self.like_rows(one, one.columns) for one in self.products]

    def _imagine(self, tensors: Sequence[Tensor]) -> None:
        s = self.signature
        z = torch.empty(NODES, sum(s.columns), dtype=s.dtype, device=s.device)
        rows = torch.empty(NODES, self.slots, dtype=torch.int64, device=s.device)
        shape = (ROWS,) if self.gathers else (NODES, self.slots)
        states = [torch.empty(*shape, k, dtype=s.state_dtype, device=s.device) for k in self.sizes]
        self.z = self._without_data(z, 1)
        varying = 1 if s.slots or s.alone else 2
        self.rows = self._without_data(rows, varying)
        self.states = [self._without_data(state, len(shape)) for state in states]
        self.tensors = [self._without_data(tensor.detach()) for tensor in tensors]
        self.counts = [self._without_data(rows > 0, varying)] if s.counts else []

    def _without_data(self, tensor: Tensor, varying: int = 0) -> Tensor:
        """The first `varying` sizes are symbols, equal ones the same."""
        kinds = [DimDynamic.DUCK] * varying + [DimDynamic.STATIC] * (tensor.dim() - varying)
        context = StatelessSymbolicContext(dynamic_sizes=kinds)
        return self.fake.from_tensor(tensor, symbolic_context=context)

    @property
    def gathers(self) -> bool:
        """Whether kernels read the predecessors' states from buffers themselves.

        A loop over a fixed number of slots is unrolled; one over a varying number prevents
        vectorisation.
        """
        return self.signature.slots is not None

    def read(self, z: Tensor, rows: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
        """The predecessors' states (n, K, S)."""
        if not self.signature.alone:
            return [state[rows] for state in states] if self.gathers else list(states)
        zero = z.new_zeros(z.shape[0], self.slots, 1, dtype=self.signature.state_dtype)
        return [zero.expand(-1, -1, size) for size in self.sizes]

    def _trace(self, cell: nn.Module, names: Sequence[str]) -> fx.GraphModule:
        """A graph from z, the predecessors' states, the cell's tensors and masks to new states."""

        def step(z: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
            states, others = others[: len(self.sizes)], others[len(self.sizes) :]
            tensors = dict(zip(names, others, strict=False))
            return self.call(cell, tensors, z, *states, *others[len(names) :])

        with self.fake, torch.no_grad():
            states = self.read(self.z, self.rows, self.states)
            try:
                graph = make_fx(
                    torch.func.functionalize(step, remove="mutations"),
                    decomposition_table={aten.addmm.default: addmm, aten.copy.default: copy},
                )(self.z, *states, *self.tensors, *self.counts)
            except Exception as error:
                raise refusal(cell, reason(error)) from error
        return graph

    def call(
        self, cell: nn.Module, tensors: dict[str, Tensor], z: Tensor, *read: Tensor
    ) -> tuple[Tensor, ...]:
        """The new states that the cell itself returns, with these in place of its own tensors."""
        states, counts = read[: len(self.sizes)], read[len(self.sizes) :]
        dropout = zoneout = None
        if any(self.signature.columns[1:]):
            z, *masks = z.split(self.signature.columns, dim=1)
            # No gradient is to be computed for noise.
            dropout, zoneout = (mask.detach() if mask.shape[1] else None for mask in masks)
        alone = self.signature.alone
        present = counts[0].unsqueeze(2) if counts else None
        around = Frame(_Alone() if alone else None, alone, present, dropout=dropout)
        return call(cell, z, *states, around=around, zoneout=zoneout, tensors=tensors)

    def _find_products(self) -> tuple[list[fx.Node], set[fx.Node]]:
        """The products of values of nodes with weights, and those of them whose x is zero."""
        local: dict[fx.Node, bool] = {}
        cuts, zeros = [], set()
        for node in self.graph.graph.nodes:
            local[node] = node in self._local or any(map(local.get, node.all_input_nodes))
            if node.target is aten.mm.default:
                x, w = factors_of(node)
                if local[x] and not local[w] and self._rows_of(x):
                    if self._is_zero(x):
                        zeros.add(node)
                    else:
                        cuts.append(node)
        return cuts, zeros

    def _rows_of(self, node: fx.Node) -> int | None:
        """Rows of a graph's node per node of the plan; None if they are not those of nodes."""
        nodes, count = self.z.shape[0], expression(node.meta["val"].shape[0])
        if count == expression(nodes):
            return 1
        return self.slots if count == expression(nodes * self.rows.shape[1]) else None

    def _is_zero(self, node: fx.Node) -> bool:
        node = source_of(node, LINEAR)
        return self.signature.alone and node in self._read

    def _product(self, node: fx.Node) -> Product:
        x, w = factors_of(node)
        per_slot = self._rows_of(x) != 1
        x = source_of(x, VIEWS)
        state = self._read.index(x) if x in self._read and not self.signature.alone else None
        inner, columns = w.meta["val"].shape
        return Product(inner, columns, node.meta["val"].dtype, per_slot, state)

    def like_rows(self, product: Product, columns: int) -> Tensor:
        """A tensor without data, with the rows of the product."""
        rows = self.z.shape[0] * (self.rows.shape[1] if product.per_slot else 1)
        with self.fake:
            return torch.empty(rows, columns, dtype=product.dtype, device=self.signature.device)

    def evaluate(
        self, ys: Sequence[Tensor], *given: Tensor
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Every x_j and the new states, given every y_j and the graph's inputs."""
        replay = _Replay(self.graph, dict(zip(self.cuts, ys, strict=True)), self._zeros)
        out = replay.run(*given)
        return replay.xs, out

    def weights(self) -> fx.GraphModule:
        """The matrices w_j as a function of the graph's inputs, using the cell's tensors alone."""
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(self.graph.graph, copies)
        graph.output(tuple(copies[factors_of(node)[1]] for node in self.cuts))
        graph.eliminate_dead_code()
        return fx.GraphModule(self.graph, graph)


class _Replay(fx.Interpreter):
    """Runs a graph with given results of its products."""

    def __init__(self, graph: fx.GraphModule, ys: dict[fx.Node, Tensor], zeros: set[fx.Node]):
        super().__init__(graph)
        self.ys, self.zeros = ys, zeros
        self.xs: list[Tensor] = []

    def run_node(self, n: fx.Node) -> Any:
        if n in self.ys:
            self.xs.append(self.env[factors_of(n)[0]])
            return self.ys[n]
        if n in self.zeros:
            x, w = (self.env[one] for one in factors_of(n))
            return x.new_zeros(1, 1).expand(x.shape[0], w.shape[1])
        return super().run_node(n)


class _Alone(Tape):
    """Products of nodes without predecessors are zero."""

    def product(self, x: Tensor, weight: Tensor, skip: bool) -> Tensor:
        if not skip:
            return x @ weight
        return x.new_zeros(1).expand(*x.shape[:-1], weight.shape[1])


def copy_of(module: nn.Module, made: dict[nn.Module, nn.Module] | None = None) -> nn.Module:
    """A shallow copy of a module and its children, with the same tensors."""
    made = {} if made is None else made
    if module not in made:
        # Some modules can't be copied in the usual way.
        made[module] = new = object.__new__(type(module))
        new.__dict__.update(vars(module))
        new._parameters, new._buffers = dict(module._parameters), dict(module._buffers)
        new._modules = {
            name: child and copy_of(child, made) for name, child in module._modules.items()
        }
    return made[module]
