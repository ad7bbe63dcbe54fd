"""Layers of torch_geometric over a batch's own edges, before or after recurrences."""

from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.renew import Renewable
from structnet.topology.plan import Plan

Kind = Literal["gat", "gcn", "gin", "sage"]


class Convolution(Renewable):
    """One graph convolution of torch_geometric and a ReLU.

    Called with x (N, input_size) and a plan, it returns (N, output_size). Messages pass along every
    edge in both directions, so that a node sees its successors too. Edges from initial states carry
    none.

    Arguments:
        kind: gcn (Kipf and Welling 2017, eq. 2), gat (Velickovic et al. 2018, eq. 3-4, one head),
            gin (Xu et al. 2019, eq. 4.1, with two linear layers) or sage (Hamilton et al. 2017,
            algorithm 1, the mean).
        input_size: the size of a node's input.
        output_size: the size of a node's output.
    """

    def __init__(self, kind: Kind, input_size: int, output_size: int):
        super().__init__()
        self.layer = _layer(kind, input_size, output_size)
        self.output_size = output_size

    def forward(self, x: Tensor, plan: Plan) -> Tensor:
        # Where a plan has no edge, its link is a loop at the node added behind the others.
        return self.layer(F.pad(x, (0, 0, 0, 1)), plan.links)[:-1].relu()


def _layer(kind: Kind, input_size: int, output_size: int) -> Any:
    # Imported here: it takes seconds, and most nets have no such layer.
    from torch_geometric import nn as pyg

    if kind == "gin":
        return pyg.GINConv(
            nn.Sequential(
                nn.Linear(input_size, output_size), nn.ReLU(), nn.Linear(output_size, output_size)
            )
        )
    layers = {"gat": pyg.GATConv, "gcn": pyg.GCNConv, "sage": pyg.SAGEConv}
    return layers[kind](input_size, output_size)
