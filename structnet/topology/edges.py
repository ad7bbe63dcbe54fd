"""Edges of a graph, read from what is given and checked.

torch_geometric's Data and Batch are known by what they have: nothing of it is imported.
"""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from structnet.topology.foreign import is_data, is_networkx
from structnet.topology.levels import ptr_of, stable_order

# What torch_geometric keeps a row of for every node, and for every edge.
NODE_FIELDS, EDGE_FIELDS = ("x",), ("edge_attr",)


class Edges(NamedTuple):
    """A graph of `num_nodes` nodes as an edge list `index` (2, E): row 0 feeds row 1.

    Where they are predecessors, a source of -1 stands for none: the edge isn't read. `score` (n,)
    is what the nodes of an undirected graph are ordered by.
    """

    index: Any
    num_nodes: int
    score: Any = None

    @classmethod
    def of(cls, graph: Any, score: bool = False) -> "Edges":
        """The edges of a graph as arrays: of `Edges`, a torch_geometric Data or a networkx graph.

        A networkx graph's nodes are numbered in the order in which it has them; without direction,
        its edges are there in both. What a Data calls `score` is taken for one of the nodes where
        `score` is asked for. ValueError, naming edge or node, for indices that are no integers or
        out of range, and for a number of nodes that is missing.
        """
        if is_networkx(graph):
            graph = _from_networkx(graph, score)
        if isinstance(graph, Edges):
            index, num_nodes, name, scores = graph.index, graph.num_nodes, "index", graph.score
        elif is_data(graph):
            index, num_nodes, name = graph.edge_index, count_nodes(graph), "edge_index"
            scores = getattr(graph, "score", None) if score else None
        else:
            raise ValueError(
                "a graph is sn.Edges or a torch_geometric Data with edge_index, or a networkx "
                f"graph, got {type(graph).__name__}"
            )
        if not isinstance(num_nodes, int | np.integer) or num_nodes < 0:
            raise ValueError(f"num_nodes is a whole number from 0 on, got {num_nodes!r}")
        index = _checked_index(as_array(index), num_nodes, name)
        return cls(index, num_nodes, None if scores is None else _checked_score(scores, num_nodes))

    @classmethod
    def of_parents(cls, parent: ArrayLike) -> "Edges":
        """The edges of a forest, from child to parent, given every node's parent, -1 at a root."""
        above = as_array(parent)
        child = np.flatnonzero(above >= 0)
        return cls(np.stack([child, above[child]]), len(above))

    def table(self) -> NDArray[np.int64]:
        """The predecessors (num_nodes, K) of every node in the order of its edges, -1 where absent.

        K is the largest in-degree, at least 1. For a forest this is its child table.
        """
        source, target = as_array(self.index)
        order = stable_order(target)
        source, target = source[order], target[order]
        count = np.bincount(target, minlength=self.num_nodes)
        slot = np.arange(len(target)) - ptr_of(count)[target]
        table = np.full((self.num_nodes, max(1, int(count.max(initial=0)))), -1)
        table[target, slot] = source
        return table


def _from_networkx(graph: Any, score: bool) -> Edges:
    place = {node: number for number, node in enumerate(graph)}
    pairs = [(place[source], place[target]) for source, target in graph.edges()]
    index = np.array(pairs, np.int64).reshape(-1, 2).T
    if not graph.is_directed():
        # An edge from a node to itself is one in both directions.
        back = index[::-1, index[0] != index[1]]
        index = np.concatenate([index, back], axis=1)
    scores = [data.get("score") for _, data in graph.nodes(data=True)] if score else [None]
    has_scores = bool(scores) and all(one is not None for one in scores)
    return Edges(index, len(place), np.array(scores) if has_scores else None)


def as_array(values: Any) -> NDArray[Any]:
    if isinstance(values, torch.Tensor):
        return values.detach().cpu().numpy()
    return np.asarray(values)


def count_nodes(data: Any) -> int:
    """The number of nodes of a Data; ValueError where it would be guessed from the edges."""
    with warnings.catch_warnings():
        # torch_geometric warns where it takes the largest index for the last node.
        warnings.simplefilter("error", UserWarning)
        try:
            num_nodes = data.num_nodes
        except UserWarning:
            num_nodes = None
    if num_nodes is None:
        raise ValueError(
            "num_nodes is missing, and edge_index doesn't tell of nodes without edges: set "
            "data.num_nodes, or data.x with a row for every node"
        )
    return int(num_nodes)


def check_fields(data: Any) -> None:
    """ValueError for features of a Data that are not one a node or edge, or not finite."""
    count = {"node": count_nodes(data), "edge": int(np.shape(data.edge_index)[-1])}
    for what, names in (("node", NODE_FIELDS), ("edge", EDGE_FIELDS)):
        for name in names:
            values = getattr(data, name, None)
            if values is None:
                continue
            values = _as_tensor(values, name)
            if values.layout != torch.strided:
                raise ValueError(f"{name} is sparse, {values.layout}; take {name}.to_dense()")
            if not values.dim() or len(values) != count[what]:
                rows = f"{len(values)} rows" if values.dim() else "no rows"
                raise ValueError(f"{name} has {rows} for {count[what]} {what}s")
            if not torch.isfinite(values).all():
                at = torch.nonzero(~torch.isfinite(values))[0].tolist()
                column = f", column {at[1]}" if len(at) > 1 else ""
                raise ValueError(f"{name} is {values[tuple(at)].item()} at {what} {at[0]}{column}")


