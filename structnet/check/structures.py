"""Structures that are awkward: of few nodes, of one, of none, and very deep."""

from collections.abc import Callable
from typing import Any

import numpy as np

from structnet.check.card import NotFor
from structnet.check.refusals import refusals
from structnet.data.synthetic import SizeRange, draw
from structnet.topology.base import Topology
from structnet.topology.edges import Edges


def awkward(topology: Topology, count: int = 4) -> list[Any]:
    """A few random structures of different sizes, the last of one node where that is taken."""
    some = draw(topology, SizeRange(2, 5), count, 0)
    try:
        with refusals():
            topology.plan(single(topology))
    except NotFor:
        return some
    return [*some, *single(topology)]


def of_size(topology: Topology, size: int) -> list[Any]:
    """Random structures of one size; grids of that height and of that width, too."""
    some = draw(topology, SizeRange(size, size), 2, size)
    if topology.takes == "grid":
        others = (size // 2 + 1,) * (getattr(topology, "dims", 2) - 1)
        some += [(size, *others), (*others, size)]
    return some


def single(topology: Topology) -> list[Any]:
    """A structure of size one."""
    return draw(topology, SizeRange(1, 1), 1, 0)


def empty(topology: Topology) -> Any:
    """A structure without nodes."""
    kinds: dict[str, Callable[[], Any]] = {
        "sequence": lambda: 0,
        "tree": lambda: np.zeros((0, topology.arity or 1), np.int64),
        "grid": lambda: (0,) * getattr(topology, "dims", 2),
    }
    return kinds.get(topology.takes, lambda: Edges(np.zeros((2, 0), np.int64), 0))()


def deep(topology: Topology, size: int) -> Any:
    """A structure of `size` nodes that is as deep as its kind can be."""
    path = np.arange(size - 1)
    forward = np.stack([path, path + 1])
    kinds: dict[str, Callable[[], Any]] = {
        "sequence": lambda: size,
        "tree": lambda: _vine(size, topology.arity or 1),
        "grid": lambda: (size, *(1,) * (getattr(topology, "dims", 2) - 1)),
        "undirected": lambda: Edges(
            np.concatenate([forward, forward[::-1]], 1), size, np.arange(size, dtype=np.float64)
        ),
    }
    return kinds.get(topology.takes, lambda: Edges(forward, size))()


def _vine(size: int, slots: int) -> Any:
    """The child table of a tree in which every node but the last has one child, the next node."""
    table = np.full((size, slots), -1)
    table[:-1, 0] = np.arange(1, size)
    return table
