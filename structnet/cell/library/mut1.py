import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("mut1")
class MUT1(Cell):
    """The first mutant found by architecture search: its update gate sees the input alone.

    Equations:
        z = sigmoid(W_z x + b_z)
        r = sigmoid(W_r x + sum_k U_rk h_k + b_r)
        n = tanh(sum_k U_k (r * h_k) + tanh(V x) + b)
        h = z * n + (1 - z) * sum_k h_k

    V is the identity where I = H, as in the paper, which leaves other sizes open; there it is
    learned. Shapes: x (I), h and gates (H), every W and V (H, I), every U (H, H). Jozefowicz et al.
    (2015), "An empirical exploration of recurrent network architectures", MUT1. Several
    predecessors enter as their sum, as in `gru`. The recurrent weights are `recurrent` (r) and
    `recurrent_candidate` (n).
    """

    node_gates = ("r",)
    input_gates = ("z", "r")

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        super().__init__(input_size, hidden_size, arity)
        self.as_state = as_state(input_size, hidden_size)
        self.candidate_bias = nn.Parameter(torch.zeros(hidden_size))

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        self.recurrent_candidate = self.new_recurrent()

    def project(self, x: Tensor) -> Tensor:
        return torch.cat([self.input(x), self.as_state(x).tanh() + self.candidate_bias], dim=1)

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        z, r, n = z.split(self.hidden_size, dim=1)
        (r_h,), () = self.recur(h)
        r = (r + r_h).sigmoid()
        n = (n + self.recur_alone(r.unsqueeze(1) * h, self.recurrent_candidate)).tanh()
        old = h.sum(1)
        return old + z.sigmoid() * (n - old)


def as_state(input_size: int, hidden_size: int) -> nn.Module:
    """The identity for inputs of the size of a state, otherwise a linear projection."""
    if input_size == hidden_size:
        return nn.Identity()
    projection = nn.Linear(input_size, hidden_size, bias=False)
    nn.init.xavier_uniform_(projection.weight)
    return projection
