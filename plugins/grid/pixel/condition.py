"""What a net for pixels is conditioned on: a class, or a small image.

The condition enters every layer, unmasked: the class bias of van den Oord et al. (2016b), section
2.3, and the conditional layer of Multi-Scale PixelRNN (van den Oord et al. 2016a, section 3.6).

B: images; N: nodes; G: features of a condition.
"""

from typing import Any, NamedTuple

from torch import Tensor, nn

import structnet as sn
from structnet.plugins.grid.pixel.layout import Layout


class Classes(NamedTuple):
    """A sample's condition is its class, a number below `count`."""

    count: int


class Small(NamedTuple):
    """A sample's condition is every `factor`-th pixel of every `factor`-th row of the image.

    Its shape is (h / factor, w / factor, C), its values are from -1 to 1.
    """

    channels: int
    factor: int


class Label(nn.Embedding):
    """An embedding of the class (N, G), the same at all nodes of an image."""

    def __init__(self, condition: Classes, size: int):
        super().__init__(condition.count, size)

    def forward(self, batch: sn.Batch, layout: Layout) -> Tensor:
        assert batch.condition is not None
        return super().forward(batch.condition)[batch.sample_of_node()]


class Enlarge(nn.Module):
    """Features (N, G) at the nodes of the image, from the small image by transposed convolution."""

    def __init__(self, condition: Small, size: int):
        super().__init__()
        channels, factor = condition
        self.layers = nn.Sequential(
            nn.Conv2d(channels, size, 3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(size, size, factor, stride=factor),
            nn.ReLU(),
            nn.Conv2d(size, size, 3, padding=1),
        )

    def forward(self, batch: sn.Batch, layout: Layout) -> Tensor:
        assert batch.condition is not None
        dtype = next(self.parameters()).dtype
        large = self.layers(batch.condition.permute(0, 3, 1, 2).to(dtype))
        images = []
        for members, image in layout.images(large.new_empty(layout.num_nodes, 1)):
            height, width = image.shape[2:]
            if height > large.shape[2] or width > large.shape[3]:
                raise ValueError(
                    f"a small image of {tuple(batch.condition.shape[1:3])} pixels is too small for "
                    f"one of {(height, width)}"
                )
            images.append(large[members, :, :height, :width])
        return layout.nodes(images)


def given(condition: Any, size: int) -> nn.Module | None:
    """The module that maps a task's condition to `size` features; None for no condition."""
    if condition is None:
        return None
    if size < 1:
        raise ValueError(f"option 'condition_size' is at least 1, got {size}")
    if isinstance(condition, Classes):
        return Label(condition, size)
    if isinstance(condition, Small):
        return Enlarge(condition, size)
    raise ValueError(
        f"a net for pixels is conditioned on a class or a small image, not {condition!r}"
    )
