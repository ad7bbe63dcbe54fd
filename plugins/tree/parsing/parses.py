"""What a parser gives: trees that it found and, in training, how far wrong ones are ahead.

B: samples, n: nodes of all trees, C: classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from torch import Tensor

import structnet as sn
from structnet.plugins.tree.parsing.nodes import Nodes

Ints = np.ndarray


class Answer(NamedTuple):
    """A tree in a line of text, the probability of its classes, and how it is shown."""

    text: str
    probability: float
    drawing: sn.Drawing


@dataclass(frozen=True, eq=False)
class Parses:
    """The binary trees that were found for the samples of a batch.

    Of each sample there are its leaves and then the nodes above them, every one after those that it
    is made of.

    Arguments:
        children: what a node is made of, as numbers within its sample (n, 2); -1 at a leaf.
        spans: the first leaf below a node, and the one after the last where leaves are a sequence
            (n, 2).
        scores: of the classes of every node (n, C).
        wrong: whether the leaves of a node cross a bracket of the given tree (n,).
        totals: the score of every tree (B,).
        ptr: sample b owns the nodes `ptr[b]:ptr[b + 1]` (B + 1,).
    """

    children: Ints
    spans: Ints
    scores: Tensor
    wrong: Ints
    totals: Ints
    ptr: Ints


@dataclass(frozen=True, eq=False)
class Objective:
    """What is learned from a batch.

    Arguments:
        violations: by how much a tree with errors, its margin included, is ahead of the right one
            (B,).
        scores: of the classes of nodes (n, C).
        y: the classes of these nodes (n,), `sn.IGNORE` where not known: that of the node of the
            given tree with the same leaves, 0 where it has none.
        around: the same with the smallest node of the given tree that has all their leaves (n,).
    """

    violations: Tensor
    scores: Tensor
    y: Tensor
    around: Tensor


def numbered(nodes: Nodes, ptr: Ints, merges: Sequence[Ints]) -> tuple[Ints, Ints]:
    """The nodes of trees, sample by sample, leaves first, and the bounds of the samples.

    Arguments:
        nodes: all nodes.
        ptr: the leaves of sample b are `ptr[b]:ptr[b + 1]`.
        merges: the nodes of each sample's tree that are not leaves.
    """
    some = [
        np.concatenate([np.arange(a, b), inner])
        for (a, b), inner in zip(pairwise(ptr.tolist()), merges, strict=True)
    ]
    return np.concatenate(some), np.cumsum([0, *map(len, some)])


def parses_of(nodes: Nodes, ptr: Ints, ids: Ints, bounds: Ints, scores: Tensor) -> Parses:
    """The trees of nodes.

    Arguments:
        nodes: all nodes.
        ptr: the leaves of sample b are `ptr[b]:ptr[b + 1]`.
        ids, bounds: what `numbered` returns.
        scores: of the classes of these nodes.
    """
    number = np.full(len(nodes) + 1, -1)
    number[ids] = np.arange(len(ids)) - np.repeat(bounds[:-1], np.diff(bounds))
    children = np.stack([nodes["left"][ids], nodes["right"][ids]], axis=1)
    first = nodes["first"][ids] - np.repeat(ptr[:-1], np.diff(bounds))
    spans = np.stack([first, first + nodes["size"][ids]], axis=1)
    totals = np.add.reduceat(nodes["score"][ids], bounds[:-1])
    return Parses(number[children], spans, scores, nodes["wrong"][ids], totals, bounds)
