from typing import Literal

import torch
from torch import Tensor

from structnet.cell.base import Cell, Input
from structnet.cell.library.slstm import exponential_gates
from structnet.registry import cells


@cells.register("mlstm")
class MLSTM(Cell):
    """mLSTM: a matrix memory that stores values under keys, with gates of the input alone.

    Equations:
        q = W_q x + b_q
        k = W_k x / sqrt(d) + b_k
        v = W_v x + b_v
        o = sigmoid(W_o x + b_o)
        i = exp(W_i x + b_i)
        f_j = sigmoid(W_fj x + b_fj)
        forget=exp: f_j = exp(W_fj x + b_fj)
        C = i v k^T + sum_j f_j C_j
        n = i k + sum_j f_j n_j
        h = o * (C q) / max(|n^T q|, 1)

    This is a head of size d = hidden_size / heads; the heads' h are side by side. C_j and n_j are
    states of predecessor j. Shapes in a head: x (I), q, k, v, o, n and h (d), C (d, d), i and f_j
    one number. C and n are kept divided by e^m as in `SLSTM`. Beck et al. (2024), "xLSTM", eq.
    19-27. Ordered slots have forget weights of their own. An input layer that replaces `input` has
    no b_k, unless it has a `bias`. There are no recurrent weights.

    Forget biases are initialised at `forget_bias`, all others at zero, gate weights as in every
    cell. The authors' code initialises forget biases evenly from 3 to 6 over the heads, input
    biases as Gaussians of standard deviation 0.1 and the weights of both gates at zero; it scales
    b_k as well.

    Arguments:
        heads: the number of heads, which divides hidden_size.
        forget: the forget gate's function: sigmoid or exp.
        forget_bias: the initial forget biases.
    """

    states = ("C", "n", "m")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        heads: int = 1,
        forget: Literal["sigmoid", "exp"] = "sigmoid",
        forget_bias: float = 0.0,
    ):
        super().__init__(input_size, hidden_size, arity)
        if heads < 1 or hidden_size % heads:
            raise ValueError(
                f"option 'heads' is a divisor of hidden_size = {hidden_size}, got {heads}"
            )
        self.heads, self.head_size = heads, hidden_size // heads
        self.forget = forget
        # Columns of q, k, v, o, i and of f, slot by slot.
        self.columns = (*[hidden_size] * 4, heads, heads * (arity or 1))
        self.input = Input(input_size, sum(self.columns))
        self.reset_parameters()
        self.input.bias.data[-self.columns[-1] :].fill_(forget_bias)

    def _add_recurrent(self) -> None:
        pass

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return self.hidden_size * self.head_size, self.hidden_size, self.heads

    def project(self, x: Tensor) -> Tensor:
        # The exponential of a gate in half precision would be off by several percent.
        with torch.autocast(x.device.type, enabled=False):
            z = self.input(x.to(next(self.input.parameters(), x).dtype))
        q, k, *others = z.split(self.columns, dim=1)
        bias = getattr(self.input, "bias", None)
        if bias is not None:
            # It is not scaled, as the weight is.
            bias = bias.split(self.columns)[1].to(k.dtype)
            k = k - bias
        k = k * self.head_size**-0.5
        return torch.cat([q, k if bias is None else k + bias, *others], dim=1)

    def forward(self, z: Tensor, C: Tensor, n: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        _, k, v, _, i, f = z.split(self.columns, dim=1)
        C, n, k, v = (self._by_head(state) for state in (C, n, k, v))
        f = f.unflatten(1, (-1, self.heads))
        absent = ~(C.any(-1) | n.any(-1))
        i, f, m = exponential_gates(i, f, m, absent, self.forget)
        i, f = i.unsqueeze(-1), f.unsqueeze(-1)
        outer = (v.unsqueeze(-1) * k.unsqueeze(-2)).flatten(2)
        C = i * outer + (f * C).sum(1)
        n = i * k + (f * n).sum(1)
        return C.flatten(1), n.flatten(1), m

    def output(self, z: Tensor, C: Tensor, n: Tensor, m: Tensor) -> Tensor:
        q, _, _, o, _, _ = z.split(self.columns, dim=1)
        q, n = self._by_head(q).to(C.dtype), self._by_head(n)
        C = self._by_head(C).unflatten(-1, (self.head_size, self.head_size))
        # In half precision n^T q, which divides it, would round otherwise than C q.
        with torch.autocast(q.device.type, enabled=False):
            read = torch.einsum("nhvk,nhk->nhv", C, q)
        # Both sides of the fraction times e^min(m, 0), so that nothing overflows. Below e^-60,
        # where 0 / 0 is near, n^T q is nothing but rounding.
        scale = m.clamp(max=0)
        bound = (scale - m).clamp(min=-60).exp()
        scale = scale.exp()
        norm = torch.maximum(scale * (n * q).sum(-1).abs(), bound)
        return o.sigmoid() * (read * (scale / norm).unsqueeze(-1)).flatten(1)

    def _by_head(self, state: Tensor) -> Tensor:
        return state.unflatten(-1, (self.heads, -1))
