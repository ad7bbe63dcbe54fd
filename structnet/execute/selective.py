"""Selective state space models on chains: a scan that need not store the states.

The states are many times larger than input and output, and reading them from memory is slower than
computing them. So a sequence is processed in blocks that fit in a cache, and backward recomputes
the states of a block from its selection and the state before it: Gu and Dao (2023), section 3.3.2,
with a cache for their SRAM.

n: nodes, by time; N: states of a channel, H: channels.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.cell.call import States
from structnet.cell.linear import Selection
from structnet.execute.chains import Chains
from structnet.execute.executor import Pass
from structnet.execute.linear_recurrence import CHUNK, linear_recurrence, recur
from structnet.execute.transform import refuse_batches

# Bytes of a block's states: several such buffers fit in a CPU's cache; other devices need larger
# blocks to be busy.
CPU_BLOCK = 2**21
BLOCK = 2**28


def scan_selection(p: Pass, chains: Chains, selection: Selection) -> tuple[Tensor, States]:
    """The output of every node, by rank, and the states too if they are wanted, else ().

    `selection` is by time.
    """
    # Under autocast a selection is of lower precision than the states have to be.
    selection = Selection(*(part.to(p.dtype) for part in selection))
    heads = start = None
    if not chains.are_abreast:
        heads = chains.heads
    elif p.initial is not None:
        start = chains.before(p.initial[0]).view(-1, *selection.rate.shape)
    layout = Layout(chains.width, heads)
    found = _Scan.apply(layout, p.with_states, start, *selection)
    output, *states = map(chains.by_rank, found)
    return output, tuple(states)


@dataclass(frozen=True)
class Layout:
    """How nodes follow one another: in sequences, of which `width` lie side by side.

    `heads`, ascending, are the nodes that do not read the one before; None where all of them do.
    """

    width: int
    heads: Tensor | None

    def by_step(self, x: Tensor) -> Tensor:
        """(T, S) of (n, N, H)."""
        return x.view(-1, self.width * x.shape[1] * x.shape[2])


class _Scan(torch.autograd.Function):
    """The output (n, H) and, if they are wanted, the states (n, N H)."""

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
    if layout.heads is not None:
        a = a.index_fill(0, layout.heads, 0)
    if start is not None:
        first, rest = b.tensor_split([layout.width])
        b = torch.cat([first + a[: layout.width] * start, rest])
    h = linear_recurrence(layout.by_step(a), layout.by_step(b), starts=layout.heads).view_as(b)
    return (of.read.unsqueeze(2) * h).sum(1) + of.direct * of.u, h.flatten(1)


class _Sweep:
    """A pass over the nodes of a selection and its backward, block by block."""

    def __init__(self, layout: Layout, keep: bool, of: Selection):
        self.layout, self.width, self.keep, self.of = layout, layout.width, keep, of
        size = CPU_BLOCK if of.rate.device.type == "cpu" else BLOCK
        step = self.width * of.rate.numel() * of.rate.element_size()
        # One step more than whole chunks, which lie between its first and its last step.
        rows = (max(1, size // step // CHUNK) * CHUNK + 1) * self.width
        count = len(of.u)
        self.blocks = [slice(first, min(first + rows, count)) for first in range(0, count, rows)]
        self.rows = self.blocks[0].stop
        self.heads = self._heads_of_blocks()
        # exp2 takes a third of the time that exp takes.
        self.exponent = of.rate / -math.log(2)
        self.a = self._buffer(self.rows)

    def _heads_of_blocks(self) -> list[Tensor | None]:
        """The heads within every block, counted from its first node."""
        heads = self.layout.heads
        if heads is None:
            return [None] * len(self.blocks)
        firsts = torch.tensor([nodes.start for nodes in self.blocks], device=heads.device)
        cuts = [*torch.searchsorted(heads, firsts).tolist(), len(heads)]
        return [
            heads[start:stop] - nodes.start
            for nodes, start, stop in zip(self.blocks, cuts, cuts[1:], strict=False)
        ]

    def forward(self, start: Tensor | None) -> tuple[Tensor, Tensor]:
        """The output (n, H); and the states, those before the first step first, if they are to be
        kept, else the states before every block."""
        width, output = self.width, self.of.u.new_empty(self.of.u.shape)
        h = self._buffer(width + (len(output) if self.keep else self.rows))
        h[:width] = 0 if start is None else start
        before = [h[:width].clone()]
        for nodes, heads in zip(self.blocks, self.heads, strict=True):
            some, states = self.of.at(nodes), self._states(h, nodes)
            self._make_states(some, self._make_a(some, heads), states, heads)
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
            some, states, heads = self.of.at(nodes), self._states(h, nodes), self.heads[number]
            a = self._make_a(some, heads)
            if not self.keep:
                states[:width] = kept[number]
                self._make_states(some, a, states, heads)
            own = g[: len(a)]
            of_own = None if of_states is None else of_states[nodes]
            self._make_gradients(some, a, own, grad[nodes], of_own, carried, heads)
            torch.mul(a[:width], own[:width], out=carried)
            if heads is not None:
                # None is carried from a head, be it infinite.
                carried.masked_fill_((heads[:1] == 0).any(), 0)
            self._collect(some, a, states, grad[nodes], own, found.at(nodes), heads)
        return carried, found

    def _states(self, h: Tensor, nodes: slice) -> Tensor:
        """Where the states of a block are, behind those before it."""
        stop = self.width + nodes.stop
        return h[nodes.start : stop] if self.keep else h[: stop - nodes.start]

    def _make_a(self, of: Selection, heads: Tensor | None) -> Tensor:
        a = torch.mul(of.step.unsqueeze(1), self.exponent, out=self.a[: len(of.step)]).exp2_()
        return a if heads is None else a.index_fill_(0, heads, 0)

    def _make_states(self, of: Selection, a: Tensor, states: Tensor, heads: Tensor | None) -> None:
        value = (of.step * of.u).unsqueeze(1)

        def fill() -> None:
            torch.mul(of.write.unsqueeze(2), value, out=states[self.width :])

        # The first row is the state before the block's first node.
        self._recur(fill, a, states, None if heads is None else F.pad(heads + 1, (1, 0)))

    def _make_gradients(
        self,
        of: Selection,
        a: Tensor,
        g: Tensor,
        grad: Tensor,
        of_states: Tensor | None,
        carried: Tensor,
        heads: Tensor | None,
    ) -> None:
        """Those of a block's states, of those of its output and states and of later states."""

        def fill() -> None:
            torch.mul(of.read.unsqueeze(2), grad.unsqueeze(1), out=g)
            if of_states is not None:
                g.add_(of_states.view_as(g))
            g[-self.width :] += carried

        starts = None if heads is None else torch.unique(F.pad(heads, (1, 0)))
        self._recur(fill, a[self.width :], g, starts, reverse=True)

    def _recur(
        self,
        fill: Callable[[], None],
        a: Tensor,
        h: Tensor,
        starts: Tensor | None,
        reverse: bool = False,
    ) -> None:
        recur(fill, self.layout.by_step(a), self.layout.by_step(h), starts, reverse)

    def _collect(
        self,
        of: Selection,
        a: Tensor,
        states: Tensor,
        grad: Tensor,
        g: Tensor,
        found: Selection,
        heads: Tensor | None,
    ) -> None:
        """Gradients of a block's selection, of those of its output and states; uses up a and g."""
        torch.bmm(grad.unsqueeze(1), states[self.width :].mT, out=found.read.unsqueeze(1))
        torch.bmm((of.step * of.u).unsqueeze(1), g.mT, out=found.write.unsqueeze(1))
        of_value = torch.bmm(of.write.unsqueeze(1), g).squeeze(1)
        torch.addcmul(of_value * of.step, of.direct, grad, out=found.u)
        found.direct.add_((grad * of.u).sum(0))
        # From here on g is the gradient of -rate step, and a is room for products.
        g.mul_(states[: -self.width]).mul_(a)
        if heads is not None:
            g.index_fill_(0, heads, 0)
        torch.sub(of_value * of.u, torch.mul(g, of.rate, out=a).sum(1), out=found.step)
        found.rate.sub_(torch.mul(g, of.step.unsqueeze(1), out=a).sum(0))

    def _buffer(self, count: int) -> Tensor:
        return self.of.rate.new_empty(count, *self.of.rate.shape)
