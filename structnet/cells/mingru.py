from torch import Tensor

from structnet.cells.linear import LinearCell
from structnet.registry import cells


@cells.register("mingru")
class MinGRU(LinearCell):
    """Minimal GRU whose gates see the input alone, so that it is linear in the state.

    u_k = s(W_k x + b_k), n = W x + b, h = sum_k (1 - u_k) h_k + mean_k u_k n, s the logistic
    function. On one slot h = (1 - u) h + u n, as Feng et al. (2024), "Were RNNs all we needed?",
    section 3.1.3.
    """

    node_gates = ("n",)
    edge_gates = ("u",)

    def coefficients(self, z: Tensor) -> tuple[Tensor, Tensor]:
        (n,), (u,) = self.split(z)
        u = u.sigmoid()
        return 1 - u, u.mean(1) * n
