from torch import Tensor

from structnet.cell.linear import LinearCell, shares
from structnet.registry import cells


@cells.register("fo")
class FoPooling(LinearCell):
    """The fo-pooling of a quasi-recurrent network: a memory of forget gates, an output gate.

    Equations:
        n = tanh(W x + b)
        l_k = W_fk x + b_fk
        f_k = exp(l_k) / (1 + sum_j exp(l_j))
        o = sigmoid(W_o x + b_o)
        c = (1 - sum_k f_k) * n + sum_k f_k * c_k
        h = o * c

    The state is c. Shapes: x (I), h, c and gates (H), every W (H, I). Bradbury et al. (2017), eq. 1
    and 4, with a convolution of width one: on one slot f_1 is their f = sigmoid(W_f x + b_f).
    Several forget gates are a softmax with 0, so that c is a mean of n and the c_k.
    """

    node_gates = ("n", "o")
    edge_gates = ("f",)

    def coefficients(self, z: Tensor, slots: int) -> tuple[Tensor, Tensor]:
        (n, _), (f,) = self.split(z)
        own, kept = shares(f, slots)
        return kept, own * n.tanh()

    def output(self, z: Tensor, *states: Tensor) -> Tensor:
        (_, o), _ = self.split(z)
        return o.sigmoid() * states[0]
