"""Child tables from parents, as structures of trees.

n: nodes, K: the most children of a node.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.topology.edges import Edges, as_array


def children(parent: Any) -> NDArray[np.int64]:
    """The children (n, K) of every node in ascending order, -1 where absent; K is at least 1.

    Arguments:
        parent: the parent of every node (n,), -1 at a root; several roots make a forest.

    ValueError, with the node, for parents that are not integers, out of range, or lead in a circle.

    >>> sn.children([-1, 0, 0, 2]).tolist()
    [[1, 2], [-1, -1], [3, -1], [-1, -1]]
    """
    return Edges.of_parents(_checked(parent)).table()


def left_child_right_sibling(parent: Any) -> NDArray[np.int64]:
    """The binary tree (n, 2) of the same nodes: a node's first child, and its next sibling.

    Knuth (1997), section 2.3.2: any number of ordered children in two slots. -1 where absent; roots
    stay roots.

    Arguments:
        parent: the parent of every node (n,), -1 at a root; children are in ascending order.

    ValueError as of `children`.

    >>> sn.left_child_right_sibling([-1, 0, 0, 2]).tolist()
    [[1, -1], [-1, 2], [3, -1], [-1, -1]]
    """
    table = children(parent)
    found = np.full((len(table), 2), -1)
    found[:, 0] = table[:, 0]
    before, after = table[:, :-1], table[:, 1:]
    found[before[after >= 0], 1] = after[after >= 0]
    return found


def _checked(parent: Any) -> NDArray[np.int64]:
    above = as_array(parent)
    if above.ndim != 1 or (len(above) and above.dtype.kind not in "iu"):
        raise ValueError(
            "parents are one integer per node (n,), -1 at a root, got "
            f"{above.dtype} of shape {above.shape}"
        )
    above = above.astype(np.int64)
    wrong = np.flatnonzero((above < -1) | (above >= len(above)))
    if len(wrong):
        node = int(wrong[0])
        raise ValueError(
            f"parent {above[node]} of node {node} is out of range, -1 (a root) to "
            f"{len(above) - 1} are possible"
        )
    ancestor = above
    # The ancestor twice as far above, until all are above the roots.
    for _ in range(len(above).bit_length()):
        ancestor = np.where(ancestor < 0, -1, ancestor[ancestor])
    circle = np.flatnonzero(ancestor >= 0)
    if len(circle):
        raise ValueError(f"node {int(circle[0])} has no root above: its ancestors are a circle")
    return above
