"""Ordered slots that share their weights from one of them on, for any number of children."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from structnet.cell.base import Cell


def share_slots(cell: Any, distinct: int) -> None:
    """Give the slots of a cell from number `distinct - 1` on the weights of that one.

    The slots before it keep their own. Node gates then see the sum of the states in the slots that
    share; an edge gate of one of them does too, so that these slots have no order.

    ValueError for a cell whose weights by slot are not known: those of `sn.Cell` are, in recurrent
    matrices and in tensors with a row per slot.
    """
    for name, shape in _by_slot(cell, distinct).items():
        weight = getattr(cell, name)
        is_matrix = name.startswith("recurrent")
        rows = cell.output_size if is_matrix else 1
        edges = 0
        if shape[1:] != weight.shape[1:]:
            edges = len([gate for gate in cell.edge_gates if gate not in cell.diagonal])
        if len(weight) != rows * cell.arity or (edges and not is_matrix):
            raise _unknown(cell, distinct)
        tied = _Tied(cell.arity, distinct, rows, edges, cell.hidden_size)
        parametrize.register_parametrization(cell, name, tied, unsafe=True)


def _by_slot(cell: Any, distinct: int) -> dict[str, torch.Size]:
    """The shapes that tensors of a cell would have with one slot more, where they differ."""
    if not isinstance(cell, Cell) or "_made_with" not in vars(cell):
        raise _unknown(cell, distinct)
    made, args, options = vars(cell)["_made_with"]
    with torch.device("meta"):
        larger = made(*args[:2], args[2] + 1, **options)
    own = dict(cell.named_parameters())
    found = {n: p.shape for n, p in larger.named_parameters() if p.shape != own[n].shape}
    if any("." in name for name in found):
        raise _unknown(cell, distinct)
    return found


def _unknown(cell: Any, distinct: int) -> ValueError:
    return ValueError(
        f"option 'distinct' is {distinct}, and which weights of {type(cell).__name__} are those of "
        "a slot is not known: take a cell with recurrent matrices, such as lstm, gru or elman, or "
        "topology.distinct=null"
    )


class _Tied(nn.Module):
    """A weight made of one that has the distinct slots alone.

    Arguments:
        arity: the number of slots.
        distinct: how many of them have weights of their own, with the first that is shared.
        rows: the rows of a slot.
        edges: the number of edge gates that have columns for every slot, behind other columns.
        size: the columns of a slot in an edge gate.
    """

    def __init__(self, arity: int, distinct: int, rows: int, edges: int, size: int):
        super().__init__()
        self.arity, self.distinct = arity, distinct
        self.rows, self.edges, self.size = rows, edges, size

    def forward(self, own: Tensor) -> Tensor:
        return self._with(
            own, self.distinct, [min(k, self.distinct - 1) for k in range(self.arity)]
        )

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self._with(weight, self.arity, list(range(self.distinct))).clone()

    def _with(self, weight: Tensor, slots: int, which: list[int]) -> Tensor:
        """A weight of some slots with others of them, in rows and in columns of edge gates."""
        weight = weight.unflatten(0, (slots, self.rows))[which].flatten(0, 1)
        if not self.edges:
            return weight
        count = self.edges * slots * self.size
        node, edge = weight.split([weight.shape[1] - count, count], dim=1)
        edge = edge.unflatten(1, (self.edges, slots, self.size))[:, :, which].flatten(1)
        return torch.cat([node, edge], dim=1)
