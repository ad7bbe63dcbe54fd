"""Selective state space models on chains: a scan that need not keep the states.

The states are many times larger than what they are made of and than what is read of them, and
memory is slower than making them. So a sequence is swept in blocks that fit in a cache, and on the
way back the states of a block are made again, of its selection and the state before it: Gu and Dao
(2023), section 3.3.2, with a cache for their SRAM.

n: nodes, by time; N: states of a channel, H: channels.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structnet.cells.linear import LinearCell, Selection
from structnet.execute.hooks import compute_weights
from structnet.execute.scan import CHUNK, chains_of, linear_recurrence, recur_, run_scan
from structnet.execute.transform import refuse_batches
from structnet.plan import Plan

# Bytes of a block's states. On a CPU several such buffers fit in a cache, and the calls for a block
# are few beside its work; other devices want blocks that keep them busy.
CPU_BLOCK = 2**21
BLOCK = 2**28


def scan_output(
    cell: LinearCell, plan: Plan, z: Tensor, initial: tuple[Tensor, ...] | None, keep: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The output of every node, by rank, and the states too if they are to be kept, else ().

    ValueError for another cell or plan than `run_scan` takes.
    """
    chains = chains_of(cell, plan)
    compute_weights(cell)
    selection = cell.selection(chains.by_time(z)) if len(z) and cell.selects else None
    if selection is None or not (initial is None or chains.are_abreast):
        states = run_scan(cell, plan, z, initial)
        return cell.output(z, *states), states
    # Under autocast a selection is of lower precision than the states have to be.
    dtype = next(cell.parameters(), z).dtype
    selection = Selection(*(part.to(dtype) for part in selection))
    rate = selection.rate
    reads = start = None
    if not chains.are_abreast:
        reads = rate.new_ones(len(z), 1, 1).index_fill_(0, chains.heads, 0)
    elif initial is not None:
        start = chains.before(initial[0]).view(-1, *rate.shape)
    found = _Scan.apply(Layout(chains.width, reads), keep, start, *selection)
    output, *states = map(chains.by_rank, found)
    return output, tuple(states)


@dataclass(frozen=True)
class Layout:
    """How nodes follow one another: in sequences, of which `width` lie side by side.

    `reads` (n, 1, 1) is 0 for nodes that do not read the one before and 1 for others, or None where
    all of them do.
    """

    width: int
    reads: Tensor | None

    def by_step(self, x: Tensor) -> Tensor:
        """(T, S) of (n, N, H)."""
        return x.view(-1, self.width * x.shape[1] * x.shape[2])


class _Scan(torch.autograd.Function):
    """The output (n, H) and, if they are to be kept, the states (n, N H)."""

    @staticmethod
    def forward(
        ctx: Any, layout: Layout, keep: bool, start: Tensor | None, *parts: Tensor
    ) -> tuple[Tensor, ...]:
        output, kept = _Sweep(layout, keep, Selection(*parts)).forward(start)
        states = (kept[layout.width :].flatten(1),) if keep else ()
        ctx.layout, ctx.keep = layout, keep
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(kept, start, *parts)
        return output, *states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        refuse_batches(grads)
        kept, start, *parts = ctx.saved_tensors
        of = Selection(*parts)
        if not torch.is_grad_enabled():
            first, found = _Sweep(ctx.layout, ctx.keep, of).backward(kept, *grads)
            return None, None, None if start is None else first, *found
        # These gradients may be differentiated in turn.
        pairs = zip(_in_one(ctx.layout, start, of), grads, strict=False)
        outputs, grads = zip(*(pair for pair in pairs if pair[1] is not None), strict=True)
        needed = ctx.needs_input_grad[2:]
        inputs = [x for x, need in zip((start, *parts), needed, strict=True) if need]
        found = torch.autograd.grad(outputs, inputs, grads, create_graph=True, allow_unused=True)
        found = iter(found)
        return None, None, *(next(found) if need else None for need in needed)


def _in_one(layout: Layout, start: Tensor | None, of: Selection) -> tuple[Tensor, Tensor]:
    """The output and the states by operations that can be differentiated any number of times."""
    a = torch.exp(-of.rate * of.step.unsqueeze(1))
    b = of.write.unsqueeze(2) * (of.step * of.u).unsqueeze(1)
    if layout.reads is not None:
        a = a * layout.reads
    if start is not None:
        first, rest = b.tensor_split([layout.width])
        b = torch.cat([first + a[: layout.width] * start, rest])
    h = linear_recurrence(layout.by_step(a), layout.by_step(b)).view_as(b)
    return (of.read.unsqueeze(2) * h).sum(1) + of.direct * of.u, h.flatten(1)


