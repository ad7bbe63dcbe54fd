"""The states that a cell gives when it is called."""

from typing import Any

from torch import Tensor

from structnet.cell.edge_terms import giving
from structnet.cell.slots import counting


def call(
    cell: Any,
    z: Tensor,
    *states: Tensor,
    edges: Tensor | None = None,
    present: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The states of a cell's nodes, given the terms of their edges (n, K, edge_columns).

    Slots that are `present` (n, K) count in means and shares, all where it is None. ValueError
    where the states are not those that it declares, and where it does not take the terms.
    """
    if edges is None and present is None:
        return checked_states(cell, cell(z, *states), z)
    with counting(present):
        if edges is None:
            return checked_states(cell, cell(z, *states), z)
        with giving(edges) as given:
            out = cell(z, *states)
    if not given.taken:
        raise ValueError(
            f"{type(cell).__name__} takes no edge features, as it calls neither `gates` nor "
            "`recur`; leave edge_size out for this cell"
        )
    return checked_states(cell, out, z)


def checked_states(cell: Any, out: Any, z: Tensor) -> tuple[Tensor, ...]:
    """What a cell returned, as a tuple; ValueError if it is not the states that it declares."""
    if not isinstance(out, Tensor | tuple | list):
        raise ValueError(f"{type(cell).__name__} gives a state or several, got {out!r}")
    out = as_states(out)
    # Not len(z): where a cell is traced the number of nodes is a symbol.
    nodes = z.shape[0]
    wanted = [(nodes, size) for size in cell.state_sizes]
    given = [tuple(state.shape) for state in out]
    if given != wanted:
        raise ValueError(
            f"{type(cell).__name__} gave states of shapes {given}; by its state_sizes "
            f"{tuple(cell.state_sizes)} they are {wanted} for {nodes} nodes"
        )
    return out


def as_states(out: Any) -> tuple[Tensor, ...]:
    """What a cell returned as a tuple of states."""
    return (out,) if isinstance(out, Tensor) else tuple(out)
