from torch import Tensor

from structnet.cells.cell import Cell
from structnet.registry import cells


@cells.register("elman")
class Elman(Cell):
    """Elman network: the new state is a squashed sum of input and previous states.

    h = g(W x + sum_k U_k h_k + b), g the nonlinearity, tanh or relu. Elman (1990), "Finding
    structure in time", figure 2; on one slot it is torch.nn.RNN.
    """

    node_gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, nonlinearity: str = "tanh"
    ):
        super().__init__(input_size, hidden_size, arity)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"option 'nonlinearity' is 'tanh' or 'relu', got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        (h,), () = self.gates(z, h)
        return h.tanh() if self.nonlinearity == "tanh" else h.relu()
