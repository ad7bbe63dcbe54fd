"""Level by level with compiled kernels between the products.

Kept for the way back are the states and, unless they are to be computed again, the products'
results; what else the kernels of the derivatives need they make of these.
"""

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.execute.again import Recalled
from structnet.execute.compiled.fingerprint import fingerprint
from structnet.execute.compiled.kernel import making
from structnet.execute.compiled.part import Part
from structnet.execute.compiled.program import Program
from structnet.execute.compiled.trace import Signature, tensors_of
from structnet.execute.held import Held, ends_graphs, refuse_foreign, stand_ins
from structnet.execute.sweep import (
    States,
    Step,
    gradient_buffers,
    keep_graph,
    released,
    run_sweep,
    state_buffers,
)
from structnet.topology.plan import Plan

Project = Callable[[Tensor], Tensor]


def run_compiled(
    cell: Cell,
    plan: Plan,
    z: Tensor,
    initial: States | None,
    project: Project | None = None,
) -> States:
    """The states of every node, by rank.

    With `project`, z is what it makes of x, which is given instead; neither z nor the products'
    results are kept then, but made again on the way back. ValueError for a cell that is no fixed
    graph of torch operations, RuntimeError without a compiler.
    """
    x = z.contiguous()
    return run_sweep(CompiledSweep(cell, plan, x, initial is not None, project), x, initial)


