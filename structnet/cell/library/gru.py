from typing import Literal

import torch
from torch import Tensor, nn

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.cell.chrono import chrono_
from structnet.registry import cells


@cells.register("gru")
class GRU(Cell):
    """Gated recurrent unit: a reset gate for the candidate, an update gate for the memory.

    Equations:
        r = sigmoid(W_r x + sum_k U_rk h_k + b_r)
        u = sigmoid(W_u x + sum_k U_uk h_k + b_u)
        n = tanh(W_n x + b_n + r * (sum_k U_nk h_k + b))
        reset=before: n = tanh(W_n x + b_n + sum_k U_nk (r * h_k))
        h = (1 - u) * n + u * sum_k h_k

    Shapes: x (I), h and gates (H), every W (H, I), every U (H, H). Cho et al. (2014), eq. 5-8, with
    the reset gate applied after the product as cuDNN and torch.nn.GRU do; `reset=before` is the
    paper's. Unordered predecessors are replaced by their `aggregate`, in the gates and in u * h. b
    is `candidate_bias`; the recurrent weights are `recurrent`, and with `reset=before`
    `recurrent_candidate` (n).

    With attention this is the layer of DAGNN, whose h_k are weighted by the softmax of w'h_k (Thost
    and Chen 2021); with gated that of D-VAE, whose h_k are mapped and gated before they are summed
    (Zhang et al. 2019, eq. 5-6; their code gives both maps the one-hot number of vertex k beside
    h_k, which is left out here). Both pass over a graph forward and backward,
    topology.direction=both, with separate layers per direction, net.apart=true. DAGNN scores the
    maximum over sinks and sources of all layers, readout=root readout.pool=max net.skip=dense;
    D-VAE the sink and the source, readout=root.

    Arguments:
        reset: whether the reset gate comes after the product of the candidate, as cuDNN's, or
            before it.
        chrono: the longest dependency in steps, for an initial bias log(U[1, chrono - 1]) of the
            update gate (Tallec and Ollivier 2018, eq. 16); 0 where null.
        aggregate: how unordered predecessors are combined: sum, mean, max, attention or gated.
    """

    # With the reset gate before the product, n has a recurrence of its own.
    input_gates = ("r", "u", "n")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        reset: Literal["after", "before"] = "after",
        chrono: int | None = None,
        aggregate: Aggregate = "sum",
    ):
        self.reset, self.aggregate = reset, aggregate
        self.node_gates = ("r", "u") if reset == "before" else ("r", "u", "n")
        super().__init__(input_size, hidden_size, arity)
        if reset == "after":
            self.candidate_bias = nn.Parameter(torch.zeros(hidden_size))
        if chrono is not None:
            chrono_(self.bias("u"), chrono)

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        if self.reset == "before":
            self.recurrent_candidate = self.new_recurrent()

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        r_x, u_x, n_x = z.split(self.hidden_size, dim=1)
        h = self.pooled(h)
        (r_h, u_h, *n_h), () = self.recur(h, h)
        r, u = (r_x + r_h).sigmoid(), (u_x + u_h).sigmoid()
        if self.reset == "before":
            n = n_x + self.recur_alone(r.unsqueeze(1) * h, self.recurrent_candidate)
        else:
            n = n_x + r * (n_h[0] + self.candidate_bias)
        n = n.tanh()
        return n + u * (h.sum(1) - n)
