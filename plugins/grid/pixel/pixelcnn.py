"""PixelCNN: masked convolutions over the earlier pixels, plain or gated."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.grid.pixel.canvas import Canvas
from structnet.plugins.grid.pixel.masked import Masked
from structnet.plugins.grid.pixel.net import PixelNet, square


@sn.nets.register("pixelcnn")
class PixelCNN(PixelNet):
    """PixelCNN: masked convolutions in residual blocks; topology and cell are not used.

    Plain: van den Oord et al. (2016a), "Pixel recurrent neural networks", section 3.5 and table 1.
    A block is a map to `hidden_size` features, a convolution and a map back to twice as many, each
    after a ReLU. Some pixels above and to the right stay unseen at any depth. With `gated`: van den
    Oord et al. (2016b), "Conditional image generation with PixelCNN decoders", section 2. A
    vertical stack sees all pixels above, a horizontal one those to the left, and the activation is
    tanh(a) s(b).

    Arguments:
        kernel: height and width of the other convolutions, which are masked.
        gated: use two stacks with gates, which see all earlier pixels (2016b).
    """

    is_recurrent = False

    def __init__(
        self,
        sizes: sn.Sizes,
        topology: sn.Topology,
        cell: Callable[..., sn.Cell],
        readout: Callable[[int, int], sn.Readout],
        *,
        kernel: int = 3,
        gated: bool = False,
        **options: Any,
    ):
        super().__init__(sizes, topology, readout, "pixelcnn", **options)
        self.body = (Gated if gated else Plain)(self, kernel)
        self.finish(self.body.block_size)

    def run_blocks(self, canvas: Canvas) -> tuple[Tensor, list[Tensor]]:
        return self.body(canvas)


class Plain(nn.Module):
    """Residual blocks of one stack.

    Called with a canvas it returns features (n, 2 H), and of every block the features (n, H) before
    its last map.
    """

    def __init__(self, net: PixelNet, kernel: int):
        super().__init__()
        width, hidden_size = net.width, net.hidden_size
        self.block_size = hidden_size
        taps = square(net.first_kernel, "first_kernel", least=3)
        self.first = net.convolution(None, width, taps)
        taps = square(kernel, "kernel")
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        self.layers: Any = nn.ModuleList()
        for _ in range(net.num_layers):
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
    """A vertical and a horizontal stack, as in figure 2 of the paper.

    The first layer has no residual connection, as its input is the image. Called with a canvas it
    returns features (n, 2 H), and of every block the features (n, 2 H) before its last map.
    """

    def __init__(self, net: PixelNet, kernel: int):
        super().__init__()
        width = self.block_size = net.width
        self.vertical = Vertical(net, kernel)
        self.layers: Any = nn.ModuleList()
        self.outs = nn.ModuleList()
        for depth in range(net.num_layers):
            size = kernel if depth else net.first_kernel
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
    """The vertical stack; its output is what each of its layers adds to the horizontal stack.

    It sees all channels of its own row and of the rows above, so its output (n, layers x 4 H) is
    moved down by one row.
    """

    def __init__(self, net: PixelNet, kernel: int):
        super().__init__()
        width = net.width
        self.output_size = net.num_layers * 2 * width
        self.layers: Any = nn.ModuleList()
        self.crosses = nn.ModuleList()
        for depth in range(net.num_layers):
            name = "kernel" if depth else "first_kernel"
            taps = square(kernel if depth else net.first_kernel, name, least=3, whole_row=True)
            inputs = (0,) * (width if depth else len(net.channels))
            self.layers.append(Masked(inputs, (0,) * 2 * width, taps, net.given_size))
            self.crosses.append(nn.Linear(2 * width, 2 * width))

    def forward(self, canvas: Canvas, x: Tensor) -> Tensor:
        added = []
        for layer, cross in zip(self.layers, self.crosses, strict=True):
            h = canvas.convolve(layer, x)
            added.append(cross(h))
            x = gate(h)
        return torch.cat(added, dim=1)


def gate(x: Tensor) -> Tensor:
    """tanh(a) s(b) of features (n, 2 D): eq. 2 of the gated PixelCNN."""
    a, b = x.chunk(2, dim=1)
    return a.tanh() * b.sigmoid()
