"""One node at a time under plain autograd: the truth that other executors are compared with."""

import torch
from torch import Tensor

from structnet.cell.base import Cell
from structnet.cell.states import call
from structnet.topology.plan import Plan


def run_reference(
    cell: Cell,
    plan: Plan,
    z: Tensor,
    initial: tuple[Tensor, ...] | None,
    edges: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The states of every node, by rank."""
    like = next(cell.parameters(), z)
    # One list a state, a row an entry: the null state, the initial states, then the nodes.
    rows = [[like.new_zeros(size)] for size in cell.state_sizes]
    for state, size in enumerate(cell.state_sizes):
        absent = like.new_zeros(plan.num_initial, size)
        rows[state].extend(absent if initial is None else initial[state])
    for start, stop, slots, offset in plan.steps:
        for node in range(start, stop):
            first = offset + (node - start) * slots
            read = plan.rows[first : first + slots].tolist()
            states = [torch.stack([state[row] for row in read])[None] for state in rows]
            own = None if edges is None else edges[None, first : first + slots]
            counts = None if plan.counts is None else plan.counts[None, first : first + slots]
            out = call(cell, z[node : node + 1], *states, edges=own, present=counts)
            for state, value in zip(rows, out, strict=True):
                state.append(value[0].to(like.dtype))
    first = 1 + plan.num_initial
    return tuple(
        torch.stack(state[first:]) if len(state) > first else state[0].new_zeros(0, len(state[0]))
        for state in rows
    )
