"""One node at a time under plain autograd: the truth that other executors are compared with."""

import torch
from torch import Tensor

from structnet.cell.call import States, call, edges_of
from structnet.cell.frame import Frame, first_parameter
from structnet.execute.executor import Executor, Pass
from structnet.execute.features import FEATURES


class Reference(Executor):
    """One node at a time: slow, and the truth that the others are compared with."""

    takes = frozenset(FEATURES) - {"recompute"}

    def run(self, p: Pass) -> tuple[Tensor, States]:
        cell, plan, z = p.cell, p.plan, p.z
        like = first_parameter(cell, z)
        # One list per state, one entry per row: null state, initial states, then the nodes.
        rows = [[like.new_zeros(size)] for size in cell.state_sizes]
        for state, size in enumerate(cell.state_sizes):
            absent = like.new_zeros(plan.num_initial, size)
            rows[state].extend(absent if p.initial is None else p.initial[state])
        for step in plan.steps:
            for node in range(step.start, step.stop):
                first = step.offset + (node - step.start) * step.slots
                places = slice(first, first + step.slots)
                read = plan.rows[places].tolist()
                states = [torch.stack([state[row] for row in read])[None] for state in rows]
                edges = None if p.edges is None else edges_of(p.edges[places], step.slots)
                present = None if plan.counts is None else plan.counts[None, places, None]
                dropout, zoneout = p.masks.at(slice(node, node + 1))
                around = Frame(present=present, edges=edges, dropout=dropout)
                out = call(cell, z[node : node + 1], *states, around=around, zoneout=zoneout)
                for state, value in zip(rows, out, strict=True):
                    state.append(value[0].to(like.dtype))
        return p.with_output(tuple(_stack(state, plan.first_row) for state in rows))


def _stack(rows: list[Tensor], first: int) -> Tensor:
    nodes = rows[first:]
    return torch.stack(nodes) if nodes else rows[0].new_zeros(0, len(rows[0]))
