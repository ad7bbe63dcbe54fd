"""How a text starts: the marks of its beginning and end, and a decoder's initial states."""

from typing import Any

from torch import Tensor, nn

# The tokens that are read first, and written last.
START, END = "<bos>", "<eos>"
States = tuple[Tensor, ...]


class Start(nn.Module):
    """The initial states of a layer, a tensor (B, size) for each, from a vector (B, E).

    They are tanh of a linear map, or its logistic function for the normaliser n of a cell that has
    one. So the decoder of Cho et al. (2014) starts, section 2.2.

    Arguments:
        size: that of the vector.
        cell: of the layer.
    """

    def __init__(self, size: int, cell: Any):
        super().__init__()
        self.sizes = list(cell.state_sizes)
        self.map = nn.Linear(size, sum(self.sizes))
        names = getattr(cell, "states", None) or [""] * len(self.sizes)
        # A normaliser is a sum of weights, which are positive.
        self.positive = [name == "n" for name in names]

    def forward(self, given: Tensor) -> States:
        parts = self.map(given).split(self.sizes, dim=1)
        pairs = zip(parts, self.positive, strict=True)
        return tuple(part.sigmoid() if positive else part.tanh() for part, positive in pairs)


def zeros(layer: Any, given: Tensor) -> States:
    """Initial states of zeros, for each row of a tensor."""
    return tuple(given.new_zeros(len(given), size) for size in layer.cells[0].state_sizes)
