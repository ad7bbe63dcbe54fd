"""What a `Recurrence` rejects as it is made: options that exclude each other or don't fit."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from structnet.cell.base import Cell

# What can't be computed again in backward. These and `needs` are names in `FEATURES` of executors.
ONCE = frozenset(["truncate", "dropout", "zoneout", "weight_drop"])


def check_options(cells: Sequence[Cell], needs: frozenset[str], save: str, truncate: Any) -> None:
    """ValueError for a value out of range, and for options that exclude each other."""
    if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
        raise ValueError(f"option 'truncate' is at least 1 level, got {truncate!r}")
    if save in ("auto", "gates"):
        return
    if "edges" in needs and save == "recompute":
        raise ValueError("edge features need save='gates' or 'windows', got 'recompute'")
    for cell in cells:
        if (why := excludes_recomputing(cell, needs)) is not None:
            raise ValueError(f"save={save!r} {why}")


def excludes_recomputing(cell: Cell, needs: frozenset[str]) -> str | None:
    """Why backward can't compute parts of a pass again; None where it can."""
    if needs & ONCE:
        return (
            "excludes truncate, recurrent_dropout, zoneout and weight_drop; leave them out, or "
            "take save='gates'"
        )
    if any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in cell.modules()):
        return (
            f"calls `project` on some nodes at a time, and the batch norm in "
            f"{type(cell).__name__} needs all; take save='gates'"
        )
    return None


def fit(cell: Cell, topology: Any) -> None:
    """Let slots share weights where the topology says so.

    ValueError for a cell that can't, and for one that reads its own node's states on a topology
    that has none.
    """
    if topology.distinct_slots is not None:
        from structnet.cell.shared_slots import share_slots

        share_slots(cell, topology.distinct_slots)
    if cell.reads_own and topology.num_initial is not None:
        raise ValueError(
            f"{type(cell).__name__} with own=true reads a node's own states in the layer "
            f"below, and {type(topology).__name__} has no initial state for every node; take "
            "own=false, or topology ordered_graph with unvisited=previous"
        )
