"""Truncated backpropagation: a sweep in windows of levels.

A window reads the states of earlier ones as initial states, through which no gradient flows back
(Williams and Peng 1990, "truncated backpropagation through time"; here through levels, so on trees,
grids and graphs alike).
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from structnet.topology.plan import Plan

States = tuple[Tensor, ...]


def run_windows(
    run: Callable,
    length: int,
    cell: Any,
    plan: Plan,
    z: Tensor,
    initial: States | None,
    edges: Tensor | None = None,
) -> States:
    """What the executor `run` gives, window by window of `length` levels."""
    place = 0
    first = 1 + plan.num_initial
    like = next(cell.parameters(), z)
    known: list[Tensor] = []
    before = initial or tuple(like.new_zeros(plan.num_initial, size) for size in cell.state_sizes)
    parts = []
    for start, stop, window, carried in windows(plan, length):
        given = _carried(carried, first, before, known) if len(carried) else None
        own = {} if edges is None else {"edges": edges[place : place + len(window.rows)]}
        place += len(window.rows)
        states = run(cell, window, z[start:stop], given, **own)
        # Like states: under vmap there are several of each.
        known = known or [one.new_zeros(first + plan.num_nodes, one.shape[1]) for one in states]
        for buffer, state in zip(known, states, strict=True):
            buffer[first + start : first + stop] = state.detach()
        parts.append(states)
    if not parts:
        return run(cell, plan, z, initial)
    return tuple(torch.cat(state) for state in zip(*parts, strict=True))


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
    """Of each window the ranks from start to stop, its plan, and the rows it reads from outside.

    These, initial states of the plan and then nodes of earlier windows, are its initial states.
    """
    first = 1 + plan.num_initial
    bounds = [*plan.levels[:-1:length], plan.levels[-1]]
    ends = {start: offset for start, _, _, offset in plan.steps} | {bounds[-1]: len(plan.rows)}
    for start, stop in pairwise(bounds):
        part = slice(ends[start], ends[stop])
        rows = plan.rows[part]
        is_outside = (rows > 0) & (rows < first + start)
        carried, place = torch.unique(rows[is_outside], return_inverse=True)
        shifted = torch.where(rows > 0, rows - (first + start) + 1 + len(carried), 0)
        shifted[is_outside] = 1 + place
        nodes = torch.arange(stop - start, device=rows.device)
        steps = tuple(
            (a - start, b - start, slots, offset - ends[start])
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
