"""Level by level: one cell call for all nodes that are ready together.

The executor owns backward. A level's inputs are leaves of a small graph of its own, so autograd
never sees a write into the state buffer; the gradients of recurrent weights are one product over
all nodes after the sweep.
"""

from collections import defaultdict
from collections.abc import Iterator

import torch
from torch import Tensor

from structnet.cell.base import Cell
from structnet.cell.product import Product, Tape, recording
from structnet.cell.states import call
from structnet.execute.held import Held, ends_graphs, foreign, leaves_below, stand_ins
from structnet.execute.sweep import (
    Step,
    gradient_buffers,
    keep_graph,
    released,
    run_sweep,
    state_buffers,
)
from structnet.topology.plan import Plan

# A step, its leaves (z, what it read of each state, its edges' terms), the states, its products.
Kept = tuple[Step, list[Tensor], tuple[Tensor, ...], list[Product]]


def run_batched(
    cell: Cell,
    plan: Plan,
    z: Tensor,
    initial: tuple[Tensor, ...] | None,
    edges: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The states of every node, by rank."""
    sweep = BatchedSweep(cell, plan, has_initial=initial is not None, edges=edges)
    return run_sweep(sweep, z, initial)


class BatchedSweep:
    """One pass of a cell over a plan, and the way back."""

    def __init__(self, cell: Cell, plan: Plan, has_initial: bool, edges: Tensor | None = None):
        self.cell, self.plan, self.has_initial, self.edges = cell, plan, has_initial, edges
        self.held = Held(cell)
        learning = [one for one in self.held.tensors if one.requires_grad]
        leaves = [one for one in learning if ends_graphs(one)]
        # Computed from others, as by functional_call: a step's graph must end there.
        self.computed = [one for one in learning if not ends_graphs(one)]
        self.stand_ins = stand_ins(self.computed)
        self.own = (*leaves, *self.stand_ins.values())
        self.learns_edges = edges is not None and edges.requires_grad
        self.learning = (*learning, edges) if self.learns_edges else learning
        # Of those computed, what the cell turned out to use: old ones may be left in it.
        self.used = set(map(id, leaves))
        # Those of every level are in a graph of its own, which looks after them.
        self.constants = ()
        self.first_row = 1 + plan.num_initial
        self.tape = Tape(frozenset(self.own))
        self.kept: list[Kept] = []
        self.asks_for_gradients = torch.is_grad_enabled()

    def forward(self, z: Tensor, initial: tuple[Tensor, ...], keep: bool) -> tuple[Tensor, ...]:
        self.z_shape, self.z_dtype = z.shape, z.dtype
        # Under autocast z is of lower precision than the states have to be.
        self.dtype = next(self.cell.parameters(), z).dtype
        buffers = state_buffers(self.plan, self.cell.state_sizes, self.dtype, initial, z)
        self.keep = keep
        with recording(self.tape), self.held.replaced(self.stand_ins):
            for step in self.plan.steps:
                # Even if no known tensor needs a gradient: an unknown one would show up here.
                with torch.set_grad_enabled(self.asks_for_gradients):
                    leaves, out = self._step(step, z, buffers)
                start, stop = step[:2]
                for buffer, state in zip(buffers, out, strict=True):
                    buffer[self.first_row + start : self.first_row + stop] = state.detach()
                noted = self.tape.take()
                self._note_used(leaves, out, noted)
                if keep:
                    self.kept.append((step, leaves, out, noted))
        return tuple(buffer[self.first_row :] for buffer in buffers)

    def _note_used(
        self, leaves: list[Tensor], out: tuple[Tensor, ...], noted: list[Product]
    ) -> None:
        """ValueError if the cell uses a tensor whose gradient the sweep would lose."""
        inputs = set(map(id, leaves))
        self.used.update(id(weight) for weight, _, _ in noted)
        for leaf in leaves_below(out):
            if id(leaf) in inputs or id(leaf) in self.used:
                continue
            if not any(leaf is one for one in self.own):
                raise foreign(leaf)
            self.used.add(id(leaf))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        leaves = self.own[: len(self.own) - len(self.computed)]
        used = [one for one in self.computed if id(self.stand_ins[id(one)]) in self.used]
        edges = [self.edges] if self.learns_edges else []
        return (*leaves, *used, *edges)

    def _step(
        self, step: Step, z: Tensor, buffers: list[Tensor]
    ) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        start, stop, slots, offset = step
        count = stop - start
        # An edge from an initial state has its say, even where the state is not given.
        is_edge = self.edges is not None and self.plan.num_initial > 0
        nobody = not self.has_initial and stop <= self.plan.levels[1] and not is_edge
        self.tape.no_predecessors = nobody
        places, counts = slice(offset, offset + count * slots), self.plan.counts
        present = None if counts is None else counts[places].view(count, slots)
        leaf = z[start:stop].detach().requires_grad_(self.keep)
        if nobody:
            # Not the buffer's null row: the graph must not see the buffer being written.
            states = [b.new_zeros(1, 1, b.shape[1]).expand(count, slots, -1) for b in buffers]
            return [leaf], call(self.cell, leaf, *states, present=present)
        rows = self.plan.rows[places]
        states = [
            buffer.index_select(0, rows).view(count, slots, -1).requires_grad_(self.keep)
            for buffer in buffers
        ]
        if self.edges is None:
            return [leaf, *states], call(self.cell, leaf, *states, present=present)
        edges = self.edges[places].detach().view(count, slots, -1)
        edges.requires_grad_(self.keep)
        out = call(self.cell, leaf, *states, edges=edges, present=present)
        return [leaf, *states, edges], out

    @torch.no_grad()
    def backward(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        """Gradients of z, the initial states and the parameters, in this order."""
        buffers = gradient_buffers(self.plan, self.cell.state_sizes, self.dtype, grads)
        grad_z = buffers[0].new_zeros(self.z_shape, dtype=self.z_dtype)
        grad_edges = None
        if self.learns_edges:
            grad_edges = torch.zeros_like(self.edges)
        totals: dict[Tensor, Tensor] = {}
        products: defaultdict[Tensor, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for step, leaves, out, noted in self._kept_backwards():
            found = self._step_gradients(step, leaves, out, noted, buffers)
            start, stop, slots, offset = step
            if found[0] is not None:
                grad_z[start:stop] = found[0]
            places = slice(offset, offset + (stop - start) * slots)
            rows, read = self.plan.rows[places], found[1 : len(leaves)]
            for buffer, grad in zip(buffers, read, strict=False):
                if grad is not None:
                    buffer.index_add_(0, rows, grad.flatten(0, 1).to(buffer.dtype))
            if grad_edges is not None and len(read) > len(buffers) and read[-1] is not None:
                grad_edges[places] = read[-1].flatten(0, 1)
            found = found[len(leaves) :]
            for (weight, x, _), grad in zip(noted, found, strict=False):
                if grad is not None:
                    products[weight].append((x.flatten(0, -2), grad.flatten(0, -2)))
            for parameter, grad in zip(self.own, found[len(noted) :], strict=True):
                if grad is not None:
                    totals[parameter] = totals[parameter] + grad if parameter in totals else grad
        for weight, pairs in products.items():
            x, y = (torch.cat(parts) for parts in zip(*pairs, strict=True))
            grad = (x.T @ y).to(weight.dtype)
            totals[weight] = totals[weight] + grad if weight in totals else grad
        initial = [buffer[1 : self.first_row] for buffer in buffers] if self.has_initial else []
        used = [one for one in self.own if id(one) in self.used]
        edges = [grad_edges] if self.learns_edges else []
        return grad_z, *initial, *map(totals.get, used), *edges

    def _kept_backwards(self) -> Iterator[Kept]:
        """The steps' graphs, last first, each released when it has been used."""
        if len(self.kept) < len(self.plan.steps):
            raise released()
        if keep_graph():
            yield from reversed(self.kept)
            return
        while self.kept:
            yield self.kept.pop()

    def _step_gradients(
        self,
        step: Step,
        leaves: list[Tensor],
        out: tuple[Tensor, ...],
        noted: list[Product],
        buffers: list,
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the step's leaves, of its products and of the parameters."""
        rows = slice(self.first_row + step[0], self.first_row + step[1])
        pairs = [
            (state, buffer[rows].to(state.dtype))
            for state, buffer in zip(out, buffers, strict=True)
            if state.requires_grad
        ]
        inputs = (*leaves, *(y for _, _, y in noted), *self.own)
        if not pairs:
            return (None,) * len(inputs)
        outputs, grads = zip(*pairs, strict=True)
        return torch.autograd.grad(
            outputs, inputs, grads, retain_graph=keep_graph(), allow_unused=True
        )
