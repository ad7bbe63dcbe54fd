"""Syntax trees, given by every node's parent, as the topology `tree` takes them."""

import numpy as np
from numpy.typing import NDArray

import structnet as sn


def left_child_right_sibling(parent: np.ndarray) -> np.ndarray:
    """(n, 2): every node's first child and its next sibling, -1 where absent."""
    table = np.full((len(parent), 2), -1, dtype=np.int64)
    order = np.argsort(parent, kind="stable")
    order = order[parent[order] >= 0]
    above = parent[order]
    is_next = above[1:] == above[:-1]
    table[order[:-1][is_next], 1] = order[1:][is_next]
    # Assigned in reverse order, so that the first child is assigned last.
    table[above[::-1], 0] = order[::-1]
    return table


def as_tree(parent: np.ndarray, topology: sn.Topology) -> sn.Edges | NDArray[np.int64]:
    """The children of every node: binary, or all of them where the topology takes any number."""
    if topology.arity == 2:
        return left_child_right_sibling(parent)
    return sn.Edges.of_parents(parent)


def check_arity(topology: sn.Topology, task: str) -> None:
    """ValueError for trees of another arity than 2 or any number."""
    if topology.takes == "tree" and topology.arity not in (2, None):
        raise ValueError(
            f"task {task!r} has trees of arity 2 (left child, right sibling) or null (any number "
            f"of children), the topology's arity is {topology.arity}"
        )
