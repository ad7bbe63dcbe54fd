"""Executors: run a cell over a plan.

Every executor takes (cell, plan, z, initial): z (N, G) by rank, `initial` one tensor (M, H) per
state or None, and returns the states (N, H) by rank.
"""

from collections.abc import Callable

from structnet.execute.batched import run_batched
from structnet.execute.reference import run_reference
from structnet.registry import did_you_mean

EXECUTORS: dict[str, Callable] = {"batched": run_batched, "reference": run_reference}


def executor(name: str) -> Callable:
    if name not in EXECUTORS:
        raise ValueError(f"no executor {name!r} {did_you_mean(name, EXECUTORS)}")
    return EXECUTORS[name]
