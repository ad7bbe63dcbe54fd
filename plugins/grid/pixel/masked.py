"""Masks: which features may depend on which channels of their own pixel.

A feature of rank r may depend on the first r channels of its own pixel, and on all channels of
earlier pixels. Channel c itself has rank c + 1. A map of a pixel's features then obeys one rule,
rank in <= rank out, which gives both masks of van den Oord et al. (2016), section 3.4: mask A for
the first layer, mask B for all others.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

import structnet as sn
from structnet.plugins.grid.pixel.layout import OWN, Taps

Ranks = tuple[int, ...]


def ranks(count: int, groups: int) -> Ranks:
    """The ranks of `count` features in groups of about equal size; group g has rank g."""
    if count < groups:
        raise ValueError(
            f"{count} features for {groups} groups of channels: take at least one per group"
        )
    return tuple(place * groups // count for place in range(count))


class Masked(nn.Linear):
    """A linear map of a node's features at `taps`, followed by `given` features of the condition.

    Weights that the ranks forbid are zero; no tap may be later than the pixel. Called with rows (n,
    T * D + given) it returns (n, outputs).
    """

    def __init__(self, inputs: Ranks, outputs: Ranks, taps: Taps = OWN, given: int = 0):
        self.taps, self.given, self.depth = taps, given, len(inputs)
        super().__init__(len(taps) * len(inputs) + given, len(outputs))
        mask_weight(self, inputs, outputs, taps)

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Set weights and biases to those of a new map, given the same random state."""
        if not parametrize.is_parametrized(self, "weight"):
            super().reset_parameters()
            return
        # The masked weight is computed from another parameter.
        with torch.device(self.bias.device):
            fresh = nn.Linear(self.in_features, self.out_features)
        parametrizations: Any = self.parametrizations
        parametrizations.weight.original.copy_(fresh.weight)
        self.bias.copy_(fresh.bias)

    def kernel(self) -> Tensor:
        """The same weights as a convolution kernel (outputs, D, height, width).

        The pixel itself is in the last row and the middle column; see `margins`.
        """
        above, beside = self.margins
        height, width = above + 1, 2 * beside + 1
        places = [(dy + above) * width + dx + beside for dy, dx in self.taps]
        weight = self.weight[:, : len(self.taps) * self.depth].unflatten(1, (-1, self.depth))
        return (
            weight.new_zeros(len(weight), self.depth, height * width)
            .index_copy(2, torch.tensor(places, device=weight.device), weight.transpose(1, 2))
            .unflatten(2, (height, width))
        )

    @property
    def margins(self) -> tuple[int, int]:
        """The number of rows above a pixel, and of columns on each side, that are read."""
        return -min(dy for dy, _ in self.taps), max(abs(dx) for _, dx in self.taps)


class _Mask(nn.Module):
    def __init__(self, mask: Tensor):
        super().__init__()
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def mask_weight(linear: nn.Linear, inputs: Ranks, outputs: Ranks, taps: Taps) -> None:
    """Mask the weights that the ranks forbid; columns of no tap are left as they are."""
    if (0, 0) not in taps or max(inputs) <= min(outputs):
        return
    rows = len(linear.weight)
    allowed = torch.tensor(inputs)[None, :] <= torch.tensor(outputs)[:, None]
    # The gates of a cell are stacked, and each has the ranks of the cell's outputs.
    allowed = allowed.repeat(rows // len(outputs), 1)
    mask = torch.ones_like(linear.weight)
    for place, tap in enumerate(taps):
        if tap == (0, 0):
            mask[:, place * len(inputs) : (place + 1) * len(inputs)] = allowed
    parametrize.register_parametrization(linear, "weight", _Mask(mask))


def mask_cell(cell: sn.Cell, inputs: Ranks, outputs: Ranks, taps: Taps) -> None:
    """Mask a cell's input projection; ValueError if its units still mix a pixel's channels."""
    linear = getattr(cell, "input", None)
    if max(outputs) == 0 == max(inputs):
        return
    if isinstance(linear, nn.Linear) and len(linear.weight) % len(outputs) == 0:
        mask_weight(linear, inputs, outputs, taps)
    if _mixes(cell, inputs, outputs, taps):
        raise ValueError(
            f"{sn.cells.called(cell)} with these options lets a unit see all channels of its "
            "own pixel, so that a channel would be predicted from itself: take cell=lstm without "
            "layer_norm and projection_size, or task.likelihood=logistics"
        )


def _mixes(cell: sn.Cell, inputs: Ranks, outputs: Ranks, taps: Taps) -> bool:
    """Whether an output depends on an input of its own pixel with a higher rank."""
    own = taps.index((0, 0)) * len(inputs)
    like = next(cell.parameters())
    if like.is_meta:
        # On the meta device only the parameters are counted.
        return False
    x = torch.rand(1, cell.input_size, dtype=like.dtype, requires_grad=True)
    states = [torch.rand(1, cell.arity or 1, size, dtype=like.dtype) for size in cell.state_sizes]
    output = advance(cell, cell.project(x), states)[0]
    if output.shape[1] != len(outputs):
        return True
    for rank in range(max(outputs) + 1):
        seen = [place for place, one in enumerate(outputs) if one == rank]
        (grad,) = torch.autograd.grad(output[0, seen].sum(), x, retain_graph=True)
        above = [own + place for place, one in enumerate(inputs) if one > rank]
        if grad[0, above].any():
            return True
    return False


def advance(
    cell: sn.Cell, z: Tensor, states: Sequence[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One step of a cell: its output to the layer above, and its new states."""
    new = cell(z, *states)
    new = (new,) if isinstance(new, Tensor) else tuple(new)
    return (cell.output(z, *new)), new
