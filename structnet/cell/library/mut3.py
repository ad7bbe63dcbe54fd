from torch import Tensor

from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("mut3")
class MUT3(Cell):
    """The third mutant found by architecture search: its update gate sees tanh of the states.

    Equations:
        z = sigmoid(W_z x + sum_k U_zk tanh(h_k) + b_z)
        r = sigmoid(W_r x + sum_k U_rk h_k + b_r)
        n = tanh(sum_k U_k (r * h_k) + W x + b)
        h = z * n + (1 - z) * sum_k h_k

    Shapes: x (I), h and gates (H), every W (H, I), every U (H, H). Jozefowicz et al. (2015), "An
    empirical exploration of recurrent network architectures", MUT3. Several predecessors enter as
    their sum, as in `gru`. Every gate has one bias, as in the paper, where other code has two. The
    recurrent weights are `recurrent` (r), `recurrent_update` (z) and `recurrent_candidate` (n).
    """

    node_gates = ("r",)
    input_gates = ("z", "r", "n")

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        self.recurrent_update = self.new_recurrent()
        self.recurrent_candidate = self.new_recurrent()

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        z, r, n = z.split(self.hidden_size, dim=1)
        (r_h,), () = self.recur(h)
        z = (z + self.recur_alone(h.tanh(), self.recurrent_update)).sigmoid()
        r = (r + r_h).sigmoid()
        n = (n + self.recur_alone(r.unsqueeze(1) * h, self.recurrent_candidate)).tanh()
        old = h.sum(1)
        return old + z * (n - old)
