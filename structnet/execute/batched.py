"""Level by level: one cell call for all nodes that are ready together.

The executor owns backward. A level's inputs are leaves of a small graph of its own, so autograd
never sees a write into the state buffer; the gradients of recurrent weights are one product over
all nodes after the sweep.
"""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from structnet.cell.call import States, call, edges_of
from structnet.cell.frame import Frame, Product, Tape
from structnet.execute.cell_tensors import (
    CellTensors,
    is_plain_leaf,
    leaf_copies,
    leaves_of,
    unknown_tensor,
)
from structnet.execute.executor import Executor, Pass
from structnet.execute.sweep import Sweep
from structnet.topology.plan import Step

# A step, its inputs (z, the predecessors' states, edge terms), the new states, its products.
StepGraph = tuple[Step, list[Tensor], States, list[Product]]


class Batched(Executor):
    """Level by level: one cell call for all nodes that are ready together. Any cell, any plan."""

    takes = frozenset(
        ["states", "edges", "dropout", "zoneout", "weight_drop", "truncate", "windows"]
    )

    def run(self, p: Pass) -> tuple[Tensor, States]:
        is_one_call = len(p.plan.steps) == 1
        return p.with_output(_one_call(p) if is_one_call else BatchedSweep(p).run(p.z, p.initial))


def _one_call(p: Pass) -> States:
    """The states where no node reads another: one call of the cell, which autograd sees."""
    (step,) = p.plan.steps
    alone = p.initial is None and (p.edges is None or not p.plan.num_initial)
    states = [_read(p, step, index) for index in range(len(p.cell.state_sizes))]
    counts = p.plan.counts
    present = None if counts is None else counts.view(len(p.x), step.slots, 1)
    edges = None if alone else edges_of(p.edges, step.slots)
    around = Frame(None, alone, present, edges, p.masks.dropout)
    out = call(p.cell, p.z, *states, around=around, zoneout=p.masks.zoneout)
    return tuple(state.to(p.dtype) for state in out)


def _read(p: Pass, step: Step, index: int) -> Tensor:
    """What nodes read of the initial states (n, K, S), or zeros."""
    shape = len(p.x), step.slots, -1
    none = p.z.new_zeros(1, p.cell.state_sizes[index], dtype=p.dtype)
    if p.initial is None:
        return none.expand(*shape)
    given = torch.cat([none, p.initial[index].to(p.dtype)])
    return given.index_select(0, p.plan.rows).view(shape)


