"""The executor `scan`: linear cells on chains, in parallel over time."""

from typing import Any

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.cell.hooks import compute_weights, has_hooks, replaced_methods
from structnet.cell.linear import LinearCell
from structnet.execute.chains import Chains, chains_of
from structnet.execute.executor import Executor, Pass, Spec
from structnet.execute.linear_recurrence import linear_recurrence
from structnet.execute.selective import scan_selection


class Scan(Executor):
    """Linear cells on chains, in parallel over time: a cumulative sum in place of a loop."""

    takes = frozenset(["states", "zoneout", "truncate", "windows"])

    def refuses(self, spec: Spec) -> str | None:
        name = type(spec.cell).__name__
        if not is_scannable(spec.cell):
            return (
                f"executor 'scan' runs linear cells on chains, and {name} is not linear in its "
                "state, or has several slots or hooks; take executor='auto'"
            )
        if spec.plan is not None and spec.plan.chains is None:
            return (
                "executor 'scan' runs linear cells on chains, and nodes of this plan of "
                f"{spec.plan.num_nodes} have several slots or feed several nodes; take "
                "executor='auto'"
            )
        return None

    def run(self, p: Pass) -> tuple[Tensor, States]:
        cell: Any = p.cell
        chains, z = chains_of(p.plan), p.z
        compute_weights(cell)
        # The states before the first steps of ragged chains are not a block of their own.
        fits = p.initial is None or chains.are_abreast
        if fits and len(z) and cell.selects and p.masks.zoneout is None:
            selection = cell.selection(chains.by_time(z))
            if selection is not None:
                return scan_selection(p, chains, selection)
        return p.with_output(scan_states(p, chains))


def is_scannable(cell: Any) -> bool:
    """Whether there are plans that the cell can be scanned over."""
    is_linear = isinstance(cell, LinearCell) and cell.scans and cell.arity in (1, None)
    # A scan does not call the cell.
    return is_linear and not has_hooks(cell) and not replaced_methods(cell)


def scan_states(p: Pass, chains: Chains) -> States:
    """The states of every node, by rank."""
    cell: Any = p.cell
    a, b = cell.checked_coefficients(chains.by_time(p.z), 1)
    # Under autocast the coefficients are of lower precision than the states have to be.
    b = b.to(p.dtype)
    a = a.to(p.dtype).squeeze(1).expand_as(b)
    if p.masks.zoneout is not None:
        # A unit that keeps m of its state: still linear, m + (1 - m) a and (1 - m) b.
        kept = chains.by_time(p.masks.zoneout).to(p.dtype)
        a, b = torch.lerp(a, torch.ones_like(a), kept), b * (1 - kept)
    if p.initial is not None:
        b = b.index_add(0, chains.heads, a[chains.heads] * chains.before(p.initial[0]))
    starts = None if chains.are_abreast else chains.heads
    if starts is not None:
        a = a.index_fill(0, starts, 0)
    wide = (-1, chains.width * b.shape[1])
    h = linear_recurrence(a.reshape(wide), b.reshape(wide), starts=starts) if len(b) else b
    return (chains.by_rank(h.view_as(b)),)
