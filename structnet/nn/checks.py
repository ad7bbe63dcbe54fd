"""What a `Recurrence` rejects: options that exclude each other, plans and inputs that don't fit."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.topology.plan import Plan

# What needs save='gates'. These and `needs` are names in `FEATURES` of executors.
WITH_GATES = ("truncate", "dropout", "zoneout", "weight_drop")


def check_options(cells: Sequence[Cell], needs: frozenset[str], save: str, truncate: Any) -> None:
    """ValueError for a value out of range, and for options that exclude each other."""
    if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
        raise ValueError(f"option 'truncate' is at least 1 level, got {truncate!r}")
    if save == "gates":
        return
    if "edges" in needs:
        raise ValueError(f"edge features need save='gates', got {save!r}")
    if needs & set(WITH_GATES):
        raise ValueError(
            f"save={save!r} excludes truncate, recurrent_dropout, zoneout and weight_drop; leave "
            "them out, or take save='gates'"
        )
    for cell in cells:
        if any(isinstance(one, nn.modules.batchnorm._BatchNorm) for one in cell.modules()):
            raise ValueError(
                f"save={save!r} calls `project` on some nodes at a time, and the batch norm in "
                f"{type(cell).__name__} needs all; take save='gates'"
            )


def check_own(cell: Cell, topology: Any) -> None:
    """ValueError for a cell that reads its own node's states on a topology that has none."""
    if cell.reads_own and topology.num_initial is not None:
        raise ValueError(
            f"{type(cell).__name__} with own=true reads a node's own states in the layer "
            f"below, and {type(topology).__name__} has no initial state for every node; take "
            "own=false, or topology ordered_graph with unvisited=previous"
        )


def check_given(layer: Any, x: Tensor, plans: Sequence[Plan]) -> None:
    """ValueError for plans that don't fit a layer, and for an input that doesn't fit the plans."""
    if isinstance(plans, Plan):
        raise ValueError("plans are a sequence with one for each direction, got a single Plan")
    # A structure given in place of plans may be a sequence too, or not iterable.
    for plan in plans if type(plans) in (list, tuple) else [plans]:
        if not isinstance(plan, Plan):
            raise ValueError(
                f"plans are what the topology's `plan` makes, got a {type(plan).__name__}: "
                "give topology.plan([...]), or a torch_geometric Data or Batch with edge_index"
            )
    if len(plans) != len(layer.cells):
        raise ValueError(
            f"{len(plans)} plans for {len(layer.cells)} directions {layer.directions}; "
            "plan the batch with the topology of this layer"
        )
    for arity, plan in zip(layer.arities, plans, strict=True):
        if arity is not None and any(step.slots != arity for step in plan.steps):
            raise ValueError(
                f"a plan of {plan.steps[0].slots} predecessor slots for a cell of {arity}; "
                "plan the batch with the topology of this layer"
            )
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x is a tensor of floating-point numbers, got {kind}")
    shape = (plans[0].num_nodes, layer.input_size)
    if tuple(x.shape) != shape:
        raise ValueError(f"x is (nodes, input_size) = {shape}, got {tuple(x.shape)}")
