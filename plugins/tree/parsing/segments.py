"""Images as trees: segments of one class, and the regions that they are merged of.

n: regions of an image; C: classes; m: nodes of found trees.
"""

from collections.abc import Sequence

import numpy as np

import structnet as sn
from structnet.plugins.tree.parsing.gold import ANY, Gold, crosses, tree_part
from structnet.plugins.tree.parsing.parses import Parses

Ints = np.ndarray
# The class of nodes that have several segments; those of segments follow.
SEVERAL = 0


def segments(edges: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """The number of every region's segment (n,), from 0 on, and the classes of the segments.

    A segment is what is connected of regions with the same class, that of most of their pixels;
    regions without a known pixel make segments whose class is `sn.IGNORE`.

    Arguments:
        edges: pairs of regions that touch (2, E).
        counts: the number of pixels of each class (n, C).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(counts)
    y = np.where(counts.any(axis=1), counts.argmax(axis=1), sn.IGNORE)
    source, target = edges[:, y[edges[0]] == y[edges[1]]]
    same = coo_array((np.ones(len(source)), (source, target)), shape=(n, n))
    count, segment = connected_components(same, directed=False)
    classes = np.zeros(count, np.int64)
    classes[segment] = y
    return segment, classes


def given_segments(edges: Ints, counts: Ints) -> sn.Sample:
    """The tree of an image as the part of a sample: its regions, its segments, and the image.

    Class 0 is that of nodes with several segments, here of the image; the others are one more than
    those of `segments`.

    Arguments:
        edges, counts: those of `segments`.
    """
    segment, classes = segments(edges, counts)
    classes = np.where(classes == sn.IGNORE, classes, classes + 1)
    n, size = len(segment), np.bincount(segment)
    if n == 1:
        return tree_part(np.array([-1]), classes)
    # A segment of one region is its leaf, and one that is all of the image is the root.
    inner = np.flatnonzero((size > 1) & (size < n))
    root = n + len(inner)
    above = np.full(len(size), root)
    above[inner] = n + np.arange(len(inner))
    whole = classes[0] if len(size) == 1 else SEVERAL
    parent = np.concatenate([above[segment], np.full(len(inner), root), [-1]])
    return tree_part(parent, np.concatenate([classes[segment], classes[inner], [whole]]))


def segment_of(trees: Parses) -> Ints:
    """The node (m,) that is the segment of each node of found trees.

    That is the uppermost node above it whose most probable class is not that of several segments;
    where there is none, the node itself.
    """
    parent = _parents(trees)
    is_segment = trees.scores.argmax(dim=1).cpu().numpy() != SEVERAL
    found = at = np.arange(len(parent))
    while (at >= 0).any():
        found = np.where((at >= 0) & is_segment[at], at, found)
        at = np.where(at >= 0, parent[at], -1)
    return found


def right_merges(gold: Gold, children: Ints) -> Ints:
    """Whether each merge (n - 1,) of an image's regions is right: it crosses none of its segments.

    Arguments:
        gold: the segments, of this image alone.
        children: what every merge is of (n - 1, 2): regions, and earlier merges from n on.
    """
    n = len(gold.covers)
    shared, size = list(gold.covers), [1] * n
    for left, right in children.tolist():
        shared.append(shared[left] + shared[right])
        size.append(size[left] + size[right])
    return ~crosses(np.array(shared[n:]), np.array(size[n:]), gold.sizes)


def ward_merges(samples: Sequence[sn.Sample]) -> float:
    """The share of right merges by Ward's criterion: regions with similar features first.

    Only regions that touch are merged.
    """
    from scipy.sparse import coo_array
    from sklearn.cluster import AgglomerativeClustering

    right = []
    for sample in samples:
        n = sample.num_nodes
        if n > 1:
            source, target = sample.structure.index
            touch = coo_array((np.ones(len(source)), (source, target)), shape=(n, n))
            model = AgglomerativeClustering(1, connectivity=touch, linkage="ward")
            children = model.fit(sample.x).children_
            tree = sn.collate(sample.parts, ANY)
            right.append(right_merges(Gold.of(tree, np.array([0, n])), children))
    return float(np.concatenate(right).mean()) if right else float("nan")


def _parents(trees: Parses) -> Ints:
    """The parent (m,) of every node, -1 of a root."""
    parent = np.full(len(trees.children), -1)
    inner = np.flatnonzero(trees.children[:, 0] >= 0)
    first = np.repeat(trees.ptr[:-1], np.diff(trees.ptr))[inner]
    for side in range(2):
        parent[first + trees.children[inner, side]] = inner
    return parent
