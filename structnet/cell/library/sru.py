import torch
from torch import Tensor, nn

from structnet.cell.linear import LinearCell, shares
from structnet.registry import cells


@cells.register("sru")
class SRU(LinearCell):
    """Simple recurrent unit: a memory of forget gates, and a highway from the input.

    Equations:
        l_k = W_fk x + b_fk
        f_k = exp(l_k) / (1 + sum_j exp(l_j))
        r = sigmoid(W_r x + b_r)
        c = (1 - sum_k f_k) * (W x) + sum_k f_k * c_k
        h = r * c + (1 - r) * (V x)
        peephole=true: l_k = W_fk x + v_fk * c_k + b_fk
        peephole=true: r = sigmoid(W_r x + sum_k v_rk * c_k + b_r)

    V is the identity where I = H, as in the paper, else learned. The state is c, and with
    `peephole` also r. Shapes: x (I), h, c and gates (H), every W and V (H, I), v (H). Lei et al.
    (2018), eq. 1-4, without the scaling constant of their section 3.2: on one slot f_1 is
    sigmoid(l_1). The terms in v, which starts at zero, come with `peephole`, and with them the
    state's nonlinearity; without, it is the unit of their first version (2017).

    Arguments:
        peephole: whether the gates see the memory, v, as in the second version of the paper.
    """

    states = ("c",)
    node_gates = ("r",)
    edge_gates = ("f",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, peephole: bool = False
    ):
        super().__init__(input_size, hidden_size, arity)
        if peephole:
            self.states = ("c", "r")
        same = input_size == hidden_size
        self.candidate = nn.Linear(input_size, hidden_size, bias=False)
        self.highway = nn.Identity() if same else nn.Linear(input_size, hidden_size, bias=False)
        self.peephole = nn.Parameter(torch.zeros(2, arity or 1, hidden_size)) if peephole else None

    @property
    def is_linear(self) -> bool:
        return self.peephole is None

    def project(self, x: Tensor) -> Tensor:
        return torch.cat([self.input(x), self.candidate(x), self.highway(x)], dim=1)

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        _, (f,) = self.split(z)
        return self._mix(z, f, slots)

    def forward(self, z: Tensor, *states: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        c = states[0]
        if self.peephole is None:
            return super().forward(z, c)
        (r,), (f,) = self.split(z)
        see_f, see_r = self.peephole
        kept, new = self._mix(z, f + see_f * c, c.shape[1])
        return (kept * c).sum(1) + new, (r + (see_r * c).sum(1)).sigmoid()

    def output(self, z: Tensor, *states: Tensor) -> Tensor:
        (r,), _ = self.split(z)
        r = r.sigmoid() if self.peephole is None else states[1]
        return r * states[0] + (1 - r) * z[:, -self.hidden_size :]

    def _mix(self, z: Tensor, f: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        """a and b for forget gates before their nonlinearity."""
        own, kept = shares(f, slots)
        return kept, own * z[:, -2 * self.hidden_size : -self.hidden_size]
