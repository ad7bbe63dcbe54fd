"""PixelCNN: masked convolutions over the pixels before, plain or gated."""

from collections.abc import Callable

import torch
from structnet.plugins.grid.pixel.canvas import Canvas
from structnet.plugins.grid.pixel.masked import Masked
from structnet.plugins.grid.pixel.net import Head, PixelNet, check_sizes, square
from torch import Tensor, nn

import structnet as sn


@sn.nets.register("pixelcnn")
class PixelCNN(PixelNet):
    """PixelCNN: masked convolutions in residual blocks; topology and cell are left unused.

    Plain, van den Oord et al. (2016a), "Pixel recurrent neural networks", section 3.5 and table 1:
    blocks of a map to `hidden_size` features, a convolution and a map back to twice as many, a ReLU
    before each. Some pixels above and to the right stay unseen at any depth. With `gated`, van den
    Oord et al. (2016b), "Conditional image generation with PixelCNN decoders", section 2: a
    vertical stack sees all pixels above, a horizontal one those to the left, and their activations
    are tanh(a) s(b).

    Arguments:
        kernel: rows and columns of a convolution, without what is ahead.
        gated: whether there are two stacks with gates, which see all pixels before (2016b).
    """

    is_recurrent = False

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
        kernel: int = 3,
        gated: bool = False,
        skip: bool = False,
        head_size: int | None = None,
        condition_size: int = 16,
    ):
        super().__init__(sizes, topology, readout, "pixelcnn", condition_size)
        check_sizes(hidden_size=hidden_size, num_layers=num_layers, head_size=head_size)
        width = 2 * hidden_size
        if gated:
            self.body = Gated(self, width, num_layers, first_kernel, kernel)
        else:
            self.body = Plain(self, hidden_size, num_layers, first_kernel, kernel)
        self.skips = nn.ModuleList(
            self.map(self.body.skip_size, width) for _ in range(num_layers if skip else 0)
        )
        self.head = Head(self, width, head_size)

    def run(self, canvas: Canvas) -> Tensor:
        x, outputs = self.body(canvas)
        for skip, h in zip(self.skips, outputs, strict=False):
            x = x + skip(h)
        return self.head(x)


class Plain(nn.Module):
    """Features of width 2 H, and what every block added to them, (n, H) before its last map."""

    def __init__(
        self, net: PixelNet, hidden_size: int, num_layers: int, first_kernel: int, kernel: int
    ):
        super().__init__()
        width, self.skip_size = 2 * hidden_size, hidden_size
        self.first = net.convolution(None, width, square(first_kernel, "first_kernel", least=3))
        taps = square(kernel, "kernel")
        self.downs, self.layers, self.ups = (nn.ModuleList() for _ in range(3))
        for _ in range(num_layers):
            self.downs.append(net.map(width, hidden_size))
            self.layers.append(net.convolution(hidden_size, hidden_size, taps))
            self.ups.append(net.map(hidden_size, width))

    def forward(self, canvas: Canvas) -> tuple[Tensor, list[Tensor]]:
        x = canvas.convolve(self.first, canvas.input)
        outputs = []
        for down, layer, up in zip(self.downs, self.layers, self.ups, strict=True):
            h = canvas.convolve(layer, down(x.relu()).relu()).relu()
            x = x + up(h)
            outputs.append(h)
        return x, outputs


class Gated(nn.Module):
    """The horizontal stack on the vertical one: figure 2 of the paper, layer by layer.

    The first layer has no residual: its input is the image.
    """

    def __init__(self, net: PixelNet, width: int, num_layers: int, first_kernel: int, kernel: int):
        super().__init__()
        self.skip_size = width
        self.vertical = Vertical(net, width, num_layers, first_kernel, kernel)
        self.layers, self.outs = nn.ModuleList(), nn.ModuleList()
        for depth in range(num_layers):
            size = kernel if depth else first_kernel
            taps = tuple(tap for tap in square(size, "kernel") if tap[0] == 0)
            self.layers.append(net.convolution(width if depth else None, width, taps, copies=2))
            self.outs.append(net.map(width, width))

    def forward(self, canvas: Canvas) -> tuple[Tensor, list[Tensor]]:
        above = canvas.above(self.vertical, canvas.input, self.vertical.output_size)
        x, outputs = canvas.input, []
        for layer, out, v in zip(
            self.layers, self.outs, above.chunk(len(self.layers), dim=1), strict=True
        ):
            h = gate(canvas.convolve(layer, x) + v)
            x = out(h) if x is canvas.input else x + out(h)
            outputs.append(h)
        return x, outputs


class Vertical(nn.Module):
    """What every layer's vertical stack says to the horizontal one, side by side.

    It sees all channels of its own row and of those above, and is moved down by a row for that.
    """

    def __init__(self, net: PixelNet, width: int, num_layers: int, first_kernel: int, kernel: int):
        super().__init__()
        self.output_size = num_layers * 2 * width
        self.layers, self.crosses = nn.ModuleList(), nn.ModuleList()
        for depth in range(num_layers):
            name = "kernel" if depth else "first_kernel"
            taps = square(kernel if depth else first_kernel, name, least=3, whole_row=True)
            inputs = (0,) * (width if depth else len(net.channels))
            self.layers.append(Masked(inputs, (0,) * 2 * width, taps, net.given_size))
            self.crosses.append(nn.Linear(2 * width, 2 * width))

    def forward(self, canvas: Canvas, x: Tensor) -> Tensor:
        said = []
        for layer, cross in zip(self.layers, self.crosses, strict=True):
            h = canvas.convolve(layer, x)
            said.append(cross(h))
            x = gate(h)
        return torch.cat(said, dim=1)


def gate(x: Tensor) -> Tensor:
    """tanh(a) s(b) of features (n, 2 D): eq. 2 of the gated PixelCNN."""
    a, b = x.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()
