"""Executors: run a cell over a plan.

Every executor takes (cell, plan, z, initial): z (N, G) by rank, `initial` one tensor (M, H) per
state or None, and returns the states (N, H) by rank. Those of `WITH_EDGES` take `edges` as well,
what the edges add to gates, (R, edge_columns) for the places in the plan's rows.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from structnet.cell.base import Cell
from structnet.execute.batched import run_batched
from structnet.execute.fused import run_fused, run_replayed
from structnet.execute.reference import run_reference
from structnet.execute.scan import can_scan, run_scan
from structnet.registry.signature import did_you_mean
from structnet.topology.plan import Plan


def run_auto(
    cell: Cell,
    plan: Plan,
    z: Tensor,
    initial: tuple[Tensor, ...] | None,
    edges: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """A scan where the recurrence is linear and the plan is of chains, else level by level."""
    if edges is None and can_scan(cell, plan):
        return run_scan(cell, plan, z, initial)
    return run_batched(cell, plan, z, initial, edges)


def run_compiled(
    cell: Cell, plan: Plan, z: Tensor, initial: tuple[Tensor, ...] | None, **options: Any
) -> tuple[Tensor, ...]:
    """Level by level in compiled kernels."""
    # What traces and compiles takes a while to import.
    from structnet.execute.compiled.sweep import run_compiled as run

    return run(cell, plan, z, initial, **options)


WITH_EDGES = ("auto", "batched", "reference")
# Those that scan where they can.
SCANS = (run_auto, run_scan)

EXECUTORS: dict[str, Callable] = {
    "auto": run_auto,
    "batched": run_batched,
    "compiled": run_compiled,
    "fused": run_fused,
    "reference": run_reference,
    "replayed": run_replayed,
    "scan": run_scan,
}


def executor(name: str) -> Callable:
    if name not in EXECUTORS:
        raise ValueError(f"no executor {name!r} {did_you_mean(name, EXECUTORS)}")
    return EXECUTORS[name]
