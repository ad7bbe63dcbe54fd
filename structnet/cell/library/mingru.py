from torch import Tensor

from structnet.cell.linear import LinearCell, positive_candidate, shares
from structnet.registry import cells


@cells.register("mingru")
class MinGRU(LinearCell):
    """Minimal GRU whose gates see the input alone, so that it is linear in the state.

    Equations:
        n = W x + b
        u_k = W_uk x + b_uk
        a_k = exp(-u_k) / (1 + sum_j exp(-u_j))
        h = (1 - sum_k a_k) * n + sum_k a_k * h_k
        positive=true: n = g(W x + b)
        positive=true: g(v) = v + 1/2 where v >= 0, else sigmoid(v)

    Shapes: x (I), h and gates (H), every W (H, I). Feng et al. (2024), "Were RNNs all we needed?",
    section 3.1: on one slot 1 - a_1 is their z = sigmoid(W_u x + b_u); several predecessors share a
    softmax with 0. `positive` is as in their log-space form (appendix B).

    Arguments:
        positive: whether candidates are made positive by g, as in the paper's log-space form.
    """

    states = ("h",)
    node_gates = ("n",)
    edge_gates = ("u",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, positive: bool = False
    ):
        super().__init__(input_size, hidden_size, arity)
        self.positive = positive

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        (n,), (u,) = self.split(z)
        own, kept = shares(-u, slots)
        return kept, own * (positive_candidate(n) if self.positive else n)
