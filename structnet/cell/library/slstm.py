from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("slstm")
class SLSTM(Cell):
    """sLSTM: an LSTM whose gates are exponential and whose memory is a weighted mean.

    Equations:
        z = tanh(W_z x + sum_k U_zk h_k + b_z)
        i = exp(W_i x + sum_k U_ik h_k + b_i)
        o = sigmoid(W_o x + sum_k U_ok h_k + b_o)
        f_k = sigmoid(W_f x + sum_j U_fkj h_j + b_f)
        unordered predecessors: f_k = sigmoid(W_f x + U_f h_k + b_f)
        forget=exp: f_k = exp(W_f x + sum_j U_fkj h_j + b_f)
        c = i * z + sum_k f_k * c_k
        n = i + sum_k f_k * n_k
        h = o * c / n
        m = max(log(sum_k f_k * exp(m_k)), log(i))

    c and n are kept divided by e^m, where neither overflows. Shapes: x (I), states and gates (H),
    every W (H, I), every U (H, H). Beck et al. (2024), "xLSTM", eq. 8-17: on one slot m is theirs,
    on several it is the logarithm of a sum, which unlike the largest term keeps n from growing with
    the number of paths through a graph.

    Forget biases are initialised at `forget_bias`, all others at zero, weights as in every cell.
    The authors' code initialises forget biases along a power law, from 5 down to -7 over the units
    of a head, and recurrent weights at zero. The recurrent weights are `recurrent` (z, i, o, f) and
    for unordered predecessors `recurrent_edge` (f).

    Arguments:
        forget: the forget gate's function: sigmoid or exp.
        forget_bias: the initial forget biases.
    """

    states = ("h", "c", "n", "m")
    node_gates = ("z", "i", "o")
    edge_gates = ("f",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        forget: Literal["sigmoid", "exp"] = "sigmoid",
        forget_bias: float = 0.0,
    ):
        super().__init__(input_size, hidden_size, arity)
        self.forget = forget
        self.bias("f").fill_(forget_bias)

    def forward(
        self, z: Tensor, h: Tensor, c: Tensor, n: Tensor, m: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        (z, i, o), (f,) = self.gates(z, h)
        absent = (n == 0) & (c == 0)
        i, f, m = exponential_gates(i, f, m, absent, self.forget)
        c = i * z.tanh() + (f * c).sum(1)
        n = i + (f * n).sum(1)
        return o.sigmoid() * c / n, c, n, m


def exponential_gates(
    i: Tensor, f: Tensor, m: Tensor, absent: Tensor, forget: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Input gate (n, S) and forget gates (n, K, S), both divided by e^m, and the new m (n, S)."""
    log_f = F.logsigmoid(f) if forget == "sigmoid" else f
    kept = log_f + m
    # A memory of zeros is zero for every m: its m must not outgrow what the node itself writes.
    kept = kept.masked_fill(absent, torch.finfo(kept.dtype).min)
    m = torch.maximum(kept.logsumexp(1), i)
    return (i - m).exp(), (kept - m.unsqueeze(1)).exp(), m
