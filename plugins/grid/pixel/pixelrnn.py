"""PixelRNN: recurrences over the earlier pixels, in residual blocks."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.grid.pixel.canvas import Canvas, Sweep
from structnet.plugins.grid.pixel.layout import OWN, Tap, Taps, beside
from structnet.plugins.grid.pixel.masked import mask_cell
from structnet.plugins.grid.pixel.net import MOST_ROWS, PixelNet, square
from structnet.plugins.grid.topology import Grid


@sn.nets.register("pixelrnn")
class PixelRNN(PixelNet):
    """PixelRNN: a masked convolution, residual blocks of recurrences, and two linear maps.

    Van den Oord et al. (2016), "Pixel recurrent neural networks", section 3 and table 1, with
    topology row (Row LSTM) or bidiagonal (Diagonal BiLSTM). Topology diagonal is one half of the
    BiLSTM, which does not see the pixels above and to the right. A recurrence reads 2 hidden_size
    features and has `hidden_size` units; its output is mapped back to 2 hidden_size features and
    added to its input. The outputs of several directions are added, moved down by the topology's
    `shifts`.

    Arguments:
        kernel: the width of the input-to-state convolution, whose right half is masked; null is the
            paper's: 3 where no predecessor is in the same row, else 1.
        memory: slot carries the memory of an LSTM from one predecessor as in the paper (eq. 3), the
            one above in topology row, the one in the same row in diagonal ones, unless cell.forget
            is set; all has one forget gate per slot (the 2-D LSTM of Graves et al. 2007).
    """

    # The options in `**options` that the base class does not take.
    options_of: ClassVar = {sn.Recurrence: ("executor", "save")}

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        cell: Callable[..., sn.Cell],
        readout: Callable[[int, int], sn.Readout],
        *,
        kernel: int | None = None,
        memory: Literal["slot", "all"] = "slot",
        **options: Any,
    ):
        """ValueError for a topology that sees ahead, or a cell that mixes a pixel's channels."""
        layer = {name: options.pop(name) for name in ("executor", "save") if name in options}
        super().__init__(sizes, topology, readout, "pixelrnn", **options)
        assert isinstance(topology, Grid)
        _check_ahead(topology)
        taps = square(self.first_kernel, "first_kernel", least=3)
        self.first = self.convolution(None, self.width, taps)
        carrying = _carrying(cell, memory)
        self.blocks: Any = nn.ModuleList(
            Block(self, topology, carrying, kernel, depth == 0, layer)
            for depth in range(self.num_layers)
        )
        self.finish(self.blocks[0].output_size)

    def run_blocks(self, canvas: Canvas) -> tuple[Tensor, list[Tensor]]:
        x = canvas.convolve(self.first, canvas.input)
        outputs = []
        for block in self.blocks:
            h = block(canvas, x)
            x = x + block.up(h)
            outputs.append(h)
        return x, outputs


class Block(nn.Module):
    """A recurrence in all directions, whose outputs are added; `up` maps them back to 2 H features.

    Figure 5 of the paper, on the right. In the first block a direction that is moved down also
    reads the image: the masked convolution hides a pixel from its own features, so that otherwise
    most of a row would not see the last pixel of the row above. Called with a canvas and features
    (n, 2 H) it returns (n, H).
    """

    def __init__(
        self,
        net: PixelNet,
        topology: Grid,
        cell: Callable[[Taps], Callable[..., sn.Cell]],
        kernel: int | None,
        is_first: bool,
        options: dict[str, Any],
    ):
        super().__init__()
        self.taps, hidden_size = _taps(topology, kernel), net.hidden_size
        width, units = net.ranks(2 * hidden_size), net.ranks(hidden_size)
        self.sweeps: Any = nn.ModuleList()
        sweeps: Any = zip(topology.directions, topology.offsets, topology.shifts, strict=True)
        for place, (name, offsets, rows) in enumerate(sweeps):
            sees_input = is_first and rows > 0
            size = len(self.taps) * len(width) + net.given_size
            size += len(net.channels) * sees_input
            made: Any = sn.Recurrence(
                Grid(2, {name: offsets}), cell(offsets), size, hidden_size, **options
            )
            # All channels of the rows above may be seen.
            if not rows:
                mask_cell(made.cells[0], width, units, self.taps)
            self.sweeps.append(Sweep(made, place, offsets, rows, sees_input))
        self.output_size = self.sweeps[0].recurrence.output_size
        self.up = net.map(self.output_size, 2 * hidden_size)

    def forward(self, canvas: Canvas, x: Tensor) -> Tensor:
        if self.taps != OWN:
            x = canvas.taps(self, x, self.taps)
        x = beside(x, canvas.given)
        return torch.stack([sweep(canvas, x) for sweep in self.sweeps]).sum(0)


def _taps(topology: Grid, kernel: int | None) -> Taps:
    if kernel is None:
        same_row = any(dy == 0 for offsets in topology.offsets for dy, _ in offsets)
        kernel = 1 if same_row else 3
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"option 'kernel' is null or an odd number from 1 on, got {kernel}")
    if kernel > MOST_ROWS:
        raise ValueError(f"option 'kernel' is at most {MOST_ROWS}, got {kernel}")
    return tuple((0, dx) for dx in range(-(kernel // 2), 1))


def _check_ahead(topology: Grid) -> None:
    """ValueError unless every direction, moved down by its shift, sees earlier pixels only."""
    for name, offsets, rows in zip(
        topology.directions, topology.offsets, topology.shifts, strict=True
    ):
        for dy, dx in offsets:
            if dy > 0 or (rows == 0 and (dy, dx) > (0, 0)):
                raise ValueError(
                    f"direction {name!r} of this topology reads a pixel at {(dy, dx)} (rows, "
                    "columns), which is still to be predicted: take topology=row, diagonal or "
                    "bidiagonal"
                )


def _carrying(
    cell: Callable[..., sn.Cell], memory: str
) -> Callable[[Taps], Callable[..., sn.Cell]]:
    """How a direction with the given offsets makes its cell, by `memory`."""

    def at(offsets: Taps) -> Callable[..., sn.Cell]:
        def make(input_size: int, hidden_size: int, arity: int | None) -> sn.Cell:
            made = cell(input_size, hidden_size, arity)
            if memory == "all" or getattr(made, "forget", 0) is not None:
                return made
            return cell(input_size, hidden_size, arity, forget=offsets.index(_straight(offsets)))

        return make

    return at


def _straight(offsets: Taps) -> Tap:
    """The slot that carries the memory: in the same row if there is one, else straight above."""
    return min((tap for tap in offsets if 0 in tap), key=lambda tap: tap[0] != 0)
