import torch
from torch import Tensor, nn

from structnet.cells.cell import Cell
from structnet.registry import cells


@cells.register("gru")
class GRU(Cell):
    """Gated recurrent unit: a reset gate for the candidate, an update gate for the memory.

    r = s(r), u = s(u), n = tanh(n_x + r (n_h + b)), h = (1 - u) n + u sum_k h_k, where r, u and n
    are node gates, n_x the input's and n_h the predecessors' half of n, s the logistic function.
    Cho et al. (2014), eq. 5-8, with the reset gate applied after the product as cuDNN and
    torch.nn.GRU do; several predecessors enter as their sum.
    """

    node_gates = ("r", "u", "n")

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        super().__init__(input_size, hidden_size, arity)
        self.candidate_bias = nn.Parameter(torch.zeros(hidden_size))

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        (r_x, u_x, n_x), () = self.split(z)
        (r_h, u_h, n_h), () = self.recur(h)
        n = (n_x + (r_x + r_h).sigmoid() * (n_h + self.candidate_bias)).tanh()
        return n + (u_x + u_h).sigmoid() * (h.sum(1) - n)
