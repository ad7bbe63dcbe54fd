from torch import Tensor

from structnet.cell.linear import LinearCell, shares
from structnet.registry import cells


@cells.register("fo")
class FoPooling(LinearCell):
    """The fo-pooling of a quasi-recurrent network: a memory of forget gates, an output gate.

    n = tanh(W x + b), f = s(W_f x + b_f), o = s(W_o x + b_o), c = f c + (1 - f) n, h = o c, s the
    logistic function: Bradbury et al. (2017), eq. 1 and 4, with a convolution of width one. The
    state is c.

    Several predecessors: the weights of n and of every c_k are the softmax of 0 and
    W_fk x + b_fk.
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
