"""Any module that steps at a node, as a cell."""

from typing import Any

from torch import Tensor, nn

from structnet.cell.base import Cell


def adapt(cell: nn.Module, arity: int | None) -> Cell:
    """The module itself, with the attributes of an `sn.Cell` that it lacks, set to their defaults.

    Raises ValueError for a module without `project` and `state_sizes`.
    """
    if isinstance(cell, Cell):
        return cell
    for needed in ("project", "state_sizes"):
        if not hasattr(cell, needed):
            raise ValueError(
                f"a cell has `{needed}`, {type(cell).__name__} has none; derive it from sn.Cell"
            )
    own: Any = cell
    defaults = {
        "arity": arity,
        "output": _first,
        "output_size": own.state_sizes[0],
        "edge_columns": 0,
        "reads_own": False,
        "node_gates": (),
        "edge_gates": (),
        "input_gates": (),
        "hidden_size": 0,
    }
    for name, default in defaults.items():
        if not hasattr(cell, name):
            setattr(cell, name, default)
    return own


def outputs_state(cell: Cell) -> bool:
    """Whether the output is the first state itself."""
    return getattr(cell.output, "__func__", cell.output) in (Cell.output, _first)


def _first(z: Tensor, *states: Tensor) -> Tensor:
    return states[0]
