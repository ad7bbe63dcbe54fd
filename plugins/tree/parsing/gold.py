"""The trees that samples were given, as sets of leaves: which merges are right, and their labels.

N: leaves of a batch, B: samples, K: brackets of a sample at most, m: nodes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.tree.topology import Tree

Ints = np.ndarray
# What plans given trees. One for all, as the parts of a batch have the same topology.
ANY = Tree(arity=None)


def tree_part(parent: Ints, y: Ints) -> sn.Sample:
    """A given tree as the part of a sample, its leaves first and then its inner nodes.

    Arguments:
        parent: that of every node, -1 of a root.
        y: the class of every node, `sn.IGNORE` where it is not known.
    """
    x = np.zeros((len(y), 1), np.float32)
    return sn.Sample(sn.Edges.of_parents(parent).table(), x, y, topology=ANY)


def unknown_tree(leaves: int) -> sn.Sample:
    """The part of a sample whose tree is not known: its leaves, and a root above several."""
    parent = np.full(leaves + (leaves > 1), -1)
    parent[:leaves] = leaves if leaves > 1 else -1
    return tree_part(parent, np.full(len(parent), sn.IGNORE))


@dataclass(frozen=True, eq=False)
class Gold:
    """The brackets of a batch's trees: the leaves below every inner node.

    Arguments:
        covers: whether a leaf is below a bracket of its sample, 1 or 0 (N, K).
        sizes: the number of leaves below each bracket (B, K), 0 where a sample has fewer.
        leaf_labels: the class of every leaf (N,), `sn.IGNORE` where it is not known.
        labels: the class of every bracket (B, K).
    """

    covers: Ints
    sizes: Ints
    leaf_labels: Ints
    labels: Ints

    @classmethod
    def of(cls, tree: sn.Batch, ptr: Ints) -> "Gold":
        """The brackets of trees of any number of children, the part `tree` of a batch.

        In each of them the leaves come first, in the order of the sample's nodes, then inner nodes.
        """
        bounds, leaves = tree.ptr.cpu().numpy(), np.diff(ptr)
        inner = np.diff(bounds) - leaves
        sample = np.repeat(np.arange(len(leaves)), leaves)
        nodes = np.arange(ptr[-1]) - ptr[sample] + bounds[sample]
        first = bounds[:-1] + leaves
        covers = np.zeros((ptr[-1], int(inner.max(initial=1))), np.int16)
        parent, at = _parents(tree), nodes
        rows = np.arange(len(nodes))
        while True:
            at = parent[at]
            rows, at = rows[at >= 0], at[at >= 0]
            if not len(rows):
                break
            covers[rows, at - first[sample[rows]]] = 1
        y = tree.y.cpu().numpy()
        labels = np.full((len(leaves), covers.shape[1]), sn.IGNORE)
        owner = np.repeat(np.arange(len(leaves)), inner)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(inner) - inner, inner)
        labels[owner, number] = y[first[owner] + number]
        sizes = np.add.reduceat(covers, ptr[:-1], axis=0) if len(covers) else covers
        return cls(covers, sizes, y[nodes], labels)


def crosses(shared: Ints, size: Ints, sizes: Ints) -> Any:
    """Whether sets of leaves cross a bracket (m,): they overlap, and neither contains the other.

    Arguments:
        shared: the number of leaves that each set has in common with each bracket (m, K).
        size: the number of leaves of each set (m,).
        sizes: that of each bracket of the set's sample (m, K).
    """
    return np.any((shared > 0) & (shared < sizes) & (shared < size[:, None]), axis=1)


def classes_of(shared: Ints, size: Ints, sizes: Ints, labels: Ints) -> Ints:
    """The class of sets of leaves (m,): that of the bracket of these very leaves, else 0.

    Arguments:
        shared, size, sizes: those of `crosses`.
        labels: the class of each bracket of the set's sample (m, K).
    """
    same = (shared == sizes) & (shared == size[:, None])
    found = np.take_along_axis(labels, same.argmax(axis=1)[:, None], axis=1)[:, 0]
    return np.where(same.any(axis=1), found, 0)


def classes_around(shared: Ints, size: Ints, sizes: Ints, labels: Ints) -> Ints:
    """The class of sets of leaves (m,): that of the smallest bracket that contains them, else 0.

    Arguments:
        shared, size, sizes, labels: those of `classes_of`.
    """
    around = np.where(shared == size[:, None], sizes, np.iinfo(np.int64).max)
    smallest = around.argmin(axis=1)[:, None]
    found = np.take_along_axis(labels, smallest, axis=1)[:, 0]
    return np.where((shared == size[:, None]).any(axis=1), found, 0)


def _parents(tree: sn.Batch) -> Ints:
    """The parent of every node, -1 at a root."""
    arrows = tree.plans[0].arrows.cpu().numpy()
    child, above = arrows[:, arrows[0] < tree.num_nodes]
    parent = np.full(tree.num_nodes, -1)
    parent[child] = above
    return parent
