"""Features of edges as a term of the gates that come once per predecessor.

E: edges of the batch, R: entries of a plan's `rows`.
"""

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.topology.plan import Plan


class EdgeFeatures(nn.ModuleList):
    """For every direction, a linear map from an edge's features to the gates of its predecessor.

    Arguments:
        edge_size: the number of features of an edge.
        cells: the cells, one per direction.
    """

    def __init__(self, edge_size: int, cells: Sequence[Cell]):
        """ValueError for a size below 1, and for cells without edge gates or with ordered slots."""
        if not isinstance(edge_size, int) or edge_size < 1:
            raise ValueError(f"edge_size is at least 1, got {edge_size!r}")
        for cell in cells:
            _check_cell(cell)
        columns = [cell.edge_columns for cell in cells]
        super().__init__(nn.Linear(edge_size, count, bias=False) for count in columns)
        self.edge_size = edge_size
        self._start()

    def reset_parameters(self) -> None:
        """Reset the projections to new ones, given the same random state."""
        for projection in cast(list[nn.Linear], self):
            projection.reset_parameters()
        self._start()

    def _start(self) -> None:
        for projection in cast(list[nn.Linear], self):
            nn.init.xavier_uniform_(projection.weight)

    def forward(self, edge_x: Tensor, plans: Sequence[Plan]) -> list[Tensor]:
        """What edges of features (E, edge_size) add to gates: (R, edge_columns) per direction."""
        count = plans[0].num_edges
        of_plans = [plan.edges for plan in plans if plan.edges is not None]
        if len(of_plans) < len(plans):
            raise ValueError(
                "a plan of ordered slots has no edges for edge features; plan sn.Edges with a "
                "topology such as 'graph'"
            )
        if tuple(edge_x.shape) != (count, self.edge_size):
            raise ValueError(
                f"edge_x is (edges, edge_size) = {(count, self.edge_size)}, "
                f"got {tuple(edge_x.shape)}"
            )
        return [
            F.pad(projection(edge_x), (0, 0, 0, 1)).index_select(0, edges)
            for projection, edges in zip(self, of_plans, strict=True)
        ]


def _check_cell(cell: Cell) -> None:
    kind = type(cell).__name__
    if cell.arity is not None:
        raise ValueError(
            f"edge features are for unordered predecessors, {kind} has {cell.arity} ordered slots "
            "here; take a topology such as 'graph', or leave edge_size out"
        )
    if not cell.edge_columns:
        raise ValueError(
            f"edge features enter gates that come once per predecessor, {kind} has none; take cell "
            "'lstm' or 'graph_lstm', an option aggregate='attention', or leave edge_size out "
            "(net.edges=false)"
        )
