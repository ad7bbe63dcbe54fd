"""One call of a cell by an executor: for some nodes, in their frame, checked.

n: nodes, K: slots, S: size of a state.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from structnet.cell.frame import NOTHING, EdgeTerms, Frame, framed, no_predecessors
from structnet.cell.slots import mean

States = tuple[Tensor, ...]


def call(
    cell: Any,
    z: Tensor,
    *states: Tensor,
    around: Frame = NOTHING,
    zoneout: Tensor | None = None,
    tensors: dict[str, Tensor] | None = None,
) -> States:
    """The new states (n, S) of nodes whose predecessors have `states` (n, K, S).

    Arguments:
        around: what the cell is told of the nodes beside its arguments.
        zoneout: (n, S of all states), the share of the predecessors' mean that every unit keeps.
        tensors: parameters and buffers by name, in place of the cell's own.

    ValueError where the states are not those that the cell declares, or where it does not use the
    terms of edges.
    """
    with framed(around):
        given = (z, *states)
        out = cell(*given) if tensors is None else functional_call(cell, tensors, given)
        out = checked_states(cell, out, z)
        if zoneout is not None:
            masks = zoneout.split([state.shape[1] for state in out], dim=1)
            out = tuple(map(_keep, out, states, masks))
    if around.edges is not None and not around.edges.used:
        raise ValueError(
            f"{type(cell).__name__} takes no edge features, as it calls neither `gates` nor "
            "`recur`; leave edge_size out for this cell"
        )
    return out


def edges_of(terms: Tensor | None, slots: int) -> EdgeTerms | None:
    """The terms of some nodes' edges (n * K, columns) as a frame takes them."""
    return None if terms is None else EdgeTerms(terms.unflatten(0, (-1, slots)))


def checked_states(cell: Any, out: Any, z: Tensor) -> States:
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


def as_states(out: Any) -> States:
    """What a cell returned as a tuple of states."""
    return (out,) if isinstance(out, Tensor) else tuple(out)


def _keep(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """A new state (n, S), mixed by a mask with the mean of the predecessors' (n, K, S)."""
    mask = mask.to(new.dtype)
    if no_predecessors():
        return new * (1 - mask)
    return torch.lerp(new, mean(old).to(new.dtype), mask)
