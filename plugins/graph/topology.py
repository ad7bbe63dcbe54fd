"""Directed acyclic graphs, from edge lists or torch_geometric Data."""

from typing import Any

import structnet as sn

DIRECTIONS = {"forward": ("forward",), "backward": ("backward",), "both": ("forward", "backward")}


def directions_of(direction: str) -> tuple[str, ...]:
    """The directions that an option names; ValueError for others."""
    if direction not in DIRECTIONS:
        raise ValueError(
            f"option 'direction' is 'forward', 'backward' or 'both', got {direction!r}"
        )
    return DIRECTIONS[direction]


@sn.topologies.register("graph")
class Graph(sn.Topology):
    """Any DAG: forward, a node follows those that feed it; backward, those that it feeds.

    Any number of predecessors. Structure: `sn.Edges`, a torch_geometric Data with `edge_index` or a
    networkx graph, whose sources feed its targets.

    Arguments:
        direction: forward follows the edges, backward goes against them; both is a pass each.
    """

    takes = "graph"
    joins = True
    arity = None

    def __init__(self, *, direction: str = "forward"):
        self.directions = directions_of(direction)

    def predecessors(self, structure: Any) -> Any:
        index, num_nodes, _ = sn.Edges.of(structure)
        tables = [
            sn.Edges(index if direction == "forward" else index[::-1], num_nodes)
            for direction in self.directions
        ]
        return tuple(tables) if len(tables) > 1 else tables[0]
