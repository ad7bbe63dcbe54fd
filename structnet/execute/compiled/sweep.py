"""Level by level with compiled kernels between the products.

Stored for backward are the states and, unless they are to be recomputed, the products' results;
the kernels of the derivatives recompute all else from these.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.execute.cell_tensors import CellTensors, check_leaves, is_plain_leaf, leaf_copies
from structnet.execute.compiled.known import known
from structnet.execute.compiled.part import Part
from structnet.execute.compiled.signature import Signature
from structnet.execute.executor import Pass
from structnet.execute.snapshot import Snapshot
from structnet.execute.sweep import Sweep
from structnet.topology.plan import Step

# Nodes without predecessors have a program of their own where they are one in this many.
FEW = 4

Project = Callable[[Tensor], Tensor]


def run_compiled(p: Pass) -> States:
    """The states of every node, by rank.

    Where `p.save` is recompute, neither z nor the products' results are stored for backward, which
    recomputes them from x. Raises ValueError for a cell that is no fixed graph of torch operations,
    RuntimeError without a compiler.
    """
    if p.save == "recompute":
        x = p.x.contiguous()
        return CompiledSweep(p, x, p.cell.project).run(x, p.initial)
    # Masks of noise are read beside z.
    masks = [mask.to(p.z.dtype) for mask in p.masks if mask is not None]
    z = torch.cat([p.z, *masks], dim=1) if masks else p.z
    z = z.contiguous()
    return CompiledSweep(p, z, None).run(z, p.initial)


class _StoredInput:
    """z, stored for backward."""

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


class _RecomputedInput:
    """z as a function of x, computed where it is needed and again in backward."""

    def __init__(self, x: Tensor, cell: CellTensors, project: Project, own: Mapping[int, Tensor]):
        self.x, self.cell_tensors, self.project = x, cell, project
        self.tensors = [own.get(id(tensor), tensor) for tensor in cell.tensors]
        self.parameters = [tensor for tensor in own.values() if tensor.requires_grad]
        self.snapshots: dict[int, Snapshot] = {}

    def start_back(self) -> None:
        self.grad = torch.zeros_like(self.x)

    def z(self, nodes: slice, again: bool = False) -> Tensor:
        if not again:
            self.snapshots[nodes.start] = Snapshot(self.cell_tensors, self.project, self.x.device)
            with torch.no_grad():
                return self.project(self.x[nodes]).contiguous()
        self.own = self.x[nodes].detach().requires_grad_()
        self.made = self.snapshots[nodes.start].repeat(self.tensors, self.own)
        check_leaves([self.made], [self.own, *self.parameters])
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


class CompiledSweep(Sweep):
    """One forward pass of a cell over a plan, and its backward."""

    def __init__(self, p: Pass, x: Tensor, project: Project | None):
        super().__init__(p)
        cell = p.cell
        self.masks = _columns(p.masks.dropout), _columns(p.masks.zoneout)
        of_cell = known(cell)
        given = of_cell.tensors
        self.learning: States = tuple(one for one in given if one.requires_grad)
        self.constants = tuple(tensor for tensor in given if not tensor.requires_grad)
        # Tensors that are computed from others, as by functional_call, are replaced by leaves.
        own = {id(one): one for one in given if is_plain_leaf(one)}
        own |= leaf_copies(one for one in given if not is_plain_leaf(one))
        self.tensors = tuple(own[id(one)] for one in given)
        self.save, self.parts = project is None, []
        self.source: _StoredInput | _RecomputedInput | None = _StoredInput(x)
        # z of one node, for its shape and dtype.
        z = x
        if project is not None:
            own_tensors = CellTensors(cell)
            self.source = _RecomputedInput(x, own_tensors, project, own)
            with own_tensors.replaced(own):
                z = project(x[:1].detach())
            check_leaves([z], self.tensors)
        split = [(alone, steps) for alone, steps in self._split(cell) if steps]
        signatures = [self._signature(cell, z, alone) for alone, _ in split]
        programs = of_cell.programs(cell, signatures, self.keeps(x, p.initial))
        for program, (_, steps) in zip(programs, split, strict=True):
            self.parts.append(Part(program, p.plan, steps, self.tensors))

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return self.learning

    def _split(self, cell: Any) -> list[tuple[bool, Sequence[Step]]]:
        """(True, steps of nodes without predecessors), (False, the others)."""
        steps = self.plan.steps
        if self.has_initial or not steps:
            return [(False, steps)]
        # Initial states that are not given are zeros, but their number may not be the arity.
        alike = cell.arity or 1
        last = self.plan.levels[1]
        if last * FEW < self.plan.num_nodes:
            return [(False, steps)]
        without = takewhile(lambda step: step.stop <= last, steps)
        count = sum(step.slots == alike for step in without)
        return [(True, steps[:count]), (False, steps[count:])]

    def _signature(self, cell: Any, z: Tensor, alone: bool) -> Signature:
        counts = self.plan.counts is not None
        columns = (z.shape[1] - sum(self.masks), *self.masks)
        return Signature(columns, cell.arity, alone, counts, z.dtype, self.dtype, z.device)

    def forward(self, x: Tensor, initial: Sequence[Tensor], keep: bool) -> States:
        self.buffers = self.state_buffers(initial, x)
        for part in self.parts:
            part.forward(self.source, self.buffers, keep and self.save)
        return tuple(buffer[self.plan.first_row :] for buffer in self.buffers)

    @torch.no_grad()
    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        source = self.source
        if source is None:
            raise self.released()
        grad_states = self.gradient_buffers(grads)
        source.start_back()
        totals: dict[Tensor, Tensor] = {}
        for part in reversed(self.parts):
            for tensor, grad in part.backward(source, self.buffers, grad_states):
                totals[tensor] = totals[tensor] + grad if tensor in totals else grad
        grad_x = source.grad
        del source.grad
        if not self.retains_graph():
            self.source, self.buffers = None, []
            for part in self.parts:
                part.forget()
        learning = [tensor for tensor in self.tensors if tensor.requires_grad]
        return grad_x, *self.initial_of(grad_states), *map(totals.get, learning)


def _columns(mask: Tensor | None) -> int:
    return 0 if mask is None else mask.shape[1]