class BatchedSweep(Sweep):
    """One forward pass of a cell over a plan, and its backward."""

    def __init__(self, p: Pass):
        super().__init__(p)
        self.cell, self.edges, self.masks = p.cell, p.edges, p.masks
        self.asks_for_gradients = torch.is_grad_enabled()
        self.cell_tensors = CellTensors(self.cell if self.asks_for_gradients else nn.Module())
        learning = [one for one in self.cell_tensors.tensors if one.requires_grad]
        leaves = [one for one in learning if is_plain_leaf(one)]
        # Computed from others, as by functional_call: graphs of steps have to end at copies.
        self.computed = [one for one in learning if not is_plain_leaf(one)]
        self.copies = leaf_copies(self.computed)
        self.own = (*leaves, *self.copies.values())
        self.learning_edges = [p.edges] if p.edges is not None and p.edges.requires_grad else []
        self.learning = (*learning, *self.learning_edges)
        # What the cell turns out to use: it may hold outdated tensors.
        self.used = set(map(id, leaves))
        self.tape = Tape(frozenset(self.own))
        self.graphs: list[StepGraph] = []

    def forward(self, z: Tensor, initial: States, keep: bool) -> States:
        self.z_shape, self.z_dtype = z.shape, z.dtype
        buffers = self.state_buffers(initial, z)
        self.keep, first = keep, self.plan.first_row
        with self.cell_tensors.replaced(self.copies):
            for step in self.plan.steps:
                # Even if no known tensor needs a gradient, so that unknown ones are noticed.
                with torch.set_grad_enabled(self.asks_for_gradients):
                    leaves, out = self._step(step, z, buffers)
                for buffer, state in zip(buffers, out, strict=True):
                    buffer[first + step.start : first + step.stop] = state.detach()
                recorded = self.tape.take()
                self._note_used(leaves, out, recorded)
                if keep:
                    self.graphs.append((step, leaves, out, recorded))
        return tuple(buffer[first:] for buffer in buffers)

    def _note_used(self, leaves: list[Tensor], out: States, recorded: list[Product]) -> None:
        """Raises ValueError if the cell uses a tensor whose gradient would be lost."""
        inputs = set(map(id, leaves))
        self.used.update(id(weight) for weight, _, _ in recorded)
        for leaf in leaves_of(out):
            if id(leaf) in inputs or id(leaf) in self.used:
                continue
            if not any(leaf is one for one in self.own):
                raise unknown_tensor(leaf)
            self.used.add(id(leaf))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        leaves = self.own[: len(self.own) - len(self.computed)]
        used = [one for one in self.computed if id(self.copies[id(one)]) in self.used]
        return (*leaves, *used, *self.learning_edges)

    def _step(self, step: Step, z: Tensor, buffers: list[Tensor]) -> tuple[list[Tensor], States]:
        count = step.stop - step.start
        # The features of an edge from an initial state count, even where the state is not given.
        is_edge = self.edges is not None and self.plan.num_initial > 0
        alone = not self.has_initial and step.stop <= self.plan.levels[1] and not is_edge
        leaf = z[step.nodes].detach().requires_grad_(self.keep)
        if alone:
            # Not the buffer's null row: the graph must not see the buffer being written.
            states = [b.new_zeros(1, 1, b.shape[1]).expand(count, step.slots, -1) for b in buffers]
            leaves, edges = [leaf], None
        else:
            rows = self.plan.rows[step.reads]
            states = [
                buffer.index_select(0, rows).view(count, step.slots, -1).requires_grad_(self.keep)
                for buffer in buffers
            ]
            leaves, edges = [leaf, *states], None
            if self.edges is not None:
                terms = self.edges[step.reads].detach().requires_grad_(self.keep)
                leaves.append(terms)
                edges = edges_of(terms, step.slots)
        counts, present = self.plan.counts, None
        if counts is not None:
            present = counts[step.reads].view(count, step.slots, 1)
        dropout, zoneout = self.masks.at(step.nodes)
        around = Frame(self.tape, alone, present, edges, dropout)
        return leaves, call(self.cell, leaf, *states, around=around, zoneout=zoneout)

    @torch.no_grad()
    def backward(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        buffers = self.gradient_buffers(grads)
        grad_z = buffers[0].new_zeros(self.z_shape, dtype=self.z_dtype)
        grad_edges = [torch.zeros_like(one) for one in self.learning_edges]
        totals: dict[Tensor, Tensor] = {}
        products: defaultdict[Tensor, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for step, leaves, out, recorded in self._graphs_backwards():
            found = self._step_gradients(step, leaves, out, recorded, buffers)
            if found[0] is not None:
                grad_z[step.nodes] = found[0]
            rows, read = self.plan.rows[step.reads], found[1 : len(leaves)]
            for buffer, grad in zip(buffers, read, strict=False):
                if grad is not None:
                    buffer.index_add_(0, rows, grad.flatten(0, 1).to(buffer.dtype))
            if grad_edges and len(read) > len(buffers) and read[-1] is not None:
                grad_edges[0][step.reads] = read[-1]
            found = found[len(leaves) :]
            for (weight, x, _), grad in zip(recorded, found, strict=False):
                if grad is not None:
                    products[weight].append((x.flatten(0, -2), grad.flatten(0, -2)))
            for parameter, grad in zip(self.own, found[len(recorded) :], strict=True):
                if grad is not None:
                    totals[parameter] = totals[parameter] + grad if parameter in totals else grad
        for weight, pairs in products.items():
            x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            grad = (x.T @ y).to(weight.dtype)
            totals[weight] = totals[weight] + grad if weight in totals else grad
        used = [one for one in self.own if id(one) in self.used]
        return grad_z, *self.initial_of(buffers), *map(totals.get, used), *grad_edges

    def _graphs_backwards(self) -> Iterator[StepGraph]:
        """The steps' graphs, last first, each released after use."""
        if len(self.graphs) < len(self.plan.steps):
            raise self.released()
        if self.retains_graph():
            yield from reversed(self.graphs)
            return
        while self.graphs:
            yield self.graphs.pop()

    def _step_gradients(
        self,
        step: Step,
        leaves: list[Tensor],
        out: States,
        recorded: list[Product],
        buffers: list,
    ) -> tuple[Tensor | None, ...]:
        """The gradients of a step's inputs, of its products and of the parameters."""
        first = self.plan.first_row
        rows = slice(first + step.start, first + step.stop)
        pairs = [
            (state, buffer[rows].to(state.dtype))
            for state, buffer in zip(out, buffers, strict=True)
            if state.requires_grad
        ]
        inputs = (*leaves, *(y for _, _, y in recorded), *self.own)
        if not pairs:
            return (None,) * len(inputs)
        outputs, grads = zip(*pairs, strict=True)
        return torch.autograd.grad(
            outputs, inputs, grads, retain_graph=self.retains_graph(), allow_unused=True
        )
