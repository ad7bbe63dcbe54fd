from torch import Tensor

from structnet.cell.linear import LinearCell, positive_candidate, shares
from structnet.registry import cells


@cells.register("mingru")
class MinGRU(LinearCell):
    """Minimal GRU whose gates see the input alone, so that it is linear in the state.

    u = s(W_u x + b_u), n = W x + b, h = (1 - u) h + u n, s the logistic function: Feng et al.
    (2024), "Were RNNs all we needed?", section 3.1. `positive` puts n through their g, v + 1/2
    where v >= 0, else s(v), as their log-space form does (appendix B).

    Several predecessors share 1 - u: the weights of n and of every h_k are the softmax of 0 and
    -(W_k x + b_k).

    Arguments:
        positive: whether candidates are made positive by g, as in the paper's log-space form.
    """

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