class _Given:
    """z as it is given."""

    def __init__(self, z: Tensor):
        self.given = z

    def start_back(self) -> None:
        self.grad = torch.empty_like(self.given)

    def z(self, nodes: slice, again: bool = False) -> Tensor:
        return self.given[nodes]

    def grad_z(self, nodes: slice) -> Tensor:
        return self.grad[nodes]

    def hand_back(self, nodes: slice, grad: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        return ()


class _Projected:
    """z as a function of x, made where it is needed."""

    def __init__(self, x: Tensor, held: Held, project: Project, own: Mapping[int, Tensor]):
        self.x, self.held, self.project = x, held, project
        self.tensors = [own.get(id(tensor), tensor) for tensor in held.tensors]
        self.parameters = [tensor for tensor in own.values() if tensor.requires_grad]
        self.found: dict[int, Recalled] = {}

    def start_back(self) -> None:
        self.grad = torch.zeros_like(self.x)

    def z(self, nodes: slice, again: bool = False) -> Tensor:
        if not again:
            self.found[nodes.start] = Recalled(self.held, self.project, self.x.device)
            with torch.no_grad():
                return self.project(self.x[nodes]).contiguous()
        self.own = self.x[nodes].detach().requires_grad_()
        self.made = self.found[nodes.start].again(self.tensors, self.own)
        refuse_foreign([self.made], [self.own, *self.parameters])
        return self.made.detach().contiguous()

    def grad_z(self, nodes: slice) -> Tensor:
        return torch.empty_like(self.made, memory_format=torch.contiguous_format)

    def hand_back(self, nodes: slice, grad: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        wanted = [self.own, *self.parameters]
        found = torch.autograd.grad(self.made, wanted, grad, allow_unused=True)
        if found[0] is not None:
            self.grad[nodes] = found[0]
        pairs = zip(self.parameters, found[1:], strict=True)
        return [(parameter, grad) for parameter, grad in pairs if grad is not None]


class CompiledSweep:
    """One pass of a cell over a plan, and the way back."""

    def __init__(
        self, cell: Cell, plan: Plan, x: Tensor, has_initial: bool, project: Project | None
    ):
        self.plan, self.has_initial, self.sizes = plan, has_initial, cell.state_sizes
        held, given = Held(cell), tuple(tensors_of(cell).values())
        self.parameters = tuple(tensor for tensor in given if tensor.requires_grad)
        self.learning = self.parameters
        self.constants = tuple(tensor for tensor in given if not tensor.requires_grad)
        # What is computed from others is a leaf here, as by functional_call.
        own = {id(one): one for one in given if ends_graphs(one)}
        own |= stand_ins(one for one in given if not ends_graphs(one))
        self.tensors = tuple(own[id(one)] for one in given)
        self.dtype = next(cell.parameters(), x).dtype
        self.first_row = 1 + plan.num_initial
        self.save = project is None
        self.source: _Given | _Projected | None = (
            _Given(x) if project is None else _Projected(x, held, project, own)
        )
        self.parts = []
        # As z is where there is one node.
        z = x
        if project is not None:
            with held.replaced(own):
                z = project(x[:1].detach())
            refuse_foreign([z], self.tensors)
        for alone, steps in self._split(cell):
            if steps:
                program = find_program(cell, self._signature(cell, z, steps, alone))
                self.parts.append(Part(program, plan, steps, self.tensors))

    def _split(self, cell: Any) -> list[tuple[bool, Sequence[Step]]]:
        """The steps of nodes without predecessors, and the others."""
        steps = self.plan.steps
        if self.has_initial or not steps:
            return [(False, steps)]
        # Initial states that are not given are zeros, but several are no single predecessor.
        alike = getattr(cell, "arity", steps[0][2]) or 1
        last = self.plan.levels[1]
        count = sum(stop <= last and slots == alike for _, stop, slots, _ in steps)
        return [(True, steps[:count]), (False, steps[count:])]

    def _signature(self, cell: Any, z: Tensor, steps: Sequence[Step], alone: bool) -> Signature:
        seen = {slots for _, _, slots, _ in steps}
        slots = getattr(cell, "arity", seen.pop() if len(seen) == 1 else None)
        counts = self.plan.counts is not None
        return Signature(z.shape[1], slots, alone, counts, z.dtype, self.dtype, z.device)

    def forward(self, x: Tensor, initial: Sequence[Tensor], keep: bool) -> States:
        self.buffers = state_buffers(self.plan, self.sizes, self.dtype, initial, x)
        for part in self.parts:
            part.forward(self.source, self.buffers, keep and self.save)
        return tuple(buffer[self.first_row :] for buffer in self.buffers)

    @torch.no_grad()
    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        source = self.source
        if source is None:
            raise released()
        grad_states = gradient_buffers(self.plan, self.sizes, self.dtype, grads)
        source.start_back()
        totals: dict[Tensor, Tensor] = {}
        for part in reversed(self.parts):
            for tensor, grad in part.backward(source, self.buffers, grad_states):
                totals[tensor] = totals[tensor] + grad if tensor in totals else grad
        grad_x, source.grad = source.grad, None
        if not keep_graph():
            self.source, self.buffers = None, []
            for part in self.parts:
                part.forget()
        initial = [grad[1 : self.first_row] for grad in grad_states] if self.has_initial else []
        learning = [tensor for tensor in self.tensors if tensor.requires_grad]
        return grad_x, *initial, *map(totals.get, learning)


_programs: dict[Hashable, Program] = {}
# Programs of one class and signature that are kept.
MOST_ALIKE = 32


def find_program(cell: nn.Module, signature: Signature) -> Program:
    """The program of cells like this one."""
    kind = type(cell), signature, _autocast(signature.device.type)
    key = *kind, fingerprint(cell)
    with making():
        if key not in _programs:
            like = [other for other in _programs if other[:3] == kind]
            if len(like) == MOST_ALIKE:
                warnings.warn(
                    f"attributes of {type(cell).__name__} have changed {MOST_ALIKE} times, and "
                    "executor 'compiled' compiles it anew for each; make a buffer of what changes "
                    "from call to call, or take executor='batched'",
                    stacklevel=2,
                )
            if len(like) >= MOST_ALIKE:
                del _programs[like[0]]
            _programs[key] = Program(cell, signature)
    return _programs[key]


def _autocast(kind: str) -> torch.dtype | None:
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
