import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.library.mut1 import as_state
from structnet.registry import cells


@cells.register("mut2")
class MUT2(Cell):
    """The second mutant found by architecture search: its reset gate sees the input unweighted.

    Equations:
        z = sigmoid(W_z x + sum_k U_zk h_k + b_z)
        r = sigmoid(V x + sum_k U_rk h_k + b_r)
        n = tanh(sum_k U_k (r * h_k) + W x + b)
        h = z * n + (1 - z) * sum_k h_k

    V is the identity where I = H, as in the paper, which leaves other sizes open; there it is
    learned. Shapes: x (I), h and gates (H), every W and V (H, I), every U (H, H). Jozefowicz et al.
    (2015), "An empirical exploration of recurrent network architectures", MUT2. Several
    predecessors enter as their sum, as in `gru`. The recurrent weights are `recurrent` (z, r) and
    `recurrent_candidate` (n).
    """

    node_gates = ("z", "r")
    input_gates = ("z", "n")

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        super().__init__(input_size, hidden_size, arity)
        self.as_state = as_state(input_size, hidden_size)
        self.reset_bias = nn.Parameter(torch.zeros(hidden_size))

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        self.recurrent_candidate = self.new_recurrent()

    def project(self, x: Tensor) -> Tensor:
        return torch.cat([self.input(x), self.as_state(x) + self.reset_bias], dim=1)

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        z, n, r = z.split(self.hidden_size, dim=1)
        (z_h, r_h), () = self.recur(h)
        z, r = (z + z_h).sigmoid(), (r + r_h).sigmoid()
        n = (n + self.recur_alone(r.unsqueeze(1) * h, self.recurrent_candidate)).tanh()
        old = h.sum(1)
        return old + z * (n - old)
