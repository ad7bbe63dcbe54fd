import torch
from torch import Tensor, nn

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.cell.slots import count, mean
from structnet.registry import cells


@cells.register("graph_lstm")
class GraphLSTM(Cell):
    """Graph LSTM: the mean of the neighbours' states, a forget gate for each and for one's own.

    For node i with features f_i, states h_i and m_i of its own from the layer below, and K
    neighbours j, s the logistic function:

    u, o = s(W f_i + U h_i + sum_j Un h_j / K + b), c = tanh(the same), each of weights of its own,
    g_j = s(Wf f_i + Uf_n h_j + bf), g = s(Wf f_i + Uf h_i + bf),
    m = sum_j g_j m_j / K + g m_i + u c, h = tanh(s(o) m).

    Liang et al. (2016), eq. 1 and 2; their neighbours not yet visited are initial states here.
    `aggregate` replaces the mean of the h_j of unordered neighbours; memories always enter as
    their mean.

    With `own`, the terms in h_i and m_i are included, on topologies that give a node its states of
    the layer below (null states in the first layer). On ordered slots an edge gate sees every slot,
    and K is the number of neighbours that are present. The recurrent weights are `recurrent` (Un),
    `recurrent_edge` (Uf_n) for unordered neighbours, and with `own` U and Uf.

    Arguments:
        own: whether a node reads states of its own from the layer below.
        aggregate: how the neighbours' states h_j are combined: mean, sum, max, attention or gated.
    """

    states = ("h", "m")
    node_gates = ("u", "o", "c")
    edge_gates = ("f",)
    aggregate = "mean"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        own: bool = False,
        aggregate: Aggregate = "mean",
    ):
        self.reads_own, self.aggregate = own, aggregate
        super().__init__(input_size, hidden_size, arity)

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        if self.reads_own:
            size = self.hidden_size
            self.recurrent_own = nn.Parameter(torch.empty(size, 4 * size))

    def project(self, x: Tensor) -> Tensor:
        """z (N, G) of the input (N, input_size), with `own` followed by h and m of the nodes."""
        if not self.reads_own:
            return self.input(x)
        size = self.hidden_size
        features, h, m = x.split([self.input_size, size, size], dim=1)
        node, edge = self.input(features).split([3 * size, size], dim=1)
        own_node, own_edge = (h @ self.recurrent_own).split([3 * size, size], dim=1)
        return torch.cat([node + own_node, edge, (edge + own_edge).sigmoid() * m], dim=1)

    def forward(self, z: Tensor, h: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
        node, (f, *own) = self.split(z)
        node_h, (f_h,) = self.recur(h)
        share = 1 if self.arity is None else count(self.arity)
        u, o, c = (x_part + h_part / share for x_part, h_part in zip(node, node_h, strict=True))
        m = mean((f + f_h).sigmoid() * m) + u.sigmoid() * c.tanh()
        for kept in own:
            m = m + kept.squeeze(1)
        return torch.tanh(o.sigmoid() * m), m
