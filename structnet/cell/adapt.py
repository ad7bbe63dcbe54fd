"""Any module that steps at a node, as a cell."""

from typing import Any

from torch import Tensor, nn

from structnet.cell.base import Cell


def adapt(cell: nn.Module, arity: int | None) -> Cell:
    """The module itself, with what an `sn.Cell` has beside `project`, `state_sizes`, `forward`.

    ValueError for a module without these.
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
    }
    for name, default in defaults.items():
        if not hasattr(cell, name):
            setattr(cell, name, default)
    return own


def _first(z: Tensor, *states: Tensor) -> Tensor:
    return states[0]
