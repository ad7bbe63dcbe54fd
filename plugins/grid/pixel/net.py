"""What nets for pixels have in common."""

import abc
from collections.abc import Callable
from typing import Any

from structnet.plugins.grid.pixel.canvas import Canvas, Whole
from structnet.plugins.grid.pixel.condition import given
from structnet.plugins.grid.pixel.layout import OWN, Taps, layout
from structnet.plugins.grid.pixel.masked import Masked, Ranks, ranks
from structnet.plugins.grid.topology import Grid
from torch import Tensor, nn

import structnet as sn

# More than any net has, and each would be listed and counted.
MOST_LAYERS, MOST_FEATURES, MOST_ROWS = 1000, 1 << 20, 255


class PixelNet(nn.Module, abc.ABC):
    """Says of every pixel how it is distributed, given the pixels before it.

    Called with a batch of images it gives (N, outputs), of which output o depends on the pixels
    before in raster order and on the first `sees[o]` channels of its own. A subclass writes `run`.

    Arguments:
        hidden_size: the units of a layer; between layers there are twice as many features.
        num_layers: the number of residual blocks.
        first_kernel: rows and columns of the first convolution, without what is ahead.
        skip: whether every block also enters the head.
        head_size: of the map between; null is 2 hidden_size.
        condition_size: the features that a class or a small image becomes.
    """

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        readout: Callable[[int, int], sn.Readout],
        name: str,
        condition_size: int,
    ):
        """ValueError for a task that doesn't predict its input, or what is no grid of two axes."""
        super().__init__()
        if sizes.sees is None or sizes.input_size is None:
            raise ValueError(
                f"net {name!r} predicts the pixels that are its input, which this task does not; "
                "take net=stack, or task.goal=pixels"
            )
        if not isinstance(topology, Grid) or topology.dims != 2:
            raise ValueError(
                f"net {name!r} is for images: take a topology of two axes such as row, diagonal or "
                f"bidiagonal, not {type(topology).__name__}"
            )
        if not isinstance(readout(1, 1), sn.readouts["every"]):
            raise ValueError(f"net {name!r} scores every pixel: leave readout out, or take 'every'")
        self.sees: Ranks = tuple(sizes.sees)
        # Channel c is seen by features of a higher rank than c.
        self.channels: Ranks = tuple(range(1, sizes.input_size + 1))
        self.groups = 1 + max(self.sees)
        self.condition = given(sizes.condition, condition_size)
        self.given_size = condition_size if self.condition is not None else 0

    @abc.abstractmethod
    def run(self, canvas: Canvas) -> Tensor:
        """The outputs (n, outputs) for the canvas's current nodes."""

    def forward(self, batch: sn.Batch) -> Tensor:
        where = layout(batch.shapes, batch.ptr.device)
        return self.run(Whole(where, batch.plans, batch.x, self.give(batch)))

    def give(self, batch: sn.Batch) -> Tensor | None:
        """What every node of the batch is given (N, G), None for nothing."""
        if self.condition is None:
            return None
        if batch.condition is None:
            raise ValueError("this net was made for images with a condition; the batch has none")
        return self.condition(batch, layout(batch.shapes, batch.ptr.device))

    def ranks(self, count: int) -> Ranks:
        """The ranks of so many features."""
        return ranks(count, self.groups)

    def map(self, inputs: int, outputs: int | Ranks) -> Masked:
        """A map of a pixel's features, to so many or to those of the ranks given."""
        outputs = self.ranks(outputs) if isinstance(outputs, int) else outputs
        return Masked(self.ranks(inputs), outputs)

    def convolution(self, inputs: int | None, outputs: int, taps: Taps, copies: int = 1) -> Masked:
        """A map of the features at `taps` and of the condition, to `copies` times so many outputs.

        The features are the input's channels where `inputs` is None.
        """
        before = self.channels if inputs is None else self.ranks(inputs)
        after = copies * self.ranks(outputs)
        if min(before) > max(after):
            taps = tuple(tap for tap in taps if tap != OWN[0])
        return Masked(before, after, taps, self.given_size)


class Head(nn.Module):
    """Two maps of every pixel's features, each after a ReLU: section 3 of PixelRNN, table 1."""

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
    """The taps of a kernel of so many rows and columns at its pixel and before it.

    With `whole_row`, also those after it in its own row. ValueError for an even or a small size.
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
