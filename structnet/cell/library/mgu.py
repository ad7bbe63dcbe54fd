from torch import Tensor

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("mgu")
class MGU(Cell):
    """Minimal gated unit: one gate both resets the candidate and updates the memory.

    Equations:
        f = sigmoid(W_f x + sum_k U_fk h_k + b_f)
        n = tanh(W x + sum_k U_k (f * h_k) + b)
        h = (1 - f) * sum_k h_k + f * n

    Shapes: x (I), h and gates (H), every W (H, I), every U (H, H). Zhou et al. (2016), "Minimal
    gated unit for recurrent neural networks"; unordered predecessors are replaced by their
    `aggregate`, as in `gru`. Each gate has one bias, as in the paper, where other code has two. The
    recurrent weights are `recurrent` (f) and `recurrent_candidate` (n).

    Arguments:
        aggregate: how unordered predecessors are combined: sum, mean, max, attention or gated.
    """

    node_gates = ("f",)
    input_gates = ("f", "n")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        aggregate: Aggregate = "sum",
    ):
        self.aggregate = aggregate
        super().__init__(input_size, hidden_size, arity)

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        self.recurrent_candidate = self.new_recurrent()

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        f, n = z.split(self.hidden_size, dim=1)
        h = self.pooled(h)
        (f_h,), () = self.recur(h, h)
        f = (f + f_h).sigmoid()
        n = (n + self.recur_alone(f.unsqueeze(1) * h, self.recurrent_candidate)).tanh()
        old = h.sum(1)
        return old + f * (n - old)
