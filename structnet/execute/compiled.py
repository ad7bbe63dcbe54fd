"""Level by level with compiled kernels between the products.

Kept for the way back are the states and, unless they are to be computed again, the products'
results; what else the kernels of the derivatives need they make of these.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cells.cell import Cell
from structnet.execute.part import Part
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
from structnet.execute.trace import Signature, tensors_of
from structnet.plan import Plan


def run_compiled(
    cell: Cell, plan: Plan, z: Tensor, initial: States | None, save: bool = True
) -> States:
    """The states of every node, by rank.

    The way back finds the products' results if `save`, else computes them again.

    ValueError for a cell that is no fixed graph of torch operations, RuntimeError without a
    compiler.
    """
    z = z.contiguous()
    sweep = CompiledSweep(cell, plan, z, initial is not None, save)
    return run_sweep(sweep, z, initial)


class CompiledSweep:
    """One pass of a cell over a plan, and the way back."""

    def __init__(self, cell: Cell, plan: Plan, z: Tensor, has_initial: bool, save: bool):
        self.plan, self.has_initial, self.save = plan, has_initial, save
        self.sizes = cell.state_sizes
        self.tensors = tuple(tensors_of(cell).values())
        self.parameters = tuple(tensor for tensor in self.tensors if tensor.requires_grad)
        self.dtype = next(cell.parameters(), z).dtype
        self.first_row = 1 + plan.num_initial
        self.parts = []
        for alone, steps in self._split():
            if steps:
                program = find_program(cell, self._signature(cell, z, steps, alone))
                self.parts.append(Part(program, plan, steps, self.tensors))
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
            part.forward(z, self.buffers, keep and self.save)
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
            self.z, self.buffers = None, []
            for part in self.parts:
                part.forget()
        initial = [grad[1 : self.first_row] for grad in grad_states] if self.has_initial else []
        return grad_z, *initial, *map(totals.get, self.parameters)


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
