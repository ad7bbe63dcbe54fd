from typing import Literal

import torch
from torch import Tensor

from structnet.cell.aggregate import Aggregate
from structnet.cell.base import Cell
from structnet.registry import cells


@cells.register("elman")
class Elman(Cell):
    """Elman network: the new state is a squashed sum of input and previous states.

    h = g(W x + sum_k U_k h_k + b), g the nonlinearity, tanh or relu. Elman (1990), "Finding
    structure in time", figure 2; on one slot it is torch.nn.RNN. `init` says how every U_k starts:
    orthogonal or the identity, which with relu is the IRNN of Le et al. (2015); their W
    starts smaller than ours, at a Gaussian of deviation 0.001. Unordered predecessors enter as one
    h_k, their `aggregate`: sum, mean, max, attention or gated.

    Arguments:
        nonlinearity: g, which squashes the new state: tanh or relu.
        init: how every U_k starts: orthogonal, or identity, which with relu is the IRNN.
        aggregate: what of unordered predecessors is read as one: their sum, mean, max, attention or
            gated.
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
