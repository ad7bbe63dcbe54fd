"""Gradient checkpointing over levels: a pass in windows that stores only states later ones read.

Backward runs every window again (Chen et al. 2016, "Training deep nets with sublinear memory cost",
section 4). With windows of sqrt(L) of L levels, the memory beside input and output grows with
sqrt(L) on chains and grids.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.cell.frame import first_parameter
from structnet.execute.cell_tensors import CellTensors, check_leaves, leaf_copies, leaves_of
from structnet.execute.executor import Executor, Pass
from structnet.execute.snapshot import Snapshot
from structnet.execute.transform import refuse_batches
from structnet.execute.windows import windows
from structnet.topology.plan import Plan

# (a window's plan, its x by rank, its edges if any, its initial states) -> (output, states).
Run = Callable[..., tuple[Tensor, States]]


def run_checkpointed(executor: Executor, p: Pass) -> tuple[Tensor, States]:
    """The executor's result, window by window; states only where they are wanted."""
    plan, cell = p.plan, p.cell
    own = CellTensors(cell)
    initial = p.initial or tuple(
        first_parameter(cell, p.x).new_zeros(plan.num_initial, size) for size in cell.state_sizes
    )
    p = replace(p, initial=initial)
    edges = [] if p.edges is None else [p.edges]
    if not any(one.requires_grad for one in (p.x, *edges, *initial, *own.tensors)):
        # No backward, unless the cell uses a tensor that it does not hold.
        return executor.result(p)

    def run(window: Plan, x: Tensor, *given: Tensor) -> tuple[Tensor, States]:
        part, start = (given[0], given[1:]) if edges else (None, given)
        return executor.result(Pass(cell, window, x, start, part))

    length = max(1, isqrt(len(plan.levels) - 1))
    first = plan.first_row
    # The rows that later windows read, and their states.
    live, stored = plan.rows[:0], [state[:0] for state in initial]
    outputs, states, row = [], [], 0
    cuts = list(windows(plan, length))
    for (start, stop, window, carried), later in zip(cuts, _later(plan, cuts), strict=True):
        own_at = carried[carried < first] - 1
        at = torch.searchsorted(live, carried[carried >= first])
        given = [
            torch.cat([start[own_at], one[at]]) for start, one in zip(initial, stored, strict=True)
        ]
        given = [p.x[start:stop], *(one[row : row + len(window.rows)] for one in edges), *given]
        row += len(window.rows)
        tensors = _without_unused(own, run, window, given)
        output, *new = _Recomputed.apply(run, own, window, len(given), *given, *tensors)
        rows = torch.cat([live, torch.arange(first + start, first + stop, device=live.device)])
        place = torch.isin(rows, later)
        live = rows[place]
        stored = [torch.cat([old, one])[place] for old, one in zip(stored, new, strict=True)]
        outputs.append(output)
        if p.with_states:
            states.append(new)
    return torch.cat(outputs), tuple(map(torch.cat, zip(*states, strict=True)))


def _later(plan: Plan, cuts: Sequence[tuple[int, int, Plan, Tensor]]) -> list[Tensor]:
    """The rows of nodes that windows after each one read."""
    first = plan.first_row
    found = [plan.rows[:0]]
    for _, _, _, carried in reversed(cuts[1:]):
        found.append(torch.unique(torch.cat([found[-1], carried[carried >= first]])))
    return found[::-1]


def _without_unused(
    own: CellTensors, run: Run, plan: Plan, given: Sequence[Tensor]
) -> list[Tensor]:
    """The cell's tensors, detached those computed ones that the window does not use.

    What a hook computes at every call remains in the cell until the next, its graph released.
    """
    computed = [one for one in own.tensors if not one.is_leaf]
    if not computed:
        return own.tensors
    leaves = leaf_copies(computed)
    others = {key: leaf.view_as(leaf) for key, leaf in leaves.items()}
    with own.replaced(others), torch.random.fork_rng():
        output, states = run(plan, *(one.detach() for one in given))
    used = set(map(id, leaves_of([output, *states])))
    unused = {key for key, leaf in leaves.items() if id(leaf) not in used}
    return [one.detach() if id(one) in unused else one for one in own.tensors]


class _Recomputed(torch.autograd.Function):
    """A window that stores its inputs, and runs again in backward.

    torch.utils.checkpoint does so for tensors that autograd saves; a sweep saves its own.
    """

    @staticmethod
    def forward(
        ctx: Any,
        run: Run,
        own: CellTensors,
        plan: Plan,
        num_given: int,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        ctx.plan, ctx.num_given = plan, num_given
        ctx.save_for_backward(*tensors)
        ctx.snapshot = Snapshot(own, run, tensors[0].device)
        output, states = run(plan, *tensors[:num_given])
        return output, *states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        refuse_batches(grads)
        if torch.is_grad_enabled():
            raise RuntimeError(
                "save='windows' has no second derivatives; take save='gates' and "
                "executor='reference' where you need them"
            )
        # All as leaves: some may be computed from others.
        inputs = [one.detach().requires_grad_(one.requires_grad) for one in ctx.saved_tensors]
        given, tensors = inputs[: ctx.num_given], inputs[ctx.num_given :]
        output, states = ctx.snapshot.repeat(tensors, ctx.plan, *given)
        check_leaves([output, *states], inputs)
        pairs = [
            (value, grad)
            for value, grad in zip((output, *states), grads, strict=True)
            if value.requires_grad
        ]
        learning = [one for one in inputs if one.requires_grad]
        values, wanted = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(values, learning, wanted, allow_unused=True))
        return (
            None,
            None,
            None,
            None,
            *(next(found) if one.requires_grad else None for one in inputs),
        )
