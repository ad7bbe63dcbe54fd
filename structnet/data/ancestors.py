"""Ancestors: the nodes of a graph from which given nodes can be reached.

N, E: nodes and edges of the whole graph; n: nodes of a closure; T: its targets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from structnet.topology.base import Edges
from structnet.topology.levels import Ints, ranges, stable_order


@dataclass(frozen=True, eq=False)
class Closure:
    """The subgraph of target nodes and their ancestors.

    Attributes:
        nodes: its nodes in the whole graph (n,), ascending.
        edges: all edges of the graph between them, with nodes numbered by their index in `nodes`.
        kept: the indices of these edges in the whole graph.
        targets: the indices of the targets in `nodes` (T,), in the order given.
        cut_edges: how many edges lead into it from outside, cut off by a limit of depth.
        cut_nodes: how many nodes these edges come from.
    """

    nodes: Ints
    edges: Edges
    kept: Ints
    targets: Ints
    cut_edges: int
    cut_nodes: int


def ancestors(edges: Edges, nodes: ArrayLike, depth: int | None = None) -> Closure:
    """The subgraph of given nodes and their ancestors.

    Without a limit of depth, or with one that no path exceeds, the states of these nodes are those
    that they have in the whole graph. Each call takes time in proportion to all edges; use
    `node_loader` for many batches. ValueError for a node that is out of range or given twice, and
    for a negative depth.

    Arguments:
        edges: the graph.
        nodes: the target nodes (T,).
        depth: the longest path, in edges, from an ancestor to a target; None for no limit.

    >>> found = sn.ancestors(sn.Edges([[0, 1, 2], [2, 2, 3]], num_nodes=4), [2])
    >>> found.nodes.tolist(), found.edges.index.tolist()
    ([0, 1, 2], [[0, 1], [2, 2]])
    """
    edges = Edges.of(edges)
    inward = Incoming(edges.index, edges.num_nodes)
    return inward.closure(inward, checked_nodes(nodes, edges.num_nodes), checked_depth(depth))


class Incoming:
    """The incoming edges of every node: `count[v]` edges, from `start[v]` on, for node v."""

    def __init__(self, index: Ints, num_nodes: int):
        self.edge = stable_order(index[1])
        self.source = index[0][self.edge]
        self.count = np.bincount(index[1], minlength=num_nodes)
        self.start = np.cumsum(self.count) - self.count
        # The index of a node in the closure that is being made, else -1. It is cleared after use,
        # as a new array would take time in proportion to all nodes.
        self.place = np.full(num_nodes, -1)

    def into(self, nodes: Ints) -> Ints:
        """The places of the incoming edges of some nodes, node by node."""
        return ranges(self.start[nodes], self.count[nodes])

    def closure(self, reads: "Incoming", targets: Ints, depth: int | None) -> Closure:
        """The targets and their ancestors along the edges of `reads`, as a part of this graph."""
        nodes = np.sort(reads.reach(targets, depth))
        place = self.place
        place[nodes] = np.arange(len(nodes))
        at = self.into(nodes)
        source = place[self.source[at]]
        inside = source >= 0
        target = np.repeat(np.arange(len(nodes)), self.count[nodes])
        index = np.stack([source[inside], target[inside]])
        read = reads.source[reads.into(nodes)]
        outside = read[place[read] < 0]
        found = Closure(
            nodes,
            Edges(index, len(nodes)),
            self.edge[at[inside]],
            place[targets],
            len(outside),
            len(np.unique(outside)),
        )
        place[nodes] = -1
        return found

    def reach(self, targets: Ints, depth: int | None) -> Ints:
        """The targets and their ancestors within `depth` steps."""
        place, found, frontier = self.place, [targets], targets
        place[targets] = 0
        steps = 0
        while frontier.size and steps != depth:
            source = self.source[self.into(frontier)]
            source = source[place[source] < 0]
            # A node that feeds several nodes counts once.
            order = np.arange(len(source))
            place[source] = order
            frontier = source[place[source] == order]
            found.append(frontier)
            steps += 1
        nodes = np.concatenate(found)
        place[nodes] = -1
        return nodes


def checked_nodes(nodes: ArrayLike, num_nodes: int) -> Ints:
    found = np.asarray(nodes).reshape(-1)
    if found.size and found.dtype.kind not in "iu":
        raise ValueError(f"nodes must be integers, got {found.dtype} ({found[0]} at index 0)")
    wrong = (found < 0) | (found >= num_nodes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"node {found[at]} at index {at} is out of range: valid are 0 to {num_nodes - 1}"
        )
    seen, count = np.unique(found, return_counts=True)
    if len(seen) < len(found):
        raise ValueError(f"node {seen[np.argmax(count > 1)]} is given twice; give each target once")
    return found.astype(np.int64)


def checked_depth(depth: int | None) -> int | None:
    if depth is not None and (not isinstance(depth, int | np.integer) or depth < 0):
        raise ValueError(f"depth must be None or a whole number, at least 0, got {depth!r}")
    return depth
