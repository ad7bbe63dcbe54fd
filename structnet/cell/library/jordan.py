import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.product import dense
from structnet.registry import cells


@cells.register("jordan")
class Jordan(Cell):
    """Jordan network: the previous output is fed back in place of the hidden units.

    Equations:
        h = tanh(W x + sum_k U_k y_k + b)
        y = tanh(V h + a)

    The state and the output are y. Shapes: x (I), h and y (H), W (H, I), U_k and V (H, H). Jordan
    (1986), "Attractor dynamics and parallelism in a connectionist sequential machine", with tanh
    for logistic units and without the state units' decaying sum of past outputs.
    """

    states = ("y",)
    node_gates = ("h",)

    def __init__(self, input_size: int, hidden_size: int, arity: int | None):
        super().__init__(input_size, hidden_size, arity)
        self.output_bias = nn.Parameter(torch.zeros(hidden_size))

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        self.recurrent_output = nn.Parameter(torch.empty(self.hidden_size, self.hidden_size))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        (h,), () = self.gates(z, y)
        return (dense(h.tanh(), self.recurrent_output) + self.output_bias).tanh()
