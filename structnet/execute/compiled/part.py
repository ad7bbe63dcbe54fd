"""The part of a pass that one program runs: kernels step by step, products level by level.

The rows of a level are contiguous in z, states, x and y, whatever the in-degrees of its nodes; so
are those of a chunk of levels, which has one product for the gradient of a weight.
"""

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor

from structnet.execute.compiled.program import Program
from structnet.execute.compiled.trace import Product
from structnet.topology.plan import Plan, Step

# The least number of nodes of a chunk, unless it is the last.
CHUNK = 4096


class Source(Protocol):
    """z of the nodes of a chunk, and where its gradient goes."""

    def z(self, nodes: slice, again: bool = False) -> Tensor: ...

    def grad_z(self, nodes: slice) -> Tensor:
        """Room for the gradient."""
        ...

    def hand_back(self, nodes: slice, grad: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Takes the gradient of z; returns those of the parameters that z was computed with."""
        ...


class Span:
    """Consecutive steps: their nodes, and the part of a plan's rows that they read."""

    def __init__(self, steps: Sequence[Step]):
        self.nodes = slice(steps[0].start, steps[-1].stop)
        self.reads = slice(steps[0].offset, steps[-1].reads.stop)

    def rows(self, product: Product) -> slice:
        return self.reads if product.per_slot else self.nodes

    def within(self, other: "Span", products: Sequence[Product]) -> list[slice]:
        """The rows of every product, counted from the first of another span."""
        return [_shift(self.rows(one), other.rows(one).start) for one in products]


class Group(Span):
    """A step, and where it is within its chunk and its level."""

    def __init__(self, step: Step, chunk: Span, level: Span, products: Sequence[Product]):
        super().__init__([step])
        self.slots = step.slots
        self.of_chunk = _shift(self.nodes, chunk.nodes.start)
        self.of_level = _shift(self.reads, level.reads.start)
        self.y_of_chunk = self.within(chunk, products)
        self.x_of_level = self.within(level, products)


class Level(Span):
    """The steps of a level, and where it is within its chunk."""

    def __init__(self, steps: Sequence[Step], chunk: Span, products: Sequence[Product]):
        super().__init__(steps)
        self.groups = [Group(step, chunk, self, products) for step in steps]
        self.of_chunk = self.within(chunk, products)


class Chunk(Span):
    """Levels, with their y and their x, as far as it is computed, while these are stored."""

    def __init__(self, steps: Sequence[Step], bounds: Sequence[int], products: Sequence[Product]):
        super().__init__(steps)
        groups = groupby(steps, lambda step: bisect(bounds, step.start))
        self.levels = [Level(list(level), self, products) for _, level in groups]
        self.forget()

    def forget(self) -> None:
        self.xs: dict[int, Tensor] = {}
        self.ys: list[Tensor] = []


class Part:
    """Steps of a plan that one program runs."""

    def __init__(
        self, program: Program, plan: Plan, steps: Sequence[Step], tensors: Sequence[Tensor]
    ):
        self.program, self.products, self.tensors = program, program.products, tensors
        self.plan_rows, self.first_row = plan.rows, plan.first_row
        self.counts = plan.counts
        self.chunks = [Chunk(some, plan.levels, self.products) for some in _cut(steps, plan.levels)]
        nothing = [None] * (1 + program.num_states)
        with torch.enable_grad():
            self.weights = program.weights(*nothing, *tensors, *[None] * len(program.trace.counts))

    def forget(self) -> None:
        for chunk in self.chunks:
            chunk.forget()

    def forward(self, source: Source, buffers: Sequence[Tensor], save: bool) -> None:
        for chunk in self.chunks:
            z = source.z(chunk.nodes)
            self._make_room(chunk)
            for level in chunk.levels:
                given = self._multiply(chunk, level, z, buffers)
                for group, inputs in zip(level.groups, given, strict=True):
                    self.program.last(inputs, self._rows_of(group, buffers))
            if not save:
                chunk.forget()

    def _make_room(self, chunk: Chunk) -> None:
        chunk.xs = {
            j: self._room(chunk, one, one.inner)
            for j, one in enumerate(self.products)
            if one.state is None
        }
        chunk.ys = [self._room(chunk, one, one.columns) for one in self.products]

    def _room(self, span: Span, product: Product, columns: int) -> Tensor:
        rows = span.rows(product)
        shape = (rows.stop - rows.start, columns)
        return torch.empty(shape, dtype=product.dtype, device=self.plan_rows.device)

    def _rows_of(self, span: Span, buffers: Sequence[Tensor]) -> list[Tensor]:
        """The rows of the nodes in buffers of states or of their gradients."""
        return [buffer[_shift(span.nodes, -self.first_row)] for buffer in buffers]

    def _multiply(
        self, chunk: Chunk, level: Level, z: Tensor, buffers: Sequence[Tensor]
    ) -> list[list[Tensor]]:
        """Computes a level's x and y; returns the kernel inputs."""
        rows = self.plan_rows[level.reads]
        read = self._read(level, buffers, self.program.reads)
        given = self._inputs(chunk, level, z, buffers, read)
        for j, product in enumerate(self.products):
            at = level.of_chunk[j]
            if product.state is None:
                x = chunk.xs[j][at]
                for group, inputs in zip(level.groups, given, strict=True):
                    self.program.factors[j](inputs, [x[group.x_of_level[j]]])
            else:
                x = read.get(product.state)
                x = buffers[product.state].index_select(0, rows) if x is None else x
                x = x.view(-1, product.inner)
            torch.mm(x, self.weights[j].detach(), out=chunk.ys[j][at])
        return given

    def _read(
        self, span: Span, buffers: Sequence[Tensor], states: Iterable[int]
    ) -> dict[int, Tensor]:
        rows = self.plan_rows[span.reads]
        return {state: buffers[state].index_select(0, rows) for state in states}

    def _inputs(
        self,
        chunk: Chunk,
        level: Level,
        z: Tensor,
        buffers: Sequence[Tensor],
        read: dict[int, Tensor],
    ) -> list[list[Tensor]]:
        """Kernel inputs, step by step; `read` are the states that kernels don't gather."""
        given, gathers = [], self.program.trace.gathers
        for group in level.groups:
            states = [
                read[state][group.of_level].view(-1, group.slots, buffer.shape[1])
                if state in read
                else buffer
                for state, buffer in enumerate(buffers)
            ]
            ys = [y[at] for y, at in zip(chunk.ys, group.y_of_chunk, strict=True)]
            rows = self.plan_rows[group.reads].view(-1, group.slots) if gathers else None
            counts = [] if self.counts is None else [self.counts[group.reads].view(-1, group.slots)]
            given.append([z[group.of_chunk], rows, *states, *self.tensors, *ys, *counts])
        return given

    def backward(
        self, source: Source, buffers: Sequence[Tensor], grad_states: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Computes the gradients of the states; returns those of the cell's tensors."""
        back = self.program.backward
        grads = [
            # A parameter need not be contiguous, what a kernel writes is.
            torch.zeros(one.shape, dtype=one.dtype, device=one.device) if i in back.learns else None
            for i, one in enumerate(self.tensors)
        ]
        grad_weights = [torch.zeros_like(weight) for weight in self.weights]
        for chunk in reversed(self.chunks):
            saved = bool(chunk.ys)
            z = source.z(chunk.nodes, again=True)
            grad_z = source.grad_z(chunk.nodes)
            if not saved:
                self._make_room(chunk)
                for level in chunk.levels:
                    self._multiply(chunk, level, z, buffers)
            if not back.writes_z:
                grad_z.zero_()
            grad_ys = [
                grad_z if j == back.shared else torch.empty_like(y) for j, y in enumerate(chunk.ys)
            ]
            for level in reversed(chunk.levels):
                read = self._read(level, buffers, back.gathered)
                given = self._inputs(chunk, level, z, buffers, read)
                self._back_through(chunk, level, given, grad_z, grad_states, grads, grad_ys)
            for j in (j for j, dead in enumerate(back.dead) if not dead):
                grad_weights[j].addmm_(self._factor(chunk, j, buffers).T, grad_ys[j])
            if not saved:
                chunk.forget()
            yield from source.hand_back(chunk.nodes, grad_z)
        yield from ((t, g) for t, g in zip(self.tensors, grads, strict=True) if g is not None)
        yield from self._of_weights(grad_weights)

    def _factor(self, chunk: Chunk, j: int, buffers: Sequence[Tensor]) -> Tensor:
        state = self.products[j].state
        if state is None:
            return chunk.xs[j]
        return self._read(chunk, buffers, [state])[state].view(-1, self.products[j].inner)

    def _back_through(
        self,
        chunk: Chunk,
        level: Level,
        given: Sequence[list[Tensor]],
        grad_z: Tensor,
        grad_states: Sequence[Tensor],
        grads: Sequence[Tensor | None],
        grad_ys: Sequence[Tensor],
    ) -> None:
        """From the gradients of a level's new states to those of the states that it read."""
        back, rows = self.program.backward, self.plan_rows[level.reads]
        read = {state: grad_states[state].new_empty(len(rows), grad_states[state].shape[1])
                for state in back.reads}  # fmt: skip
        targets = []
        for group, inputs in zip(level.groups, given, strict=True):
            mine = [
                read[state][group.of_level].view(-1, group.slots, grad.shape[1])
                if state in read
                else None
                for state, grad in enumerate(grad_states)
            ]
            ys = [y[at] for y, at in zip(grad_ys, group.y_of_chunk, strict=True)]
            targets.append([grad_z[group.of_chunk], *mine, *grads, *ys])
            back.last([*inputs, *self._rows_of(group, grad_states)], targets[-1])
        for j in reversed(range(len(self.products))):
            product = self.products[j]
            if back.dead[j]:
                continue
            grad_y = grad_ys[j][level.of_chunk[j]]
            weight = self.weights[j].detach().T
            if product.state is None:
                grad_x = grad_y @ weight
                for group, inputs, into in zip(level.groups, given, targets, strict=True):
                    back.factors[j]([*inputs, grad_x[group.x_of_level[j]]], into)
                continue
            into = read[product.state].view(-1, product.inner)
            if back.adds[j]:
                into.addmm_(grad_y, weight)
            else:
                torch.mm(grad_y, weight, out=into)
        for state, grad in read.items():
            grad_states[state].index_add_(0, rows, grad)

    def _of_weights(self, grads: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gradients of the tensors that weights are computed from."""
        dead = self.program.backward.dead
        pairs = [
            (weight, grad)
            for weight, grad, unused in zip(self.weights, grads, dead, strict=True)
            if weight.requires_grad and not unused
        ]
        if not pairs:
            return
        learning = [tensor for tensor in self.tensors if tensor.requires_grad]
        weights, grads = zip(*pairs, strict=True)
        found = torch.autograd.grad(weights, learning, grads, retain_graph=True, allow_unused=True)
        yield from ((t, grad) for t, grad in zip(learning, found, strict=True) if grad is not None)


def _cut(steps: Sequence[Step], bounds: Sequence[int]) -> Iterator[Sequence[Step]]:
    """Whole levels, of at least CHUNK nodes together."""
    first = 0
    for i, step in enumerate(steps):
        ends_level = bounds[bisect(bounds, step.stop) - 1] == step.stop
        if i == len(steps) - 1 or (ends_level and step.stop - steps[first].start >= CHUNK):
            yield steps[first : i + 1]
            first = i + 1


def _shift(places: slice, by: int) -> slice:
    return slice(places.start - by, places.stop - by)
