"""What a call of a `Recurrence` rejects: plans and inputs that don't fit."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from structnet.topology.plan import Plan


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
