"""Level by level with compiled kernels between the products.

Kept for the way back are the states and the products' results, from which the kernels of the
derivatives compute again what else they need; gradients of weights are one product over all nodes
after the sweep.
"""

from bisect import bisect
from collections.abc import Hashable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cells.cell import Cell
from structnet.execute.program import Program
from structnet.execute.sweep import (
    States,
    Step,
    gradient_buffers,
    keep_graph,
    released,
    run_sweep,
    state_buffers,
)
from structnet.execute.trace import Product, Signature, tensors_of
from structnet.plan import Plan

# Rows that are gathered at once for the gradient of a weight.
BLOCK = 8192


def run_compiled(cell: Cell, plan: Plan, z: Tensor, initial: States | None) -> States:
    """The states of every node, by rank.

    ValueError for a cell that is no fixed graph of torch operations, RuntimeError without a
    compiler.
    """
    z = z.contiguous()
    return run_sweep(CompiledSweep(cell, plan, z, initial is not None), z, initial)


class CompiledSweep:
    """One pass of a cell over a plan, and the way back."""

    def __init__(self, cell: Cell, plan: Plan, z: Tensor, has_initial: bool):
        self.plan, self.has_initial, self.sizes = plan, has_initial, cell.state_sizes
        self.tensors = tuple(tensors_of(cell).values())
        self.parameters = tuple(tensor for tensor in self.tensors if tensor.requires_grad)
        self.dtype = next(cell.parameters(), z).dtype
        self.first_row = 1 + plan.num_initial
        self.parts = [
            _Part(find_program(cell, self._signature(cell, z, steps, alone)), steps, self)
            for alone, steps in self._split()
            if steps
        ]
        self.z: Tensor | None = None

    def _split(self) -> list[tuple[bool, Sequence[Step]]]:
        """The steps of nodes without predecessors, and the others."""
        steps = self.plan.steps
        if self.has_initial or not steps:
            return [(False, steps)]
        count = sum(stop <= self.plan.levels[1] for _, stop, _, _ in steps)
        return [(True, steps[:count]), (False, steps[count:])]

    def _signature(self, cell: Any, z: Tensor, steps: Sequence[Step], alone: bool) -> Signature:
        seen = {slots for _, _, slots, _ in steps}
        slots = getattr(cell, "arity", seen.pop() if len(seen) == 1 else None)
        return Signature(z.shape[1], slots, alone, z.dtype, self.dtype, z.device)

    def forward(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> States:
        self.buffers = state_buffers(self.plan, self.sizes, self.dtype, initial, z)
        for part in self.parts:
            part.forward(z, self.buffers)
            if not keep:
                part.forget()
        self.z = z if keep else None
        return tuple(buffer[self.first_row :] for buffer in self.buffers)

    @torch.no_grad()
    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        if self.z is None:
            raise released()
        grad_states = gradient_buffers(self.plan, self.sizes, self.dtype, grads)
        grad_z = torch.empty_like(self.z)
        totals: dict[Tensor, Tensor] = {}
        for part in reversed(self.parts):
            for tensor, grad in part.backward(self.z, self.buffers, grad_z, grad_states):
                totals[tensor] = totals[tensor] + grad if tensor in totals else grad
        if not keep_graph():
            self.z = None
            for part in self.parts:
                part.forget()
        initial = [grad[1 : self.first_row] for grad in grad_states] if self.has_initial else []
        return grad_z, *initial, *map(totals.get, self.parameters)


class _Part:
    """The steps that one program runs, and what is kept of them.

    Kernels run step by step, products level by level: their rows lie side by side.
    """

    def __init__(self, program: Program, steps: Sequence[Step], sweep: CompiledSweep):
        self.program, self.products, self.tensors = program, program.products, sweep.tensors
        self.rows, self.first_row = sweep.plan.rows, sweep.first_row
        self.nodes, self.reads = _nodes(steps), _reads(steps)
        self.levels = _levels(steps, sweep.plan.levels)
        nothing = [None] * (1 + program.num_states)
        with torch.enable_grad():
            self.weights = program.weights(*nothing, *self.tensors)
        self.ys: list[Tensor] = []
        self.xs: list[Tensor | None] = []

    def forget(self) -> None:
        self.ys, self.xs = [], []

    def forward(self, z: Tensor, buffers: Sequence[Tensor]) -> None:
        self.ys = [self._rows_of(one, one.columns) for one in self.products]
        self.xs = [
            None if one.state is not None else self._rows_of(one, one.inner)
            for one in self.products
        ]
        weights = [weight.detach() for weight in self.weights]
        for level in self.levels:
            inputs = self._inputs(level, z, buffers, self.program.reads)
            for j, weight in enumerate(weights):
                place = self._slice(j, level)
                torch.mm(self._factor(j, level, inputs, buffers), weight, out=self.ys[j][place])
            for step, given in zip(level, inputs, strict=True):
                self.program.last(given, self._new(step, buffers))

    def _rows_of(self, product: Product, columns: int) -> Tensor:
        rows = self.reads if product.per_slot else self.nodes
        count = rows.stop - rows.start
        return torch.empty(count, columns, dtype=product.dtype, device=self.rows.device)

    def _slice(self, j: int, steps: Sequence[Step]) -> slice:
        """The rows of x_j and y_j that belong to steps."""
        per_slot = self.products[j].per_slot
        rows, own = (_reads(steps), self.reads) if per_slot else (_nodes(steps), self.nodes)
        return slice(rows.start - own.start, rows.stop - own.start)

    def _inputs(
        self, level: Sequence[Step], z: Tensor, buffers: Sequence[Tensor], reads: Sequence[int]
    ) -> list[list[Tensor]]:
        """What the program's kernels take, step by step; `reads` are the states to gather."""
        rows = self.rows[_reads(level)]
        read = {state: buffers[state].index_select(0, rows) for state in reads}
        inputs = []
        for step in level:
            place = _reads_within(step, level)
            states = [
                read[state][place].view(-1, step[2], buffer.shape[1]) if state in read else buffer
                for state, buffer in enumerate(buffers)
            ]
            ys = [y[self._slice(j, [step])] for j, y in enumerate(self.ys)]
            own = rows[place].view(-1, step[2])
            inputs.append([z[_nodes([step])], own, *states, *self.tensors, *ys])
        return inputs

    def _factor(
        self,
        j: int,
        level: Sequence[Step],
        inputs: Sequence[Sequence[Tensor]],
        buffers: Sequence[Tensor],
    ) -> Tensor:
        """x_j of a level."""
        product, x = self.products[j], self.xs[j]
        if x is None:
            read = buffers[product.state].index_select(0, self.rows[_reads(level)])
            return read.view(-1, product.inner)
        for step, given in zip(level, inputs, strict=True):
            self.program.factors[j](given, [x[self._slice(j, [step])]])
        return x[self._slice(j, level)]

    def _new(self, steps: Step, buffers: Sequence[Tensor]) -> list[Tensor]:
        """A step's rows of buffers of states or of their gradients."""
        start, stop = steps[:2]
        return [buffer[self.first_row + start : self.first_row + stop] for buffer in buffers]

    def backward(
        self, z: Tensor, buffers: Sequence[Tensor], grad_z: Tensor, grad_states: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Fills in the gradients of z and of the states; gives those of the cell's tensors."""
        back = self.program.backward
        if not back.writes_z:
            grad_z[self.nodes] = 0
        grad_tensors = [
            torch.zeros_like(tensor) if tensor.requires_grad else None for tensor in self.tensors
        ]
        grad_ys = [
            grad_z[self.nodes] if j == back.shared else torch.empty_like(y)
            for j, y in enumerate(self.ys)
        ]
        weights = [weight.detach().T for weight in self.weights]
        for level in reversed(self.levels):
            rows = self.rows[_reads(level)]
            read = [
                buffer.new_empty(len(rows), buffer.shape[1]) if state in back.reads else None
                for state, buffer in enumerate(buffers)
            ]
            inputs = self._inputs(level, z, buffers, back.gathered)
            targets = [
                [
                    grad_z[_nodes([step])],
                    *self._read_by(step, level, read),
                    *grad_tensors,
                    *(y[self._slice(j, [step])] for j, y in enumerate(grad_ys)),
                ]
                for step in level
            ]
            for step, given, into in zip(level, inputs, targets, strict=True):
                back.last([*given, *self._new(step, grad_states)], into)
            for j in reversed(range(len(grad_ys))):
                if not back.dead[j]:
                    grad_y = grad_ys[j][self._slice(j, level)]
                    self._back_through(j, level, grad_y, weights[j], inputs, targets, read)
            for state in back.reads:
                grad_states[state].index_add_(0, rows, read[state])
        pairs = [(t, g) for t, g in zip(self.tensors, grad_tensors, strict=True) if g is not None]
        return [*pairs, *self._weight_gradients(buffers, grad_ys)]

    def _read_by(
        self, step: Step, level: Sequence[Step], read: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """Of what a level read what a step did, (n, K, S)."""
        place = _reads_within(step, level)
        return [None if one is None else one[place].view(-1, step[2], one.shape[1]) for one in read]

    def _back_through(
        self,
        j: int,
        level: Sequence[Step],
        grad_y: Tensor,
        weight: Tensor,
        inputs: Sequence[Sequence[Tensor]],
        targets: Sequence[Sequence[Tensor | None]],
        read: Sequence[Tensor | None],
    ) -> None:
        """From y_j to what x_j was made of."""
        back, product = self.program.backward, self.products[j]
        if product.state is None:
            grad_x = grad_y @ weight
            start = self._slice(j, level).start
            for step, given, into in zip(level, inputs, targets, strict=True):
                rows = self._slice(j, [step])
                back.factors[j]([*given, grad_x[rows.start - start : rows.stop - start]], into)
            return
        grad = read[product.state].view(-1, product.inner)
        if back.adds[j]:
            grad.addmm_(grad_y, weight)
        else:
            torch.mm(grad_y, weight, out=grad)

    def _weight_gradients(
        self, buffers: Sequence[Tensor], grad_ys: Sequence[Tensor]
    ) -> list[tuple[Tensor, Tensor]]:
        """Of the parameters that weights are made of."""
        dead = self.program.backward.dead
        pairs = [
            (weight, self._weight_gradient(j, buffers, grad_y))
            for j, (weight, grad_y) in enumerate(zip(self.weights, grad_ys, strict=True))
            if weight.requires_grad and not dead[j]
        ]
        if not pairs:
            return []
        weights, grads = zip(*pairs, strict=True)
        learning = [tensor for tensor in self.tensors if tensor.requires_grad]
        found = torch.autograd.grad(weights, learning, grads, retain_graph=True, allow_unused=True)
        return [(t, grad) for t, grad in zip(learning, found, strict=True) if grad is not None]

    def _weight_gradient(self, j: int, buffers: Sequence[Tensor], grad_y: Tensor) -> Tensor:
        product, x = self.products[j], self.xs[j]
        if x is not None:
            return x.T @ grad_y
        buffer = buffers[product.state]
        total = grad_y.new_zeros(product.inner, product.columns)
        width = product.inner // buffer.shape[1]
        for start in range(0, len(grad_y), BLOCK):
            grad = grad_y[start : start + BLOCK]
            first = self.reads.start + start * width
            x = buffer.index_select(0, self.rows[first : first + len(grad) * width])
            total.addmm_(x.view(-1, product.inner).T, grad)
        return total


def _nodes(steps: Sequence[Step]) -> slice:
    return slice(steps[0][0], steps[-1][1])


def _reads(steps: Sequence[Step]) -> slice:
    """Of the plan's rows."""
    start, stop, slots, offset = steps[-1]
    return slice(steps[0][3], offset + (stop - start) * slots)


def _reads_within(step: Step, level: Sequence[Step]) -> slice:
    own, whole = _reads([step]), _reads(level)
    return slice(own.start - whole.start, own.stop - whole.start)


def _levels(steps: Sequence[Step], bounds: Sequence[int]) -> list[list[Step]]:
    """Steps that are of one level together."""
    return [list(level) for _, level in groupby(steps, lambda step: bisect(bounds, step[0]))]


_programs: dict[Hashable, Program] = {}


def find_program(cell: nn.Module, signature: Signature) -> Program:
    """The program of cells like this one."""
    key = signature, _autocast(signature.device.type), fingerprint(cell)
    if key not in _programs:
        _programs[key] = Program(cell, signature)
    return _programs[key]


def _autocast(kind: str) -> torch.dtype | None:
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None


def fingerprint(value: Any) -> Hashable:
    """Equal for modules that do the same to their tensors: type, attributes, shapes."""
    if isinstance(value, nn.Module):
        return type(value), fingerprint(vars(value))
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    if isinstance(value, dict):
        return tuple((key, fingerprint(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(map(fingerprint, value))
    return value if isinstance(value, Hashable) else repr(value)
