import torch
from torch import Tensor, nn

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.cell.slots import count, mean
from structnet.registry import cells


@cells.register("graph_lstm")
class GraphLSTM(Cell):
    """Graph LSTM: the mean of the neighbours' states, a forget gate for each and for one's own.

    Equations:
        u = sigmoid(W_u x + mean_k U_uk h_k + b_u)
        o = sigmoid(W_o x + mean_k U_ok h_k + b_o)
        c = tanh(W_c x + mean_k U_ck h_k + b_c)
        f_k = sigmoid(W_f x + sum_j U_fkj h_j + b_f)
        unordered predecessors: f_k = sigmoid(W_f x + U_f h_k + b_f)
        m = mean_k f_k * m_k + u * c
        h = tanh(o * m)
        own=true: u = sigmoid(W_u x + V_u h_0 + mean_k U_uk h_k + b_u)
        own=true: o = sigmoid(W_o x + V_o h_0 + mean_k U_ok h_k + b_o)
        own=true: c = tanh(W_c x + V_c h_0 + mean_k U_ck h_k + b_c)
        own=true: f_0 = sigmoid(W_f x + V_f h_0 + b_f)
        own=true: m = mean_k f_k * m_k + f_0 * m_0 + u * c

    h_k and m_k are states of the neighbours, h_0 and m_0 the node's own from the layer below; means
    are over the neighbours that are present. Shapes: x (I), states and gates (H), every W (H, I),
    every U and V (H, H). Liang et al. (2016), eq. 1 and 2; their neighbours not yet visited are
    initial states here. `aggregate` replaces the mean of the h_k of unordered neighbours; memories
    always enter as their mean.

    With `own`, topologies give a node its states of the layer below (null states in the first
    layer). The recurrent weights are `recurrent` (U), `recurrent_edge` (U_f) for unordered
    neighbours, and with `own` `recurrent_own` (V).

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
