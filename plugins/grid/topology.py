"""Grids of any number of dimensions, whose predecessors are given by offsets.

A structure is a tuple of sizes, (height, width) for an image; its nodes are in raster order, the
last axis changing fastest.
"""

import operator
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn

Ints = NDArray[np.int64]
Offset = tuple[int, ...]
# The names of a step forth and back along each axis, the last axis first.
STEPS = (("right", "left"), ("down", "up"), ("forward", "backward"))
# A grid of 8 dimensions has 2^8 = 256 corners, each the start of a direction.
MOST_DIMS = 8
# The offset of each further frame in a drawing, to the right and down.
FRAME = 0.75


class Grid(sn.Topology):
    """A grid: in each direction the predecessors of a node are the nodes at its `offsets`.

    `offsets` has for every direction the position of each slot relative to the node, (rows,
    columns) on an image. `shifts` has for every direction the number of rows by which a net that
    predicts pixels moves its output down, so that it sees only pixels earlier in raster order.
    Structure: a tuple of `dims` sizes.
    """

    takes = "grid"

    def __init__(self, dims: int, sweeps: dict[str, Sequence[Offset]]):
        self.dims = dims
        self.directions = tuple(sweeps)
        self.offsets = tuple(tuple(offsets) for offsets in sweeps.values())
        self.shifts = (0,) * len(sweeps)

    @property
    def arities(self) -> tuple[int, ...]:
        return tuple(map(len, self.offsets))

    def predecessors(self, structure: Offset) -> Ints | tuple[Ints, ...]:
        shape = self.shape(structure)
        tables = tuple(neighbours(offsets, shape) for offsets in self.offsets)
        return tables[0] if len(self.offsets) == 1 else tables

    def levels(self, structure: Offset) -> tuple[Ints | None, ...]:
        shape = self.shape(structure)
        return tuple(_levels(offsets, shape) for offsets in self.offsets)

    def positions(self, structure: Offset) -> NDArray[np.float64]:
        """Raster order; of more than two dimensions the frames are drawn one behind another."""
        shape = self.shape(structure)
        frames = int(np.prod(shape[:-2], dtype=np.int64))
        frame, down, right = np.indices((frames, *(1, *shape)[-2:])).reshape(3, -1)
        apart = 1.0 if frames == 1 else FRAME * frames + 0.5
        return apart * np.stack([right, down], 1) + FRAME * frame[:, None]

    def shape(self, structure: Sequence[int]) -> Offset:
        """The sizes as plain integers; ValueError for anything but `dims` positive sizes."""
        try:
            shape = tuple(map(operator.index, structure))
        except TypeError:
            shape = ()
        if len(shape) != self.dims or min(shape) < 1:
            names = {1: "(width,)", 2: "(height, width)", 3: "(depth, height, width)"}
            named = f", {names[self.dims]}" if self.dims in names else ""
            raise ValueError(
                f"a grid has {self.dims} sizes{named}, whole numbers from 1 on, got {structure!r}"
            )
        return shape


@sn.topologies.register("row")
class Row(Grid):
    """Three pixels above: every row of the image is one level.

    Row LSTM of van den Oord et al. (2016), "Pixel recurrent neural networks", section 3.1. The
    slots are up-left, up and up-right; with direction=up, the three below. With `dims=3` they are
    the 3 x 3 pixels of the frame before, and so on. Structure: (height, width) in pixels.

    Arguments:
        direction: down follows the pixels above, up those below; both has one sweep for each.
        dims: the number of axes of the grid.
    """

    def __init__(self, *, direction: Literal["down", "up", "both"] = "down", dims: int = 2):
        _check_dims(dims)
        steps = {"down": -1, "up": 1}
        around = list(product((-1, 0, 1), repeat=dims - 1))
        super().__init__(
            dims,
            {
                name: [(steps[name], *place) for place in around]
                for name in _directions(direction, steps)
            },
        )


@sn.topologies.register("diagonal")
class Diagonal(Grid):
    """The pixels to the left and above: every diagonal of the image is one level.

    2-D LSTM of Graves et al. (2007), "Multi-dimensional recurrent neural networks"; Diagonal LSTM
    of van den Oord et al. (2016), section 3.2. The slots are left and up; with direction=left,
    right and up. With more `dims` there is one slot per axis, the last axis first. Structure:
    (height, width).

    Arguments:
        direction: right follows the pixels to the left, left those to the right; both has one sweep
            for each.
        dims: the number of axes of the grid.
    """

    def __init__(self, *, direction: Literal["right", "left", "both"] = "right", dims: int = 2):
        _check_dims(dims)
        steps = {"right": -1, "left": 1}
        super().__init__(
            dims,
            {
                name: _corner((*(-1,) * (dims - 1), steps[name]))
                for name in _directions(direction, steps)
            },
        )


