from typing import Literal

import torch
from torch import Tensor

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("elman")
class Elman(Cell):
    """Elman network: a nonlinearity of a linear map of the input and the previous states.

    Equations:
        h = g(W x + sum_k U_k h_k + b)

    g is the nonlinearity, tanh or relu. Shapes: x (I), h (H), W (H, I), U_k (H, H). Elman (1990),
    "Finding structure in time", figure 2; on one slot it is torch.nn.RNN. The recurrent weights U_k
    are `recurrent`. With identity and relu it is the IRNN of Le et al. (2015); their W is
    initialised smaller than ours, as a Gaussian of standard deviation 0.001.

    Arguments:
        nonlinearity: g: tanh or relu.
        init: the initial U_k: orthogonal, or identity.
        aggregate: how unordered predecessors are combined: sum, mean, max, attention or gated.
    """

    node_gates = ("h",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        nonlinearity: Literal["tanh", "relu"] = "tanh",
        init: Literal["orthogonal", "identity"] = "orthogonal",
        aggregate: Aggregate = "sum",
    ):
        self.nonlinearity, self.init, self.aggregate = nonlinearity, init, aggregate
        super().__init__(input_size, hidden_size, arity)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.init == "identity":
            self.recurrent.copy_(torch.eye(self.hidden_size).repeat(self.arity or 1, 1))

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        (h,), () = self.gates(z, h)
        return h.tanh() if self.nonlinearity == "tanh" else h.relu()
