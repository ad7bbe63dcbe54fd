"""The levels of a chunk one after another, each as a few calls from Python.

The rows of a level are contiguous in z, states, x and y, whatever the in-degrees of its nodes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structnet.execute.compiled.spans import Chunk, Level, Span, Table, shift
from structnet.topology.plan import Plan


@dataclass(frozen=True)
class Bound:
    """A program with the tensors and the steps that it runs on.

    Arguments:
        program: the program.
        plan: the plan.
        table: the steps as numbers.
        tensors: the cell's own tensors.
        weights: the matrices of the products, computed from these.
    """

    program: Any
    plan: Plan
    table: Table
    tensors: Sequence[Tensor]
    weights: Sequence[Tensor]


@dataclass
class Gradients:
    """What the backward pass of a chunk writes or adds to.

    Arguments:
        states: by state, the gradients of the buffer's rows.
        z: those of the chunk's z.
        tensors: those of the cell's tensors that kernels have gradients for, None elsewhere.
        ys: those of the products' results.
    """

    states: Sequence[Tensor]
    z: Tensor
    tensors: Sequence[Tensor | None]
    ys: Sequence[Tensor]


class Stepping:
    """Levels from Python: for any device, and kernels of any kind."""

    def __init__(self, bound: Bound):
        self.bound, self.program = bound, bound.program
        self.products, self.weights = bound.program.products, bound.weights
        self.rows, self.first_row = bound.plan.rows, bound.plan.first_row

    def forward(self, chunk: Chunk, z: Tensor, buffers: Sequence[Tensor], last: bool) -> None:
        """Computes x and y, and with `last` the new states."""
        for level in chunk.levels:
            given = self._multiply(chunk, level, z, buffers)
            for group, inputs in zip(level.groups, given, strict=True):
                if last:
                    self.program.last(inputs, self._rows_of(group, buffers))

    def _rows_of(self, span: Span, buffers: Sequence[Tensor]) -> list[Tensor]:
        """The rows of the nodes in buffers of states or of their gradients."""
        return [buffer[shift(span.nodes, -self.first_row)] for buffer in buffers]

    def _multiply(
        self, chunk: Chunk, level: Level, z: Tensor, buffers: Sequence[Tensor]
    ) -> list[list[Tensor]]:
        """Computes a level's x and y; returns the kernel inputs."""
        rows = self.rows[level.reads]
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
        rows = self.rows[span.reads]
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
        every = self.bound.plan.counts
        for group in level.groups:
            states = [
                read[state][group.of_level].view(-1, group.slots, buffer.shape[1])
                if state in read
                else buffer
                for state, buffer in enumerate(buffers)
            ]
            ys = [y[at] for y, at in zip(chunk.ys, group.y_of_chunk, strict=True)]
            rows = self.rows[group.reads].view(-1, group.slots) if gathers else None
            counts = [] if every is None else [every[group.reads].view(-1, group.slots)]
            given.append([z[group.of_chunk], rows, *states, *self.bound.tensors, *ys, *counts])
        return given

    def backward(
        self, chunk: Chunk, z: Tensor, buffers: Sequence[Tensor], grads: Gradients
    ) -> None:
        """Computes the gradients of z, of the cell's tensors, of y and of the states read."""
        for level in reversed(chunk.levels):
            read = self._read(level, buffers, self.program.backward.gathered)
            given = self._inputs(chunk, level, z, buffers, read)
            self._back_through(level, given, grads)

    def _back_through(self, level: Level, given: Sequence[list[Tensor]], grads: Gradients) -> None:
        """From the gradients of a level's new states to those of the states that it read."""
        back, rows = self.program.backward, self.rows[level.reads]
        read = {
            state: grads.states[state].new_empty(len(rows), grads.states[state].shape[1])
            for state in back.reads
        }
        targets = []
        for group, inputs in zip(level.groups, given, strict=True):
            mine = [
                read[state][group.of_level].view(-1, group.slots, grad.shape[1])
                if state in read
                else None
                for state, grad in enumerate(grads.states)
            ]
            ys = [y[at] for y, at in zip(grads.ys, group.y_of_chunk, strict=True)]
            targets.append([grads.z[group.of_chunk], *mine, *grads.tensors, *ys])
            back.last([*inputs, *self._rows_of(group, grads.states)], targets[-1])
        for j in (j for j in reversed(range(len(self.products))) if not back.dead[j]):
            product = self.products[j]
            grad_y = grads.ys[j][level.of_chunk[j]]
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
            grads.states[state].index_add_(0, rows, grad)
