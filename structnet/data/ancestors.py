"""Nodes of a graph with what leads to them.

N, E: nodes and edges of the whole graph; n: nodes of a closure; T: its targets.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from structnet.topology.base import Edges
from structnet.topology.levels import Ints, ranges, stable_order


@dataclass(frozen=True, eq=False)
class Closure:
    """Targets and what leads to them, as a graph of its own.

    `nodes` (n,) are the graph's nodes that are in it, ascending; `edges` are all of the graph's
    edges between them, numbered anew by place in `nodes`, and `kept` their indices in the graph.
    `targets` (T,) are the targets' places, in the order asked for. What a limit of depth left out
    are `cut_edges`, the edges that lead from outside to a node inside, and `cut_nodes`, the nodes
    they come from; what lies behind those is not looked at.
    """

    nodes: Ints
    edges: Edges
    kept: Ints
    targets: Ints
    cut_edges: int
    cut_nodes: int


def ancestors(edges: Edges, nodes: ArrayLike, depth: int | None = None) -> Closure:
    """The nodes asked for and all that leads to them in at most `depth` steps, or in any number.

    With no limit, or one from the longest path on, the states of these nodes are those that they
    have in the whole graph. Takes a pass over all edges; `node_loader` takes it once for all its
    batches. ValueError for a node that is out of range or named twice, and for a depth below 0.
    """
    edges = Edges.of(edges)
    inward = Inward(edges.index, edges.num_nodes)
    return inward.closure(inward, checked_nodes(nodes, edges.num_nodes), checked_depth(depth))


class Inward:
    """The edges into every node: those of v are at `start[v]`, `count[v]` of them."""

    def __init__(self, index: Ints, num_nodes: int):
        self.edge = stable_order(index[1])
        self.source = index[0][self.edge]
        self.count = np.bincount(index[1], minlength=num_nodes)
        self.start = np.cumsum(self.count) - self.count
        # The place of nodes in a closure while it is made, -1 of all others: cleared behind it, as
        # a new one would cost all nodes.
        self.place = np.full(num_nodes, -1)

    def into(self, nodes: Ints) -> Ints:
        """Where the edges into some nodes are, node by node."""
        return ranges(self.start[nodes], self.count[nodes])

    def closure(self, reads: "Inward", targets: Ints, depth: int | None) -> Closure:
        """The closure by the edges of `reads`, as a part of this graph."""
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
        """The targets and all that leads to them in so many steps."""
        place, found, frontier = self.place, [targets], targets
        place[targets] = 0
        steps = 0
        while frontier.size and steps != depth:
            source = self.source[self.into(frontier)]
            source = source[place[source] < 0]
            # One that leads to several nodes counts once.
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
        raise ValueError(f"nodes are integers, got {found.dtype} ({found[0]} at place 0)")
    wrong = (found < 0) | (found >= num_nodes)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(
            f"node {found[at]} at place {at} is out of range, 0 to {num_nodes - 1} are possible"
        )
    seen, count = np.unique(found, return_counts=True)
    if len(seen) < len(found):
        raise ValueError(f"node {seen[np.argmax(count > 1)]} is named twice; name each target once")
    return found.astype(np.int64)


def checked_depth(depth: int | None) -> int | None:
    if depth is not None and (not isinstance(depth, int | np.integer) or depth < 0):
        raise ValueError(f"depth is a whole number from 0 on, or None for no limit, got {depth!r}")
    return depth