def _as_tensor(values: Any, name: str) -> torch.Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} is of numbers, got a {type(values).__name__}: {error}") from error


def sample_bounds(data: Any) -> NDArray[np.int64]:
    """Sample b of a torch_geometric Batch owns the nodes bounds[b]:bounds[b + 1].

    They are those of `batch`, as `Batch.subgraph` leaves `ptr` as it was, or of `ptr` where there
    is no batch. ValueError, naming it, where it does not go through the nodes in their order.
    """
    ptr, batch, num_nodes = as_array(data.ptr), getattr(data, "batch", None), count_nodes(data)
    if batch is None:
        wrong = ptr.ndim != 1 or ptr.dtype.kind not in "iu" or not len(ptr)
        if wrong or ptr[0] != 0 or ptr[-1] != num_nodes or (np.diff(ptr.astype(int)) < 0).any():
            raise ValueError(
                f"ptr holds the bounds of the graphs' nodes, integers that go up from 0 to "
                f"{num_nodes}, got {_shown(ptr)}; take torch_geometric's Batch.from_data_list"
            )
        return ptr.astype(np.int64)
    batch = as_array(batch)
    wrong = batch.shape != (num_nodes,) or (batch.size and batch.dtype.kind not in "iu")
    if wrong or (batch.size and batch[0] < 0) or (np.diff(batch.astype(int)) < 0).any():
        raise ValueError(
            f"batch is the graph of every node, ({num_nodes},) integers that go up, got "
            f"{_shown(batch)}; take torch_geometric's Batch.from_data_list"
        )
    # Graphs of which no node is left still count: targets of graphs stay with theirs.
    count = np.bincount(batch.astype(np.int64), minlength=max(0, ptr.size - 1))
    return ptr_of(count)


def comes_apart(data: Any, bounds: NDArray[np.integer]) -> bool:
    """Whether it is a Batch whose graphs can be had one by one, as its `ptr` is of these bounds."""
    return hasattr(data, "to_data_list") and np.array_equal(as_array(data.ptr), bounds)


def _shown(values: NDArray[Any]) -> str:
    return f"{values.dtype} {values.shape}, {np.array2string(values, threshold=8, edgeitems=3)}"


def join(graphs: Sequence[Edges]) -> tuple[Edges, NDArray[np.int64]]:
    """Graphs side by side as one, and the bounds of their nodes in it.

    Without scores where one has none. ValueError where indices of one are no edge list or lead out
    of it, or its scores are not one a node.
    """
    sizes = np.array([graph.num_nodes for graph in graphs])
    if sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise ValueError("num_nodes is a whole number from 0 on")
    ptr = ptr_of(sizes)
    indices = [as_array(graph.index) for graph in graphs]
    if any(one.ndim != 2 or (one.size and one.dtype.kind not in "iu") for one in indices):
        raise ValueError("an index is (2, edges) of integers")
    sample = np.repeat(np.arange(len(graphs)), [index.shape[-1] for index in indices])
    # Without the type, an empty list or one unsigned index would make floats of all.
    index = np.concatenate(indices, axis=1, dtype=np.int64, casting="unsafe")
    if ((index < 0) | (index >= sizes[sample])).any():
        raise ValueError("an edge leads out of its graph")
    scores = [as_array(graph.score) for graph in graphs if graph.score is not None]
    if any(len(graph.score) != graph.num_nodes for graph in graphs if graph.score is not None):
        raise ValueError("a score is one number a node")
    score = np.concatenate(scores) if len(scores) == len(graphs) else None
    return Edges(index + ptr[sample], int(ptr[-1]), score), ptr


def check_apart(index: Any, ptr: NDArray[np.integer]) -> None:
    """ValueError for an edge (2, E) between samples; sample b owns the nodes ptr[b]:ptr[b + 1]."""
    index = as_array(index)
    if not index.size:
        return
    sample = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))[index]
    between = sample[0] != sample[1]
    if between.any():
        edge = int(np.argmax(between))
        source, target = (
            f"node {index[row, edge] - ptr[sample[row, edge]]} of sample {sample[row, edge]}"
            for row in (0, 1)
        )
        raise ValueError(f"edge {edge} of the batch leads from {source} to {target}")


def _checked_index(index: NDArray[Any], num_nodes: int, name: str) -> NDArray[np.int64]:
    if index.ndim != 2 or len(index) != 2:
        raise ValueError(f"{name} is (2, edges), got an array of shape {index.shape}")
    if index.size and not np.issubdtype(index.dtype, np.integer):
        raise ValueError(f"{name} is of integers, got {index.dtype} ({index[0, 0]} at edge 0)")
    wrong = (index < 0) | (index >= num_nodes)
    if wrong.any():
        row, edge = (int(i) for i in np.argwhere(wrong)[0])
        end = ("source", "target")[row]
        raise ValueError(
            f"{name} has node {index[row, edge]} as the {end} of edge {edge}, "
            f"there are {num_nodes} nodes, numbered from 0 on"
        )
    return index.astype(np.int64, copy=False)


def _checked_score(score: Any, num_nodes: int) -> NDArray[Any]:
    score = as_array(score)
    if score.shape != (num_nodes,):
        raise ValueError(f"score is one number a node, ({num_nodes},), got {score.shape}")
    if score.dtype.kind not in "biuf":
        raise ValueError(f"score is of numbers, got {score.dtype} ({score[0]} at node 0)")
    if np.isnan(score).any():
        raise ValueError(f"score is nan at node {int(np.argmax(np.isnan(score)))}")
    return score