@sn.topologies.register("bidiagonal")
class BiDiagonal(Grid):
    """Both diagonals, one sweep from the left and one from the right.

    Diagonal BiLSTM of van den Oord et al. (2016), section 3.2: the right-to-left sweep's output is
    moved down by one row before the two are added, so that together they see all earlier pixels and
    no later one. A recurrence concatenates the outputs without moving them; `shifts` is for nets
    that predict pixels. Structure: (height, width).
    """

    def __init__(self):
        super().__init__(2, {"right": _corner((-1, -1)), "left": _corner((-1, 1))})
        self.shifts = (0, 1)


@sn.topologies.register("multidirectional")
class MultiDirectional(Grid):
    """A diagonal sweep from every corner, so that every pixel sees the whole image.

    Graves et al. (2007), section 2.2: 2^dims directions. Structure: (height, width).

    Arguments:
        dims: the number of axes of the grid.
    """

    def __init__(self, *, dims: int = 2):
        _check_dims(dims)
        corners = product((-1, 1), repeat=dims)
        super().__init__(
            dims,
            {
                "-".join(_step(dims, axis, step) for axis, step in enumerate(corner)): _corner(
                    corner
                )
                for corner in corners
            },
        )


@sn.topologies.register("renet")
class ReNet(Grid):
    """Chains along every axis, in both directions.

    The sweeps of Visin et al. (2015), "ReNet", equations 2 and 3: on an image along rows and along
    columns. In the paper the columns are a layer above the rows; here all sweeps are in one layer,
    and two layers see the whole image. Structure: (height, width).

    Arguments:
        dims: the number of axes of the grid.
    """

    def __init__(self, *, dims: int = 2):
        _check_dims(dims)
        super().__init__(
            dims,
            {
                _step(dims, axis, step): [_along(dims, axis, step)]
                for axis in reversed(range(dims))
                for step in (-1, 1)
            },
        )


def _check_dims(dims: int) -> None:
    if dims < 1:
        raise ValueError(f"option 'dims' is at least 1, got {dims}")
    if dims > MOST_DIMS:
        raise ValueError(f"option 'dims' is at most {MOST_DIMS}, got {dims}")


def _directions(direction: str, known: dict[str, int]) -> tuple[str, ...]:
    return tuple(known) if direction == "both" else (direction,)


def _along(dims: int, axis: int, step: int) -> Offset:
    return tuple(step if one == axis else 0 for one in range(dims))


def _corner(steps: Offset) -> list[Offset]:
    """The neighbour along every axis, the last axis first."""
    dims = len(steps)
    return [_along(dims, axis, steps[axis]) for axis in reversed(range(dims))]


def _step(dims: int, axis: int, step: int) -> str:
    """The name of a sweep along an axis, which moves away from the neighbour that it reads."""
    place = dims - 1 - axis
    if place < len(STEPS):
        return STEPS[place][step > 0]
    return f"{'-' if step > 0 else '+'}{axis}"


# Cached, as a batch has images of few shapes, and therefore read-only.
@lru_cache(256)
def neighbours(offsets: tuple[Offset, ...], shape: Offset) -> Ints:
    """The predecessors (n, slots) of every node."""
    place = coordinates(shape)
    before = place[:, None] + np.array(offsets)
    inside = ((before >= 0) & (before < shape)).all(axis=2)
    strides = np.cumprod([1, *shape[:0:-1]])[::-1]
    table = np.where(inside, before @ strides, -1)
    table.flags.writeable = False
    return table


@lru_cache(256)
def _levels(offsets: tuple[Offset, ...], shape: Offset) -> Ints | None:
    """The levels (n,) if they are a linear function of a node's coordinates, else None.

    They are if the function falls by one at every offset, and every node above its minimum has a
    predecessor: all paths to a node then start at level 0 and are equally long.
    """
    steps = np.array(offsets)
    weights = np.rint(np.linalg.lstsq(steps, -np.ones(len(steps)), rcond=None)[0]).astype(np.int64)
    level = coordinates(shape) @ weights
    level -= level.min()
    follows = (neighbours(offsets, shape) >= 0).any(axis=1)
    if (steps @ weights != -1).any() or (follows != (level > 0)).any():
        return None
    level.flags.writeable = False
    return level


def coordinates(shape: Offset) -> Ints:
    """The coordinates (n, dims) of every node."""
    return np.indices(shape).reshape(len(shape), -1).T
