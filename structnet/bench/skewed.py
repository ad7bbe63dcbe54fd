"""Rivals on diagonals: the image is skewed, then a loop runs over its columns.

Van den Oord et al. (2016), "Pixel recurrent neural networks", section 3.2 and figure 3: every row
of an image is shifted by one to the right of the row above, so that a diagonal becomes a column.
Left neighbours are then in the column before, and upper neighbours as well, one row above.

B: images, H: rows of the highest, W: columns, T: columns of the skewed map.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from structnet.cell.call import call
from structnet.cell.frame import Frame

# Left and up.
OFFSETS = (((0, -1), (-1, 0)),)


def skewed_loop(cell: Any, x: Tensor, shapes: Sequence[tuple[int, int]]) -> Callable[[], Tensor]:
    """A function that computes the output (N, D) of a batch of images.

    Arguments:
        cell: one of ours, with two slots.
        x: the input (N, I), image after image.
        shapes: (height, width) of every image.
    """
    place, size = _places(shapes)
    place = place.to(x.device)
    at = torch.full((int(np.prod(size)),), len(x), device=x.device)
    at[place] = torch.arange(len(x), device=x.device)
    columns = at.view(size).unbind(2)
    inside = [(column < len(x)).unsqueeze(2) for column in columns]
    there = [_there(before) for before in (torch.zeros_like(inside[0]), *inside[:-1])]

    def forward() -> Tensor:
        # One more row, for the places of the skewed map without a pixel.
        z = nn.functional.pad(cell.project(x), (0, 0, 0, 1))
        states = [x.new_zeros(*size[:2], width) for width in cell.state_sizes]
        outputs = []
        for column, mask, present in zip(columns, inside, there, strict=True):
            above = (nn.functional.pad(state[:, :-1], (0, 0, 1, 0)) for state in states)
            read = [torch.stack(pair, 2).flatten(0, 1) for pair in zip(states, above, strict=True)]
            now = z[column.flatten()]
            new = call(cell, now, *read, around=Frame(present=present.unsqueeze(2)))
            h = cell.output(now, *new)
            outputs.append(h.view(*size[:2], -1))
            # States of places without a pixel are zeros; the bias would make them others.
            states = [state.view(*size[:2], -1) * mask for state in new]
        return torch.stack(outputs, 2).flatten(0, 2)[place]

    return forward


def _there(before: Tensor) -> Tensor:
    """Which neighbours (B H, 2) of a column's pixels are present.

    A pixel without any has one, the null state.

    Arguments:
        before: (B, H, 1), which places of the column before have a pixel.
    """
    above = nn.functional.pad(before[:, :-1], (0, 0, 1, 0))
    there = torch.cat([before, above], 2).flatten(0, 1)
    there[:, 0] |= ~there.any(1)
    return there


def _places(shapes: Sequence[tuple[int, int]]) -> tuple[Tensor, tuple[int, int, int]]:
    """The index of every node in the flattened skewed map, and the map's shape (B, H, T)."""
    height = max(rows for rows, _ in shapes)
    length = max(rows + columns - 1 for rows, columns in shapes)
    places = []
    for image, shape in enumerate(shapes):
        row, column = np.indices(shape).reshape(2, -1)
        places.append((image * height + row) * length + row + column)
    return torch.from_numpy(np.concatenate(places)), (len(shapes), height, length)


class ConvolvedLSTM(nn.Module):
    """A diagonal LSTM as the paper describes it, with the weights of a plain cell of ours.

    Input-to-state is a 1 x 1 convolution of the skewed map, state-to-state a 2 x 1 convolution of a
    column. Columns are read by indexing, the obvious way to write it: the gradient of each is then
    as large as the map, which `skewed_loop` avoids. Called with images (B, I, H, W), it returns
    (B, hidden size, H, W).
    """

    def __init__(self, cell: Any):
        super().__init__()
        size = self.size = cell.hidden_size
        like = {"device": cell.recurrent.device, "dtype": cell.recurrent.dtype}
        self.input = nn.Conv2d(cell.input_size, 5 * size, 1, **like)
        self.recurrent = nn.Conv1d(size, 5 * size, 2, bias=False, **like)
        # Both forget gates share the weights of the input.
        both = [*range(4 * size), *range(3 * size, 4 * size)]
        left, up = cell.recurrent.detach().mT.split(size, dim=1)
        assert self.input.bias is not None
        with torch.no_grad():
            self.input.weight.copy_(cell.input.weight[both, :, None, None])
            self.input.bias.copy_(cell.input.bias[both])
            self.recurrent.weight.copy_(torch.stack([up, left], 2))

    def forward(self, x: Tensor) -> Tensor:
        images, _, height, width = x.shape
        z, inside = self.input(skew(x)), skew(x.new_ones(1, 1, height, width))
        h = c = x.new_zeros(images, self.size, height)
        columns = []
        for step in range(z.shape[3]):
            gates = z[..., step] + self.recurrent(nn.functional.pad(h, (1, 0)))
            i, o, u, left, up = gates.chunk(5, dim=1)
            above = nn.functional.pad(c[:, :, :-1], (1, 0))
            c = i.sigmoid() * u.tanh() + left.sigmoid() * c + up.sigmoid() * above
            # Places without a pixel have no state; the bias would make one.
            c = c * inside[..., step]
            h = o.sigmoid() * c.tanh()
            columns.append(h)
        return unskew(torch.stack(columns, 3), width)


def is_plain_lstm(name: str, cell: Any) -> bool:
    """Whether `ConvolvedLSTM` computes the same function as the cell."""
    names = {name for name, _ in cell.named_parameters()}
    gates = (cell.node_gates, cell.edge_gates) == (("i", "o", "u"), ("f",))
    return name == "lstm" and gates and names == {"input.weight", "input.bias", "recurrent"}


def skew(x: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, H, H + W - 1): row r starts at column r."""
    height, width = x.shape[2:]
    skewed = x.new_zeros(*x.shape[:3], height + width - 1)
    for row in range(height):
        skewed[:, :, row, row : row + width] = x[:, :, row]
    return skewed


def unskew(x: Tensor, width: int) -> Tensor:
    return torch.stack([row[:, :, at : at + width] for at, row in enumerate(x.unbind(2))], 2)
