"""The base of nets that predict pixels."""

import abc
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

import structnet as sn
from structnet.plugins.grid.pixel.canvas import Canvas, Whole
from structnet.plugins.grid.pixel.condition import given
from structnet.plugins.grid.pixel.layout import OWN, Taps, layout
from structnet.plugins.grid.pixel.masked import Masked, Ranks, ranks
from structnet.plugins.grid.topology import Grid

# Upper bounds beyond any real net.
MOST_LAYERS, MOST_FEATURES, MOST_ROWS = 1000, 1 << 20, 255


class PixelNet(nn.Module, abc.ABC):
    """The distribution of every pixel given the pixels before it in raster order.

    Called with a batch of images it returns (N, outputs); output o depends on the earlier pixels
    and on the first `sees[o]` channels of its own pixel. A subclass makes residual blocks of
    features of size `width` and writes `run_blocks`; `finish` makes the skip connections and the
    head.

    Arguments:
        hidden_size: the units of a layer; there are twice as many features between layers.
        num_layers: the number of residual blocks.
        first_kernel: height and width of the first convolution, which is masked.
        skip: feed the output of every block to the head as well.
        head_size: the features between the head's two linear maps; null is 2 hidden_size.
        condition_size: the number of features that a class or a small image is mapped to.
    """

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        readout: Callable[[int, int], sn.Readout],
        name: str,
        *,
        hidden_size: int = 16,
        num_layers: int = 7,
        first_kernel: int = 7,
        skip: bool = False,
        head_size: int | None = None,
        condition_size: int = 16,
    ):
        """ValueError for a task that doesn't predict its input, and for no grid of two axes."""
        super().__init__()
        if sizes.sees is None or sizes.input_size is None:
            raise ValueError(
                f"net {name!r} predicts the pixels that are its input, which this task does not; "
                "take net=stack, or task.goal=pixels"
            )
        if not isinstance(topology, Grid) or topology.dims != 2:
            raise ValueError(
                f"net {name!r} is for images: take a topology of two axes such as row, diagonal or "
                f"bidiagonal, not {sn.topologies.called(topology)}"
            )
        every: Any = sn.readouts["every"]
        if not isinstance(readout(1, 1), every):
            raise ValueError(f"net {name!r} scores every pixel: leave readout out, or take 'every'")
        self.sees: Ranks = tuple(sizes.sees)
        # Channel c is seen by features of a higher rank than c.
        self.channels: Ranks = tuple(range(1, sizes.input_size + 1))
        self.groups = 1 + max(self.sees)
        self.condition = given(sizes.condition, condition_size)
        self.given_size = condition_size if self.condition is not None else 0
        check_sizes(hidden_size=hidden_size, num_layers=num_layers, head_size=head_size)
        self.hidden_size, self.num_layers = hidden_size, num_layers
        self.width, self.first_kernel = 2 * hidden_size, first_kernel
        self.skip, self.head_size = skip, head_size

    def finish(self, block_size: int) -> None:
        """Make the layers above the blocks, whose outputs have this size."""
        count = self.num_layers if self.skip else 0
        self.skips = nn.ModuleList(self.map(block_size, self.width) for _ in range(count))
        self.head = Head(self, self.width, self.head_size)

    @abc.abstractmethod
    def run_blocks(self, canvas: Canvas) -> tuple[Tensor, list[Tensor]]:
        """The features (n, width) after the last block, and the outputs of all blocks."""

    def run(self, canvas: Canvas) -> Tensor:
        """The outputs (n, outputs) for the canvas's current nodes."""
        x, outputs = self.run_blocks(canvas)
        for skip, h in zip(self.skips, outputs, strict=False):
            x = x + skip(h)
        return self.head(x)

    def forward(self, batch: sn.Batch) -> Tensor:
        where = layout(batch.shapes, batch.ptr.device)
        return self.run(Whole(where, batch.plans, batch.x, self.give(batch)))

    def give(self, batch: sn.Batch) -> Tensor | None:
        """The condition's features (N, G) at every node, None without a condition."""
        if self.condition is None:
            return None
        if batch.condition is None:
            raise ValueError("this net is conditioned, the batch has no condition")
        return self.condition(batch, layout(batch.shapes, batch.ptr.device))

    def ranks(self, count: int) -> Ranks:
        """The ranks of `count` features."""
        return ranks(count, self.groups)

    def map(self, inputs: int, outputs: int | Ranks) -> Masked:
        """A masked linear map of a pixel's features to `outputs`, their number or their ranks."""
        outputs = self.ranks(outputs) if isinstance(outputs, int) else outputs
        return Masked(self.ranks(inputs), outputs)

    def convolution(self, inputs: int | None, outputs: int, taps: Taps, copies: int = 1) -> Masked:
        """A masked map of the features at `taps` and of the condition to copies x outputs features.

        Its input are `inputs` features, or the image's channels where that is None.
        """
        before = self.channels if inputs is None else self.ranks(inputs)
        after = copies * self.ranks(outputs)
        if min(before) > max(after):
            taps = tuple(tap for tap in taps if tap != OWN[0])
        return Masked(before, after, taps, self.given_size)


class Head(nn.Module):
    """Two masked linear maps of every pixel's features, each after a ReLU (PixelRNN, table 1)."""

    def __init__(self, net: PixelNet, width: int, hidden_size: int | None):
        super().__init__()
        hidden_size = width if hidden_size is None else hidden_size
        self.layers = nn.Sequential(
            nn.ReLU(), net.map(width, hidden_size), nn.ReLU(), net.map(hidden_size, net.sees)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if size is not None and size < 1:
            raise ValueError(f"option {name!r} is at least 1, got {size}")
        if size is not None and size > MOST_FEATURES:
            raise ValueError(f"option {name!r} is at most {MOST_FEATURES}, got {size}")
    if (layers := sizes.get("num_layers", 1)) > MOST_LAYERS:
        raise ValueError(f"option 'num_layers' is at most {MOST_LAYERS}, got {layers}")


def square(size: int, name: str, least: int = 1, whole_row: bool = False) -> Taps:
    """The taps of a size x size kernel at its own pixel and before it.

    With `whole_row`, those after it in its own row as well. ValueError for an even or too small
    size.
    """
    if size < least or size % 2 == 0:
        raise ValueError(f"option {name!r} is an odd number from {least} on, got {size}")
    if size > MOST_ROWS:
        raise ValueError(f"option {name!r} is at most {MOST_ROWS}, got {size}")
    half = size // 2
    return tuple(
        (dy, dx)
        for dy in range(-half, 1)
        for dx in range(-half, half + 1)
        if dy < 0 or dx <= 0 or whole_row
    )
