from typing import Literal

import torch
from torch import Tensor, nn

from structnet.cell.linear import LinearCell
from structnet.registry import cells

NONLINEARITIES = {"relu": torch.relu, "tanh": torch.tanh, "none": lambda h: h}


@cells.register("indrnn")
class IndRNN(LinearCell):
    """Independently recurrent network: a unit sees only itself in the predecessors.

    Equations:
        h = g(W x + sum_k u_k * h_k + b)

    g is the nonlinearity. Shapes: x (I), h and u_k (H), W (H, I). Li et al. (2018), eq. 2. The
    recurrent weights u are `diagonal_recurrent`, initialised uniformly in [0, 1], with K ordered
    slots in [0, 1 / K]. Without a bounded g states grow with the number of paths that lead to a
    node.

    Arguments:
        nonlinearity: g: relu (the paper's), tanh, or none, which makes the recurrence linear.
    """

    node_gates = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        nonlinearity: Literal["relu", "tanh", "none"] = "relu",
    ):
        super().__init__(input_size, hidden_size, arity)
        self.nonlinearity = nonlinearity
        slots = arity or 1
        self.diagonal_recurrent = nn.Parameter(torch.rand(slots, hidden_size) / slots)

    @property
    def is_linear(self) -> bool:
        return self.nonlinearity == "none"

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        return self.diagonal_recurrent.unsqueeze(0), z

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        return NONLINEARITIES[self.nonlinearity](super().forward(z, h))
