import torch
from torch import Tensor, nn

from structnet.cells.cell import Cell
from structnet.registry import cells


@cells.register("lstm")
class LSTM(Cell):
    """Long short-term memory with one forget gate per predecessor.

    i, o, u are node gates, f_k an edge gate: c = s(i) tanh(u) + sum_k s(f_k) c_k, h = s(o) tanh(c),
    s the logistic function. On one slot this is the LSTM of Gers et al. (2000) and of
    torch.nn.LSTM; on ordered slots the N-ary Tree-LSTM, on unordered predecessors the child-sum
    Tree-LSTM of Tai et al. (2015), eq. 9-14 and 2-8; on a grid the 2-D LSTM of Graves et al.
    (2007). `forget_bias` is where the forget gates' biases start (Jozefowicz et al. 2015).
    """

    node_gates = ("i", "o", "u")
    edge_gates = ("f",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, forget_bias: float = 1.0
    ):
        super().__init__(input_size, hidden_size, arity)
        nn.init.constant_(self.input.bias[3 * hidden_size :], forget_bias)

    def forward(self, z: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        (i, o, u), (f,) = self.gates(z, h)
        c = i.sigmoid() * u.tanh() + (f.sigmoid() * c).sum(1)
        return o.sigmoid() * torch.tanh(c), c
