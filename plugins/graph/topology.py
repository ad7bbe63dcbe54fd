"""Directed acyclic graphs, and undirected graphs whose nodes are visited in an order."""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import structnet as sn

Ints = NDArray[np.int64]
Direction = Literal["forward", "backward", "both"]


def _directions(direction: Direction) -> tuple[str, ...]:
    return ("forward", "backward") if direction == "both" else (direction,)


@sn.topologies.register("graph")
class Graph(sn.Topology):
    """Any directed acyclic graph, with any number of predecessors per node.

    Structure: `sn.Edges`, a torch_geometric Data with `edge_index` or a networkx graph, whose
    sources feed its targets.

    Arguments:
        direction: forward follows the edges, backward reverses them; both has one pass for each.
    """

    takes = "graph"
    joins = True
    arity = None

    def __init__(self, *, direction: Direction = "forward"):
        self.directions = _directions(direction)

    def predecessors(self, structure: Any) -> Any:
        index, num_nodes, _ = sn.Edges.of(structure)
        tables = [
            sn.Edges(index if direction == "forward" else index[::-1], num_nodes)
            for direction in self.directions
        ]
        return tuple(tables) if len(tables) > 1 else tables[0]


@sn.topologies.register("ordered_graph")
class OrderedGraph(sn.Topology):
    """An undirected graph whose nodes are visited in an order; a node reads all its neighbours.

    Neighbours that were visited before have their new states. With unvisited=previous the others
    have their states of the layer below, null states in the first layer: the Graph LSTM of Liang et
    al. (2016), section 3.2. With unvisited=nothing they are not read: direction=both is then the
    pair of DAGs of Peng et al. (2017), section 3. Nodes that don't depend on each other share a
    level.

    Structure: `sn.Edges` with every edge in both directions, a torch_geometric Data or a networkx
    Graph. Scores are `score` (n,) of these, in a networkx graph an attribute of every node.

    Arguments:
        order: of the visits: breadth-first, in each component from the node with most neighbours;
            by score, the highest first; by id; or random, drawn by torch's generator whenever a
            batch is planned. Ties are broken by id.
        direction: forward visits in this order, backward in reverse; both has one pass for each.
        unvisited: what is read of neighbours that are visited later: previous is their state in the
            layer below.
    """

    takes = "undirected"
    joins = True
    arity = None

    def __init__(
        self,
        *,
        order: Literal["breadth", "score", "id", "random"] = "breadth",
        direction: Direction = "forward",
        unvisited: Literal["previous", "nothing"] = "previous",
    ):
        self.order, self.directions = order, _directions(direction)
        # One initial state per node: its state in the layer below.
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
    """The nodes (n,) in the order of their visits."""
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
        # Descending and stable; scores can't be negated, as they may be unsigned.
        return graph.num_nodes - 1 - np.argsort(graph.score[::-1], kind="stable")[::-1]
    return np.argsort(depth_from_hubs(graph), kind="stable")


def depth_from_hubs(graph: Any) -> NDArray[np.float64]:
    """The distance (n,) of every node from the node of its component with most neighbours."""
    # Imported here, as it takes a while.
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
    """ValueError for a self-loop, and for an edge that is there in one direction only."""
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
