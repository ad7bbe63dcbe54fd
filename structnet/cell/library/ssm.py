"""n: nodes, K: slots, H: channels, N: states of a channel."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.linear import LinearCell, Selection
from structnet.cell.slots import counted, mean
from structnet.registry import cells

# The range of a channel's initial step (Gu et al. 2022, section 4; Gu and Dao 2023, 3.6).
STEPS = 0.001, 0.1


@cells.register("ssm")
class SSM(LinearCell):
    """Diagonal state space model: `state_size` linear states per channel, read by a linear map.

    Equations:
        u = W x + b
        d_k = softplus(p_k + V_k u)
        B = W_B u
        C = W_C u
        h_n = mean_k exp(d_k * A_n) * h_kn + mean_k d_k * u B_n
        y = sum_n h_n C_n + D * u
        selective=false: d_k = softplus(p_k)
        selective=false: h_n = mean_k exp(d_k * A_n) * h_kn
            + mean_k (exp(d_k * A_n) - 1) / A_n * B_n * u
        selective=false: y = sum_n C_n * h_n + D * u
        combine=sum: h_n = sum_k exp(d_k * A_n) * h_kn + mean_k d_k * u B_n

    The state is h, N = state_size numbers in each of H channels, the output y. Shapes: x (I), u,
    d_k, p_k, D, h_n and y (H), A_n (H), W (H, I), V_k (H, H), W_B and W_C (N, H). B and C are
    vectors (N), of which B_n and C_n are numbers; with selective=false B_n and C_n are parameters
    (H). A < 0 is initialised as -1, ..., -N in every channel (S4D-Real), d_k log-uniformly in
    [0.001, 0.1].

    `selective` is S6 of Gu and Dao (2023), algorithm 2, where V_k is of full rank. Otherwise this
    is the zero-order hold, as S4D of Gu et al. (2022), "On the parameterization and initialization
    of diagonal state space models"; where S4D learns log d, here p is learned: initial steps are
    the same, and their gradients differ.

    Several predecessors: p_k and V_k are of the slot, shared where predecessors are unordered. With
    `combine=sum` states grow with the number of paths that lead to a node, one in a tree, 10^15 in
    a 28 x 28 grid.

    Arguments:
        selective: whether step, B and C are computed from the input (S6) or are parameters (S4D).
        state_size: the number of states per channel.
        combine: how the states of several predecessors are combined: mean or sum.
    """

    states = ("h",)
    node_gates = ("u",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        arity: int | None,
        *,
        selective: bool = True,
        state_size: int = 16,
        combine: Literal["mean", "sum"] = "mean",
    ):
        """ValueError for a state size below 1 or an unknown way to combine."""
        super().__init__(input_size, hidden_size, arity)
        if state_size < 1:
            raise ValueError(f"option 'state_size' is at least 1, got {state_size}")
        self.selective, self.state_size, self.combine = selective, state_size, combine
        slots = arity or 1
        rates = torch.arange(1.0, state_size + 1).log()
        self.log_rate = nn.Parameter(rates.repeat(hidden_size, 1))
        low, high = map(math.log, STEPS)
        step = torch.empty(slots, hidden_size).uniform_(low, high).exp()
        # The inverse of softplus.
        self.step = nn.Parameter(step + (-torch.expm1(-step)).log())
        self.direct = nn.Parameter(torch.ones(hidden_size))
        if selective:
            size = slots * hidden_size + 2 * state_size
            self.select = nn.Linear(hidden_size, size, bias=False)
        else:
            self.write = nn.Parameter(torch.ones(hidden_size, state_size))
            self.read = nn.Parameter(torch.randn(hidden_size, state_size))

    @property
    def state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size * self.state_size,)

    def project(self, x: Tensor) -> Tensor:
        u = self.input(x)
        if not self.selective:
            return u
        step, both = self.select(u).split([self.step.numel(), 2 * self.state_size], dim=1)
        return torch.cat([u, F.softplus(self.step.flatten() + step), both], dim=1)

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        u, step, write, _ = self._selected(z)
        rate, d, u = _by_state(self.log_rate).exp(), step.unsqueeze(2), u.unsqueeze(1)
        # exp2 takes a third of the time that exp takes.
        a = torch.exp2(d * (-rate / math.log(2))).flatten(2)
        # What is small is multiplied first: a node's states are many.
        if self.selective:
            b = mean(step).unsqueeze(1) * u * write
        else:
            held = -torch.expm1(-d * rate) / rate
            b = mean(held.flatten(2)).unflatten(1, rate.shape) * write * u
        if self.combine == "mean" and slots > 1:
            present = counted()
            a = a / (slots if present is None else present.sum(1, keepdim=True))
        return a, b.flatten(1)

    def output(self, z: Tensor, *states: Tensor) -> Tensor:
        u, _, _, read = self._selected(z)
        h = states[0].unflatten(1, (self.state_size, self.hidden_size))
        return (h * read).sum(1) + self.direct * u

    def selection(self, z: Tensor) -> Selection | None:
        if not self.selective:
            return None
        u, d, write, read = self._selected(z)
        rate = _by_state(self.log_rate).exp()
        return Selection(rate, self.direct, u, d.squeeze(1), write.squeeze(2), read.squeeze(2))

    def _selected(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """u (n, H), d (n, K, H), B and C (n, N, 1); those that are parameters are of one node."""
        if not self.selective:
            d, write, read = F.softplus(self.step), _by_state(self.write), _by_state(self.read)
            return z, d.unsqueeze(0), write.unsqueeze(0), read.unsqueeze(0)
        size, state_size = self.hidden_size, self.state_size
        u, d, write, read = z.split([size, self.step.numel(), state_size, state_size], 1)
        return u, d.unflatten(1, (-1, size)), write.unsqueeze(2), read.unsqueeze(2)


def _by_state(parameter: Tensor) -> Tensor:
    """(N, H) of (H, N): channels are more than their states, and lie side by side in memory."""
    return parameter.T.contiguous()
