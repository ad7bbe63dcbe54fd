"""Layout: the positions of the nodes of a batch of images.

N: nodes; T: taps, positions relative to a node, (rows, columns); D: features of a node.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from structnet.plugins.grid.topology import coordinates, neighbours

Tap = tuple[int, int]
Taps = tuple[Tap, ...]
OWN: Taps = ((0, 0),)


class Layout:
    """The nodes of images of the given shapes, image by image and row by row.

    Index N stands for positions outside an image, whose features are zeros.
    """

    def __init__(self, shapes: Sequence[tuple[int, int]], device: torch.device | str = "cpu"):
        self.shapes, self.device = tuple(shapes), device
        self.starts = np.cumsum([0, *(height * width for height, width in shapes)])
        self.num_nodes = int(self.starts[-1])
        self._tables: dict[Taps, Tensor] = {}
        self._images = list(self._by_shape())

    def table(self, taps: Taps) -> Tensor:
        """`neighbours` as a tensor, cached."""
        if taps not in self._tables:
            self._tables[taps] = self._to_device(self.neighbours(taps))
        return self._tables[taps]

    def neighbours(self, taps: Taps) -> NDArray[np.int64]:
        """The node (N, T) at every tap of every node, N where that is outside the image."""
        tables = [neighbours(taps, shape) for shape in self.shapes]
        return np.concatenate(
            [
                np.where(table < 0, self.num_nodes, table + start)
                for table, start in zip(tables, self.starts[:-1], strict=True)
            ]
        )

    def places(self) -> NDArray[np.int64]:
        """Image, row and column (N, 3) of every node."""
        places = [coordinates(shape) for shape in self.shapes]
        image = np.repeat(np.arange(len(places)), list(map(len, places)))
        return np.column_stack([image, np.concatenate(places)])

    def images(self, x: Tensor) -> Iterator[tuple[list[int], Tensor]]:
        """The features (N, D) as images (b, D, h, w), by shape, each with the images' numbers."""
        for (height, width), members, nodes in self._images:
            rows = x if nodes is None else x.index_select(0, nodes)
            yield members, rows.reshape(len(members), height, width, -1).permute(0, 3, 1, 2)

    def nodes(self, images: Sequence[Tensor]) -> Tensor:
        """The features (N, D) of images (b, D, h, w) that are in the order of `images`."""
        rows = torch.cat([one.permute(0, 2, 3, 1).flatten(0, 2) for one in images])
        if len(images) == 1:
            return rows
        order = torch.cat([nodes for _, _, nodes in self._images if nodes is not None])
        return torch.empty_like(rows).index_copy(0, order, rows)

    def _by_shape(self) -> Iterator[tuple[tuple[int, int], list[int], Tensor | None]]:
        different = set(self.shapes)
        for shape in sorted(different):
            members = [b for b, one in enumerate(self.shapes) if one == shape]
            nodes = None
            if len(different) > 1:
                size = shape[0] * shape[1]
                first = self.starts[members]
                nodes = self._to_device((first[:, None] + np.arange(size)).ravel())
            yield shape, members, nodes

    def _to_device(self, array: NDArray[np.int64]) -> Tensor:
        # Sampling fills this cache in inference mode, and training reads it.
        with torch.inference_mode(False):
            return torch.from_numpy(array).to(self.device)


def gather(x: Tensor, table: Tensor) -> Tensor:
    """The features (n, T * D) of x (N, D) at the nodes of a table (n, T), zeros at N."""
    padded = torch.cat([x, x.new_zeros(1, x.shape[1])])
    return padded.index_select(0, table.flatten()).view(len(table), -1)


def beside(x: Tensor, given: Tensor | None) -> Tensor:
    """Features (n, D), with those of the condition (n, G) appended if there are any."""
    return x if given is None else torch.cat([x, given], dim=1)


layout = lru_cache(maxsize=16)(Layout)
