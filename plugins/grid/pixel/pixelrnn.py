"""PixelRNN: recurrences over the pixels before, in residual blocks."""

from collections.abc import Callable

import torch
from structnet.plugins.grid.pixel.canvas import Canvas, Sweep
from structnet.plugins.grid.pixel.layout import OWN, Tap, Taps, beside
from structnet.plugins.grid.pixel.masked import mask_cell
from structnet.plugins.grid.pixel.net import MOST_ROWS, Head, PixelNet, check_sizes, square
from structnet.plugins.grid.topology import Grid
from torch import Tensor, nn

import structnet as sn

MEMORIES = ("slot", "all")


@sn.nets.register("pixelrnn")
class PixelRNN(PixelNet):
    """PixelRNN: a masked convolution, residual blocks of recurrences, and two maps.

    Van den Oord et al. (2016), "Pixel recurrent neural networks", section 3 and table 1, with
    `topology` row (Row LSTM) or bidiagonal (Diagonal BiLSTM); diagonal is a BiLSTM's half, which
    does not see the pixels above and to the right. A recurrence has `hidden_size` units and reads
    features of twice that number; a map takes its output back to these, to be added to what it
    read. Directions are added, moved down as the topology says.

    Arguments:
        kernel: the columns of the input-to-state convolution, its right half masked; null is the
            paper's, 3 where no predecessor is in the same row, else 1.
        memory: slot carries an LSTM's memory from one slot as in the paper, up in a row and along
            the row on diagonals (eq. 3; a cell.forget that is set stays); all has a forget gate a
            slot (the 2-D LSTM of Graves et al. 2007).
        executor: what runs the recurrences: auto, or one by name, as reference, batched or
            compiled.
        save: what is stored for backward: gates; or less, to compute it again: recompute, windows.
    """

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        cell: Callable[..., sn.Cell],
        readout: Callable[[int, int], sn.Readout],
        *,
        hidden_size: int = 16,
        num_layers: int = 7,
        first_kernel: int = 7,
        kernel: int | None = None,
        memory: str = "slot",
        skip: bool = False,
        head_size: int | None = None,
        condition_size: int = 16,
        executor: str = "auto",
        save: str = "gates",
    ):
        """ValueError for a topology that sees ahead, or a cell that mixes a pixel's channels."""
        super().__init__(sizes, topology, readout, "pixelrnn", condition_size)
        check_sizes(hidden_size=hidden_size, num_layers=num_layers, head_size=head_size)
        if memory not in MEMORIES:
            raise ValueError(f"no memory {memory!r} among {list(MEMORIES)}")
        assert isinstance(topology, Grid)
        _check_ahead(topology)
        width = 2 * hidden_size
        self.first = self.convolution(None, width, square(first_kernel, "first_kernel", least=3))
        options = {"executor": executor, "save": save}
        self.blocks = nn.ModuleList(
            Block(self, topology, _carrying(cell, memory), hidden_size, kernel, depth == 0, options)
            for depth in range(num_layers)
        )
        self.skips = nn.ModuleList(
            self.map(block.output_size, width) for block in self.blocks if skip
        )
        self.head = Head(self, width, head_size)

    def run(self, canvas: Canvas) -> Tensor:
        x = canvas.convolve(self.first, canvas.input)
        outputs = []
        for block in self.blocks:
            h = block(canvas, x)
            x = x + block.up(h)
            outputs.append(h)
        for skip, h in zip(self.skips, outputs, strict=False):
            x = x + skip(h)
        return self.head(x)


class Block(nn.Module):
    """A recurrence in all directions, which are added, and the map `up` to the features it read.

    Figure 5 of the paper, on the right. In the first block a direction that is moved down reads the
    image as well: otherwise the last pixel of every row would not be seen from most of the next,
    as the masked convolution hides a pixel from its own features. Called with a canvas and features
    (n, 2 H) it gives (n, H).
    """

    def __init__(
        self,
        net: PixelNet,
        topology: Grid,
        cell: Callable[[Taps], Callable[..., sn.Cell]],
        hidden_size: int,
        kernel: int | None,
        is_first: bool,
        options: dict[str, str],
    ):
        super().__init__()
        self.taps = _taps(topology, kernel)
        width, units = net.ranks(2 * hidden_size), net.ranks(hidden_size)
        self.sweeps = nn.ModuleList()
        for place, (name, offsets) in enumerate(
            zip(topology.directions, topology.offsets, strict=True)
        ):
            rows = topology.shifts[place]
            sees_input = is_first and rows > 0
            size = len(self.taps) * len(width) + net.given_size
            size += len(net.channels) * sees_input
            made = sn.Recurrence(
                Grid(2, {name: offsets}), cell(offsets), size, hidden_size, **options
            )
            # Of rows above, every channel may be seen.
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
    """ValueError unless every direction, moved down by its shift, stays before its pixel."""
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
    """How a direction of these offsets makes its cell: with memory from one slot where it can."""

    def at(offsets: Taps) -> Callable[..., sn.Cell]:
        def make(input_size: int, hidden_size: int, arity: int | None) -> sn.Cell:
            made = cell(input_size, hidden_size, arity)
            if memory == "all" or getattr(made, "forget", 0) is not None:
                return made
            return cell(input_size, hidden_size, arity, forget=offsets.index(_straight(offsets)))

        return make

    return at


def _straight(offsets: Taps) -> Tap:
    """Along the row where a slot is there, else up: the step by which the paper's sweep moves."""
    return min((tap for tap in offsets if 0 in tap), key=lambda tap: tap[0] != 0)
