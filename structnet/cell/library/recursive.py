import torch
from torch import Tensor, nn

from structnet.cell.base import Cell
from structnet.cell.product import product
from structnet.registry import cells


@cells.register("recursive")
class Recursive(Cell):
    """Recursive network: a parent is tanh of a linear map of its concatenated children.

    Equations:
        c = [h_1; ...; h_K]
        h = tanh(W_x x + W c + b)
        tensor=true: h = tanh(W_x x + W c + b + c^T V c / (2 H))

    Shapes: x (I), h and h_k (H), c (K H), W_x (H, I), W (H, K H), V (H, K H, K H), a matrix for
    every unit. With unordered predecessors c (H) is their sum. Socher et al. (2011),
    "Semi-supervised recursive autoencoders", eq. 2; with `tensor` the recursive neural tensor
    network of Socher et al. (2013), section 4.3, where V is what V / (2 H) is here, H the size of a
    child. So a step of Adam, which moves each of the (2 H)^2 entries behind a unit as far as one of
    the 2 H of W, does not move the unit 2 H times as far. The recurrent weights are `recurrent` (W)
    and with `tensor` also `quadratic` (V).

    The papers' leaves are word vectors and their parents have no input; here a leaf is tanh(W_x x +
    b), and a parent whose x is zero is theirs.

    Arguments:
        tensor: whether products of pairs of children, c^T V c, are added, as in the RNTN.
    """

    node_gates = ("p",)

    def __init__(
        self, input_size: int, hidden_size: int, arity: int | None, *, tensor: bool = False
    ):
        self.tensor = tensor
        super().__init__(input_size, hidden_size, arity)

    def _add_recurrent(self) -> None:
        super()._add_recurrent()
        if self.tensor:
            size = len(self.recurrent)
            self.quadratic = nn.Parameter(torch.empty(size, self.hidden_size * size))

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Initialise V uniformly from -1/2 to 1/2, and all else as every cell does."""
        super().reset_parameters()
        if self.tensor:
            nn.init.uniform_(self.quadratic, -0.5, 0.5)

    def forward(self, z: Tensor, h: Tensor) -> Tensor:
        (p,), () = self.gates(z, h)
        return (p + self._quadratic(h)).tanh() if self.tensor else p.tanh()

    def _quadratic(self, h: Tensor) -> Tensor:
        """c^T V c / n of every node, (nodes, H)."""
        c = h.sum(1) if self.arity is None else h.flatten(1)
        # The rounding of half precision is squared here.
        with torch.autocast(c.device.type, enabled=False):
            cV = product(c, self.quadratic).unflatten(1, (self.hidden_size, -1))
        return (cV * c.unsqueeze(1)).sum(-1) / (2 * self.hidden_size)
