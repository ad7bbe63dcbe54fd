"""Layers of torch_geometric over a batch's own edges, before or after recurrences."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.renew import Renewable
from structnet.registry.suggest import did_you_mean
from structnet.topology.plan import Plan

CONVOLUTIONS = ("gat", "gcn", "gin", "sage")


class Convolution(Renewable):
    """One graph convolution and a relu: `gcn`, `gat`, `gin` or `sage` of torch_geometric.

    Kipf and Welling (2017), eq. 2; Velickovic et al. (2018), eq. 3-4, one head; Xu et al. (2019),
    eq. 4.1, of two linear layers; Hamilton et al. (2017), algorithm 1, the mean.

    Called with x (N, input_size) and a plan, it gives (N, output_size). Messages go along every
    edge in both directions, so that a node sees those that it feeds as well, as these layers mean
    it; of a topology with several directions, the first one's edges. Edges from initial states
    carry none.
    """

    def __init__(self, kind: str, input_size: int, output_size: int):
        """ValueError for an unknown kind."""
        super().__init__()
        if kind not in CONVOLUTIONS:
            raise ValueError(f"no graph convolution {kind!r} {did_you_mean(kind, CONVOLUTIONS)}")
        self.layer = _layer(kind, input_size, output_size)
        self.output_size = output_size

    def forward(self, x: Tensor, plan: Plan) -> Tensor:
        # Where there is no arrow it leads from a node behind the others to itself.
        return self.layer(F.pad(x, (0, 0, 0, 1)), plan.links)[:-1].relu()


def _layer(kind: str, input_size: int, output_size: int) -> Any:
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
