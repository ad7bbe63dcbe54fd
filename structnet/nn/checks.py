"""What a `Recurrence` refuses: cells that don't fit, plans that are not its own."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from structnet.execute.scan import is_scannable
from structnet.topology.base import Topology
from structnet.topology.plan import Plan


def check_cells(cells: nn.ModuleList, executor: str, topology: Topology) -> None:
    """ValueError for a cell that lacks what a layer needs of it, or doesn't go with the others."""
    for cell in cells:
        if getattr(cell, "reads_own", False) and topology.num_initial is not None:
            raise ValueError(
                f"{type(cell).__name__} with own=true reads a node's own states in the layer "
                f"below, and {type(topology).__name__} has no initial state for every node; take "
                "own=false, or topology ordered_graph with unvisited=previous"
            )
        for needed in ("project", "state_sizes"):
            if not hasattr(cell, needed):
                raise ValueError(
                    f"a cell has `{needed}`, {type(cell).__name__} has none; derive it from sn.Cell"
                )
        if executor == "scan" and not is_scannable(cell):
            raise ValueError(
                f"executor 'scan' runs linear cells of one predecessor, not {type(cell).__name__} "
                "here, and none that has hooks; take executor='auto'"
            )


def check_given(layer: Any, x: Tensor, plans: Sequence[Plan]) -> None:
    """ValueError for plans that are not this layer's, and for an input that is not theirs."""
    if isinstance(plans, Plan):
        raise ValueError("plans are a sequence with one for each direction, got a single Plan")
    # A structure given for the plans may be a sequence as well, or refuse to be gone through.
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
        if arity is not None and any(step[2] != arity for step in plan.steps):
            raise ValueError(
                f"a plan of {plan.steps[0][2]} predecessor slots for a cell of {arity}; "
                "plan the batch with the topology of this layer"
            )
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise ValueError(f"x is a tensor of floating-point numbers, got {kind}")
    shape = (plans[0].num_nodes, layer.input_size)
    if tuple(x.shape) != shape:
        raise ValueError(f"x is (nodes, input_size) = {shape}, got {tuple(x.shape)}")
