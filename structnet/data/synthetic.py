"""Structures for benchmarks and pictures: random ones, and dependency trees."""

import gzip
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from structnet.data.folder import data_folder
from structnet.registry.suggest import did_you_mean
from structnet.topology.base import Topology
from structnet.topology.edges import Edges
from structnet.topology.plan import Plan

Ints = NDArray[np.int64]
EWT = "UD_English-EWT/en_ewt-ud-train.conllu.gz"


class SizeRange(NamedTuple):
    """A range of sizes, both ends included: steps, leaves of a tree, or sides of a grid."""

    low: int
    high: int

    @classmethod
    def read(cls, text: str) -> "SizeRange":
        """Read `20` or `4..64`; ValueError for anything else."""
        low, dots, high = str(text).partition("..")
        if not low.isdigit() or (dots and not high.isdigit()):
            raise ValueError(f"size must be a whole number or a range such as 4..64, got {text!r}")
        sizes = cls(int(low), int(high or low))
        if not 1 <= sizes.low <= sizes.high:
            raise ValueError(f"size must be at least 1, and a range must not fall, got {text!r}")
        return sizes

    def draw(self, count: int, random: np.random.Generator) -> list[int]:
        return random.integers(self.low, self.high + 1, count).tolist()


def draw(topology: Topology, sizes: SizeRange, count: int, seed: int) -> list[Any]:
    """Random structures of the kind that a topology takes."""
    random = np.random.default_rng(seed)
    kind: dict[str, Callable[[int], Any]] = {
        "sequence": lambda size: size,
        "tree": lambda size: (
            recursive_tree(size, random)
            if topology.arity is None
            else binary_tree(size, random, topology.arity)
        ),
        "grid": lambda size: (size,) * getattr(topology, "dims", 2),
        "graph": lambda size: dag(size, random),
        "undirected": lambda size: undirected(size, random),
    }
    if topology.takes not in kind:
        raise ValueError(
            f"no random structures for a topology that takes {topology.takes!r} "
            f"{did_you_mean(topology.takes, kind)}"
        )
    return [kind[topology.takes](size) for size in sizes.draw(count, random)]


def binary_tree(leaves: int, random: np.random.Generator, slots: int = 2) -> Ints:
    """Child indices (2 * leaves - 1, slots) of a tree made by joining random neighbours.

    Leaves come first. With one slot it is a chain of `leaves` nodes.
    """
    if slots == 1:
        return np.arange(-1, leaves - 1)[:, None]
    table = np.full((2 * leaves - 1, slots), -1)
    roots = list(range(leaves))
    for node in range(leaves, 2 * leaves - 1):
        at = int(random.integers(len(roots) - 1))
        table[node, :2] = roots[at : at + 2]
        roots[at : at + 2] = [node]
    return table


def recursive_tree(size: int, random: np.random.Generator) -> Ints:
    """Child indices (size, K) of a tree in which a node's parent is a random one before it."""
    parent = np.full(size, -1)
    parent[1:] = random.integers(0, np.arange(1, size)) if size > 1 else []
    return Edges.of_parents(parent).table()


def dag(size: int, random: np.random.Generator, degree: float = 3.0) -> Edges:
    """A graph in which a node has random predecessors before it, `degree` on average."""
    count = random.poisson(degree, size)
    # The first node has none.
    count[0] = 0
    target = np.repeat(np.arange(size), count)
    return Edges(np.stack([random.integers(0, np.maximum(target, 1)), target]), size)


def layered(size: int, width: int, random: np.random.Generator, degree: int = 3) -> Edges:
    """A graph in levels of equal width; a node has `degree` random predecessors one level below."""
    target = np.repeat(np.arange(width, size), degree)
    first = (target // width - 1) * width
    return Edges(np.stack([first + random.integers(0, width, len(target)), target]), size)


def undirected(size: int, random: np.random.Generator) -> Edges:
    """The edges of a random `dag` in both directions, with random scores."""
    index = np.asarray(dag(size, random).index)
    return Edges(np.concatenate([index, index[::-1]], 1), size, random.random(size))


def is_chain(topology: Topology, plans: Sequence[Plan]) -> bool:
    """Whether each step follows the previous one alone, and in a second direction the next one."""
    ways = (1, -1)
    if topology.takes != "sequence" or topology.arity != 1 or len(plans) > len(ways):
        return False
    for plan, way in zip(plans, ways, strict=False):
        source, target = plan.arrows[:, plan.arrows[0] < plan.num_nodes]
        samples = len(plan.ptr) - 1
        if len(source) != plan.num_nodes - samples or (target - source != way).any():
            return False
    return True


def dependency_trees(num_nodes: int) -> list[Ints]:
    """The first dependency trees of UD English EWT, of at most `num_nodes` words in all.

    FileNotFoundError if they are not in the folder that STRUCTNET_DATA names.
    """
    file = data_folder(None, "ud", [EWT]) / EWT
    trees, count = [], 0
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for heads in _sentences(lines):
            count += len(heads)
            if count > num_nodes:
                break
            trees.append(Edges.of_parents(np.array(heads) - 1).table())
    return trees


def _sentences(lines: Any) -> Iterator[Sequence[int]]:
    """For every sentence the heads of its words, 0 for the root."""
    heads: list[int] = []
    for line in lines:
        word, *columns = line.rstrip("\n").split("\t")
        # Other lines are multiword tokens (8-9), empty nodes (8.1) and comments.
        if word.isdigit():
            heads.append(int(columns[5]))
        elif not word and heads:
            yield heads
            heads = []
    if heads:
        yield heads
