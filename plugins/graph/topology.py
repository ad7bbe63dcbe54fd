"""Directed acyclic graphs, and undirected graphs whose nodes are visited in an order."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import structnet as sn

Ints = NDArray[np.int64]
ORDERS = ("score", "breadth", "id", "random")
UNVISITED = ("previous", "nothing")
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


@sn.topologies.register("ordered_graph")
class OrderedGraph(sn.Topology):
    """An undirected graph, its nodes visited one after the other: a node reads all neighbours.

    Those visited before it have their new states; the others have their `previous` ones, of the
    layer below, null states in the first layer (Liang et al. 2016, section 3.2); or they are read
    as `nothing`, and both directions are the pair of DAGs of Peng et al. (2017, section 3). Nodes
    that don't wait for each other share a level.

    `order` is by `score`, the highest first; `breadth` first, in every component from the node of
    the most neighbours on; by `id`; or `random`, drawn by torch's generator whenever a batch is
    planned, so that an epoch has orders of its own. Ties are by id. Backward is the reverse order.

    Structure: `sn.Edges` with every edge in both directions, a torch_geometric Data or a networkx
    Graph; of these `score` (n,) is the score, in a networkx graph an attribute of every node.

    Arguments:
        order: in which nodes are visited: breadth, score, id or random.
        direction: forward visits in this order, backward in reverse; both is a pass each.
        unvisited: what is read of neighbours that are visited later: previous, their states of the
            layer below, or nothing.
    """

    takes = "undirected"
    joins = True
    arity = None

    def __init__(
        self, *, order: str = "breadth", direction: str = "forward", unvisited: str = "previous"
    ):
        for name, value, known in (("order", order, ORDERS), ("unvisited", unvisited, UNVISITED)):
            if value not in known:
                raise ValueError(f"option {name!r} is one of {list(known)}, got {value!r}")
        self.order, self.directions = order, directions_of(direction)
        # One initial state a node: its state in the layer below.
        self.num_initial = None if unvisited == "previous" else 0

    def predecessors(self, structure: Any) -> Any:
        graph = sn.Edges.of(structure, score=self.order == "score")
        source, target = graph.index
        check_undirected(source, target, graph.num_nodes)
        place = np.empty(graph.num_nodes, np.int64)
        place[visits(graph, self.order)] = np.arange(graph.num_nodes)
        tables = []
        for direction in self.directions:
            first, then = (source, target) if direction == "forward" else (target, source)
            unvisited = -1 if self.num_initial == 0 else source + graph.num_nodes
            read = np.where(place[first] < place[then], source, unvisited)
            tables.append(sn.Edges(np.stack([read, target]), graph.num_nodes))
        return tuple(tables) if len(tables) > 1 else tables[0]


def visits(graph: Any, order: str) -> Ints:
    """The nodes (n,) in the order they are visited in."""
    if order == "id":
        return np.arange(graph.num_nodes)
    if order == "random":
        return torch.randperm(graph.num_nodes).numpy()
    if order == "score":
        if graph.score is None:
            raise ValueError(
                "order 'score' needs a score of every node: give sn.Edges or Data a score (n,), "
                "or take order=breadth"
            )
        # From both ends, as the negative of an unsigned number is none.
        return graph.num_nodes - 1 - np.argsort(graph.score[::-1], kind="stable")[::-1]
    return np.argsort(depth_from_hubs(graph), kind="stable")


def depth_from_hubs(graph: Any) -> NDArray[np.float64]:
    """The distance (n,) of every node from that of its component with the most neighbours."""
    # Imported here: it takes a while.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components, dijkstra

    if not graph.num_nodes:
        return np.zeros(0)
    source, target = graph.index
    links = csr_array(
        (np.ones(len(source)), (source, target)), shape=(graph.num_nodes, graph.num_nodes)
    )
    count, component = connected_components(links, directed=False)
    degree = np.bincount(target, minlength=graph.num_nodes)
    by_degree = np.lexsort((-degree, component))
    hubs = by_degree[np.searchsorted(component[by_degree], np.arange(count))]
    return dijkstra(links, indices=hubs, unweighted=True, min_only=True)


def check_undirected(source: Ints, target: Ints, num_nodes: int) -> None:
    """ValueError for an edge that leads back to its node or is there in one direction only."""
    loops = np.flatnonzero(source == target)
    if loops.size:
        node = source[loops[0]]
        raise ValueError(
            f"edge {loops[0]} leads from node {node} to itself, and no node is its own neighbour; "
            "take torch_geometric.utils.remove_self_loops"
        )
    there, back = source * num_nodes + target, target * num_nodes + source
    there_sorted = np.sort(there)
    if np.array_equal(there_sorted, np.sort(back)):
        return
    count = np.searchsorted(there_sorted, [there, back], "right")
    count -= np.searchsorted(there_sorted, [there, back], "left")
    edge = int(np.argmax(count[0] > count[1]))
    times = (
        "" if count[1, edge] == 0 else f", {count[0, edge]} times there and {count[1, edge]} back"
    )
    raise ValueError(
        f"edge {edge}, {source[edge]} -> {target[edge]}, has no edge {target[edge]} -> "
        f"{source[edge]} back{times}; take torch_geometric.utils.to_undirected, "
        "or topology 'graph' for a directed graph"
    )
