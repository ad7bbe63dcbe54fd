"""One call of a cell by an executor, with its results checked.

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
        around: the context of the call.
        zoneout: (n, sum of S), the share of the predecessors' mean that every unit keeps.
        tensors: parameters and buffers by name, in place of the cell's own.

    Raises ValueError for states of undeclared shapes, and for a cell that ignores edge features.
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
    """The terms (n * K, columns) of the edges of some nodes, as `Frame.edges`."""
    return None if terms is None else EdgeTerms(terms.unflatten(0, (-1, slots)))


def checked_states(cell: Any, out: Any, z: Tensor) -> States:
    """What a cell returned, as a tuple; ValueError if the states are not as declared."""
    if not isinstance(out, Tensor | tuple | list):
        raise ValueError(
            f"{type(cell).__name__} has to return a tensor or a tuple of tensors, got {out!r}"
        )
    out = as_states(out)
    # Not len(z): where a cell is traced, the number of nodes is symbolic.
    nodes = z.shape[0]
    wanted = [(nodes, size) for size in cell.state_sizes]
    given = [tuple(state.shape) for state in out]
    if given != wanted:
        raise ValueError(
            f"{type(cell).__name__} returned states of shapes {given}, expected {wanted} for "
            f"{nodes} nodes and its state_sizes {tuple(cell.state_sizes)}"
        )
    return out


def as_states(out: Any) -> States:
    """What a cell returned as a tuple of states."""
    return (out,) if isinstance(out, Tensor) else tuple(out)


def _keep(new: Tensor, old: Tensor, mask: Tensor) -> Tensor:
    """Zoneout: a new state (n, S) mixed with the mean of the predecessors' (n, K, S)."""
    mask = mask.to(new.dtype)
    if no_predecessors():
        return new * (1 - mask)
    return torch.lerp(new, mean(old).to(new.dtype), mask)
