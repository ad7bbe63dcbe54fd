"""Features of edges, on their way into the gates that come once per predecessor.

E: edges of the batch, R: places in the rows of a plan.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.topology.plan import Plan


class EdgeFeatures(nn.ModuleList):
    """A projection (edge_size, edge_columns) without bias for the cell of every direction.

    What comes of an edge's features is added to the gates of its predecessor. Places without an
    edge get zeros.
    """

    def __init__(self, edge_size: int, cells: Sequence[Cell]):
        """ValueError for a size below 1, cells without edge gates, ordered slots."""
        if not isinstance(edge_size, int) or edge_size < 1:
            raise ValueError(f"edge_size is at least 1, got {edge_size!r}")
        for cell in cells:
            _check_cell(cell)
        columns = [cell.edge_columns for cell in cells]
        super().__init__(nn.Linear(edge_size, count, bias=False) for count in columns)
        self.edge_size = edge_size
        self._start()

    def reset_parameters(self) -> None:
        """Put the projections back to what new ones have, given the same random state."""
        for projection in self:
            projection.reset_parameters()
        self._start()

    def _start(self) -> None:
        for projection in self:
            nn.init.xavier_uniform_(projection.weight)

    def forward(self, edge_x: Tensor, plans: Sequence[Plan]) -> list[Tensor]:
        """What edges add to gates, (R, edge_columns) a direction, of their features (E, D)."""
        count = plans[0].num_edges
        if any(plan.edges is None for plan in plans):
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
            F.pad(projection(edge_x), (0, 0, 0, 1)).index_select(0, plan.edges)
            for projection, plan in zip(self, plans, strict=True)
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
