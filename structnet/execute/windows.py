"""Truncated backpropagation: a pass in windows of levels.

A window reads the states of earlier ones as initial states, through which no gradient flows back
(Williams and Peng 1990, "truncated backpropagation through time"; here through levels, so on trees,
grids and graphs alike).
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.cell.frame import first_parameter
from structnet.execute.executor import Executor, Pass
from structnet.topology.plan import Plan, Step


def run_truncated(executor: Executor, p: Pass) -> tuple[Tensor, States]:
    """The executor's result, in windows of `p.truncate` levels."""
    assert p.truncate is not None
    first, place, _ = p.plan.first_row, 0, p.z
    like = first_parameter(p.cell, p.z)
    known: list[Tensor] = []
    before = p.initial or tuple(
        like.new_zeros(p.plan.num_initial, size) for size in p.cell.state_sizes
    )
    outputs, parts = [], []
    for start, stop, window, carried in windows(p.plan, p.truncate):
        given = _carried(carried, first, before, known) if len(carried) else None
        edges = None if p.edges is None else p.edges[place : place + len(window.rows)]
        place += len(window.rows)
        part = p.window(window, slice(start, stop), given, edges=edges, with_states=True)
        output, states = executor.result(part)
        # Like states: under vmap there are several of each.
        known = known or [one.new_zeros(first + p.plan.num_nodes, one.shape[1]) for one in states]
        for buffer, state in zip(known, states, strict=True):
            buffer[first + start : first + stop] = state.detach()
        outputs.append(output)
        parts.append(states)
    if not parts:
        return executor.result(p)
    states = tuple(torch.cat(state) for state in zip(*parts, strict=True))
    is_state = all(output is part[0] for output, part in zip(outputs, parts, strict=True))
    return states[0] if is_state else torch.cat(outputs), states


def _carried(
    rows: Tensor, first: int, initial: States, known: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The states in rows of the initial states and of earlier windows' nodes."""
    given = tuple(state[rows[rows < first] - 1] for state in initial)
    if not known:
        return given
    later = rows[rows >= first]
    return tuple(torch.cat([one, state[later]]) for one, state in zip(given, known, strict=True))


def windows(plan: Plan, length: int) -> Iterator[tuple[int, int, Plan, Tensor]]:
    """Windows of `length` levels: (start, stop, plan, rows) each.

    Ranks start:stop are its nodes. Its initial states are those rows of the whole plan that it
    reads from outside: initial states, then nodes of earlier windows.
    """
    first = plan.first_row
    bounds = [*plan.levels[:-1:length], plan.levels[-1]]
    ends = {step.start: step.offset for step in plan.steps} | {bounds[-1]: len(plan.rows)}
    for start, stop in pairwise(bounds):
        part = slice(ends[start], ends[stop])
        rows = plan.rows[part]
        is_outside = (rows > 0) & (rows < first + start)
        carried, place = torch.unique(rows[is_outside], return_inverse=True)
        shifted = torch.where(rows > 0, rows - (first + start) + 1 + len(carried), 0)
        shifted[is_outside] = 1 + place
        nodes = torch.arange(stop - start, device=rows.device)
        steps = tuple(
            Step(a - start, b - start, slots, offset - ends[start])
            for a, b, slots, offset in plan.steps
            if start <= a < stop
        )
        levels = tuple(level - start for level in plan.levels if start <= level <= stop)
        yield (
            start,
            stop,
            Plan(
                nodes,
                nodes,
                levels,
                shifted,
                steps,
                nodes[:0],
                len(carried),
                plan.ptr,
                present=None if plan.present is None else plan.present[part],
            ),
            carried,
        )
