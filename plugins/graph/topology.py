"""Directed acyclic graphs, from edge lists or torch_geometric Data."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn

DIRECTIONS = {"forward": ("forward",), "backward": ("backward",), "both": ("forward", "backward")}


@sn.topologies.register("graph")
class Graph(sn.Topology):
    """Any DAG: forward, a node follows those that feed it; backward, those that it feeds.

    Any number of predecessors. Structure: `sn.Edges`, or a torch_geometric Data with `edge_index`,
    whose sources feed its targets.
    """

    takes = "graph"
    arity = None

    def __init__(self, *, direction: str = "forward"):
        if direction not in DIRECTIONS:
            raise ValueError(
                f"option 'direction' is 'forward', 'backward' or 'both', got {direction!r}"
            )
        self.directions = DIRECTIONS[direction]

    def predecessors(self, structure: Any) -> Any:
        index, num_nodes = edges_of(structure)
        tables = [
            sn.Edges(index if direction == "forward" else index[::-1], num_nodes)
            for direction in self.directions
        ]
        return tuple(tables) if len(tables) > 1 else tables[0]


def edges_of(structure: Any) -> tuple[NDArray[np.integer], int]:
    """The edges (2, E) of a structure and the number of its nodes."""
    if isinstance(structure, sn.Edges):
        return np.asarray(structure.index), structure.num_nodes
    return np.asarray(structure.edge_index), int(structure.num_nodes)
