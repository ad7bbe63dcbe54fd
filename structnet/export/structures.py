"""Random structures of a topology's kind, awkward ones first, to verify an export with."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from structnet.registry import topologies
from structnet.topology.base import Edges, Topology

Random = np.random.Generator
# The most nodes along an axis of a grid, and of other structures.
WIDE, MANY = 5, 12


def random_structures(topology: Topology, random: Random) -> Iterator[Any]:
    """Structures without end: one node, as deep and as wide as can be, then random ones.

    ValueError for a topology of structures of a kind that is not known here.
    """
    kinds = {
        "sequence": _sequences,
        "tree": _trees,
        "grid": _grids,
        "graph": _graphs,
        "undirected": _undirected,
    }
    if topology.takes not in kinds:
        raise ValueError(
            f"{topologies.called(topology)} takes structures of kind {topology.takes!r}, of which "
            "there are no random ones to verify with: export with --verify 0, and compare with "
            "your own"
        )
    return kinds[topology.takes](topology, random)


def num_nodes(topology: Topology, structure: Any) -> int:
    """The number of a structure's nodes."""
    return topology.plan([structure])[0].num_nodes


def num_edges(structure: Any) -> int:
    """The number of edges that a structure lists."""
    return np.shape(structure.index)[1] if isinstance(structure, Edges) else 0


def _sequences(topology: Any, random: Random) -> Iterator[int]:
    yield from (1, 2, 40)
    while True:
        yield int(random.integers(1, MANY + 1))


def _grids(topology: Any, random: Random) -> Iterator[tuple[int, ...]]:
    dims = getattr(topology, "dims", 2)
    yield (1,) * dims
    for axis in range(dims):
        yield tuple(WIDE if other == axis else 1 for other in range(dims))
    while True:
        yield tuple(random.integers(1, WIDE + 1, dims).tolist())


def _trees(topology: Any, random: Random) -> Iterator[Any]:
    arity = topology.arity
    slots = MANY if arity is None else arity
    yield _tree(np.zeros(0, np.int64), slots, random)
    yield _tree(np.arange(MANY - 1), slots, random)
    yield _tree(np.zeros(slots, np.int64), slots, random)
    while True:
        size = int(random.integers(1, MANY + 1))
        parent: list[int] = []
        for node in range(1, size):
            free = [one for one in range(node) if parent.count(one) < slots]
            parent.append(int(random.choice(free)))
        yield _tree(np.array(parent, np.int64), slots, random)


def _tree(parent: Any, slots: int, random: Random) -> Any:
    """The table of children, in any slots and with nodes in any order, given the parents from 1."""
    place = random.permutation(1 + len(parent))
    table = np.full((len(place), slots), -1)
    for child, above in enumerate(parent, start=1):
        row = table[place[above]]
        row[random.choice(np.flatnonzero(row < 0))] = place[child]
    return table


def _graphs(topology: Any, random: Random) -> Iterator[Edges]:
    yield from _any(random, lambda pairs, n: Edges(pairs[:, random.permutation(len(pairs[0]))], n))


def _undirected(topology: Any, random: Random) -> Iterator[Edges]:
    def both(pairs: Any, n: int) -> Edges:
        pairs = np.unique(np.sort(pairs, axis=0), axis=1)
        return Edges(np.concatenate([pairs, pairs[::-1]], axis=1), n, random.random(n))

    yield from _any(random, both)


def _any(random: Random, make: Callable[[Any, int], Edges]) -> Iterator[Edges]:
    """Directed acyclic graphs: a node, nodes without edges, a chain, all to one, random ones."""
    many = np.arange(MANY)
    none = np.zeros((2, 0), np.int64)
    yield make(none, 1)
    yield make(none, 3)
    yield make(np.stack([many[:-1], many[1:]]), MANY)
    yield make(np.stack([many[:-1], np.full(MANY - 1, MANY - 1)]), MANY)
    while True:
        n = int(random.integers(1, MANY + 1))
        place = random.permutation(n)
        pairs = np.sort(random.integers(0, n, (2, int(random.integers(0, 2 * n + 1)))), axis=0)
        yield make(place[pairs[:, pairs[0] < pairs[1]]], n)
