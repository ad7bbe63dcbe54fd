from torch import Tensor
from torch.nn import functional as F

from structnet.cell.linear import LinearCell, positive_candidate, shares
from structnet.registry import cells


@cells.register("minlstm")
class MinLSTM(LinearCell):
    """Minimal LSTM whose gates see the input alone and sum to one; its memory is its output.

    Equations:
        f_k = sigmoid(W_fk x + b_fk)
        i = sigmoid(W_i x + b_i)
        n = W x + b
        h = (sum_k f_k * h_k + i * n) / (sum_k f_k + i)
        positive=true: n = g(W x + b)
        positive=true: g(v) = v + 1/2 where v >= 0, else sigmoid(v)

    Shapes: x (I), h and gates (H), every W (H, I). Feng et al. (2024), "Were RNNs all we needed?",
    section 3.2; several predecessors have a forget gate each. `positive` is as in their log-space
    form (appendix B).

    Arguments:
        positive: whether candidates are made positive by g, as in the paper's log-space form.
    """

    states = ("h",)
    node_gates = ("n", "i")
    edge_gates = ("f",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, positive: bool = False
    ):
        super().__init__(input_size, hidden_size, arity)
        self.positive = positive

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        (n, i), (f,) = self.split(z)
        # log f - log i, which is exact where both gates are next to zero.
        own, kept = shares(F.softplus(-i).unsqueeze(1) - F.softplus(-f), slots)
        return kept, own * (positive_candidate(n) if self.positive else n)