class _Sweep:
    """A pass over the nodes of a selection, and the way back, block by block."""

    def __init__(self, layout: Layout, keep: bool, of: Selection):
        self.layout, self.width, self.keep, self.of = layout, layout.width, keep, of
        size = CPU_BLOCK if of.rate.device.type == "cpu" else BLOCK
        step = self.width * of.rate.numel() * of.rate.element_size()
        # One step more than whole chunks: so many are between its first and its last.
        rows = (max(1, size // step // CHUNK) * CHUNK + 1) * self.width
        count = len(of.u)
        self.blocks = [slice(first, min(first + rows, count)) for first in range(0, count, rows)]
        self.rows = self.blocks[0].stop
        # exp2 takes a third of the time that exp takes.
        self.exponent = of.rate / -math.log(2)
        self.a = self._buffer(self.rows)

    def forward(self, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """The output (n, H); and the states, those before the first step first, if they are to be
        kept, else the states before every block."""
        width, output = self.width, self.of.u.new_empty(self.of.u.shape)
        h = self._buffer(width + (len(output) if self.keep else self.rows))
        h[:width] = 0 if start is None else start
        before = [h[:width].clone()]
        for nodes in self.blocks:
            some, states = self.of.at(nodes), self._states(h, nodes)
            self._make_states(some, self._make_a(some, nodes), states)
            skip, read = (some.direct * some.u).unsqueeze(1), some.read.unsqueeze(1)
            torch.baddbmm(skip, read, states[width:], out=output[nodes].unsqueeze(1))
            if not self.keep:
                before.append(states[-width:].clone())
                h[:width] = before[-1]
        return output, h if self.keep else torch.stack(before[:-1])

    def backward(
        self, kept: Tensor, grad: Tensor | None, of_states: Tensor | None = None
    ) -> tuple[Tensor, Selection]:
        """The gradients of the states before the first step, and of the selection."""
        width, (rate, direct, *parts) = self.width, self.of
        found = Selection(
            torch.zeros_like(rate), torch.zeros_like(direct), *(x.new_empty(x.shape) for x in parts)
        )
        grad = torch.zeros_like(self.of.u) if grad is None else grad
        h, g = kept if self.keep else self._buffer(width + self.rows), self._buffer(self.rows)
        carried = torch.zeros_like(h[:width])
        for number, nodes in reversed(list(enumerate(self.blocks))):
            some, states = self.of.at(nodes), self._states(h, nodes)
            a = self._make_a(some, nodes)
            if not self.keep:
                states[:width] = kept[number]
                self._make_states(some, a, states)
            torch.mul(some.read.unsqueeze(2), grad[nodes].unsqueeze(1), out=g[: len(a)])
            if of_states is not None:
                g[: len(a)] += of_states[nodes].view_as(a)
            g[len(a) - width : len(a)] += carried
            self._recur(a[width:], g[: len(a)], reverse=True)
            torch.mul(a[:width], g[:width], out=carried)
            self._collect(some, a, states, grad[nodes], g[: len(a)], found.at(nodes))
        return carried, found

    def _states(self, h: Tensor, nodes: slice) -> Tensor:
        """Where the states of a block are, behind those before it."""
        stop = self.width + nodes.stop
        return h[nodes.start : stop] if self.keep else h[: stop - nodes.start]

    def _make_a(self, of: Selection, nodes: slice) -> Tensor:
        a = torch.mul(of.step.unsqueeze(1), self.exponent, out=self.a[: len(of.step)]).exp2_()
        return a if self.layout.reads is None else a.mul_(self.layout.reads[nodes])

    def _make_states(self, of: Selection, a: Tensor, states: Tensor) -> None:
        value = (of.step * of.u).unsqueeze(1)
        torch.mul(of.write.unsqueeze(2), value, out=states[self.width :])
        self._recur(a, states)

    def _recur(self, a: Tensor, h: Tensor, reverse: bool = False) -> None:
        recur_(self.layout.by_step(a), self.layout.by_step(h), reverse)

    def _collect(
        self, of: Selection, a: Tensor, states: Tensor, grad: Tensor, g: Tensor, found: Selection
    ) -> None:
        """Gradients of a block's selection, of those of its output and states; uses up a and g."""
        torch.bmm(grad.unsqueeze(1), states[self.width :].mT, out=found.read.unsqueeze(1))
        torch.bmm((of.step * of.u).unsqueeze(1), g.mT, out=found.write.unsqueeze(1))
        of_value = torch.bmm(of.write.unsqueeze(1), g).squeeze(1)
        torch.addcmul(of_value * of.step, of.direct, grad, out=found.u)
        found.direct.add_((grad * of.u).sum(0))
        # From here on g is the gradient of -rate step, and a is room for products.
        g.mul_(states[: -self.width]).mul_(a)
        torch.sub(of_value * of.u, torch.mul(g, of.rate, out=a).sum(1), out=found.step)
        found.rate.sub_(torch.mul(g, of.step.unsqueeze(1), out=a).sum(0))

    def _buffer(self, count: int) -> Tensor:
        return self.of.rate.new_empty(count, *self.of.rate.shape)
