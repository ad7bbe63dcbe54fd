"""Edges of graphs: read from what is given, and checked."""

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from structnet.topology.foreign import is_data, is_networkx, is_row
from structnet.topology.levels import ptr_of, stable_order

# The attributes in which torch_geometric has a row per node, and per edge.
NODE_FIELDS, EDGE_FIELDS = ("x",), ("edge_attr",)


class Edges(NamedTuple):
    """A graph as a list of edges.

    Arguments:
        index: (2, E); each edge leads from the node in row 0 to that in row 1. As predecessors,
            edges from -1 are ignored.
        num_nodes: n, the number of nodes.
        score: (n,), by which the nodes of an undirected graph can be ordered.
    """

    index: Any
    num_nodes: int
    score: Any = None

    @classmethod
    def of(cls, graph: Any, score: bool = False) -> "Edges":
        """The edges of a graph, checked and as arrays.

        ValueError, with edge or node, for indices that are not integers or out of range, and for a
        missing number of nodes.

        Arguments:
            graph: `Edges`, a torch_geometric Data, a networkx graph or a mapping with `edge_index`
                and `num_nodes`. The nodes of a networkx graph are numbered in their order; if it is
                undirected, its edges are there in both directions.
            score: whether the attribute `score` of a Data or of a networkx graph's nodes is read.
        """
        if is_networkx(graph):
            graph = _from_networkx(graph, score)
        elif is_row(graph):
            index = as_array(graph["edge_index"])
            # An empty list of edges has neither two rows nor a type.
            graph = Edges(index if index.size else np.zeros((2, 0), int), graph.get("num_nodes"))
        if isinstance(graph, Edges):
            index, num_nodes, name, scores = graph.index, graph.num_nodes, "index", graph.score
        elif is_data(graph):
            index, num_nodes, name = graph.edge_index, count_nodes(graph), "edge_index"
            scores = getattr(graph, "score", None) if score else None
        else:
            raise ValueError(
                "a graph is sn.Edges or a torch_geometric Data with edge_index, or a networkx "
                f"graph, or a mapping with edge_index, got {type(graph).__name__}"
            )
        if not isinstance(num_nodes, int | np.integer) or num_nodes < 0:
            raise ValueError(f"num_nodes must be a whole number, at least 0, got {num_nodes!r}")
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
        # A self-loop is the same in both directions.
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
    """The number of nodes of a Data; ValueError if it would be guessed from the edges."""
    with warnings.catch_warnings():
        # torch_geometric warns if it infers the number from the largest index.
        warnings.simplefilter("error", UserWarning)
        try:
            num_nodes = data.num_nodes
        except UserWarning:
            num_nodes = None
    if num_nodes is None:
        raise ValueError(
            "num_nodes is missing, and can't be told from edge_index if nodes have no edges: set "
            "data.num_nodes, or data.x with a row per node"
        )
    return int(num_nodes)


def check_fields(data: Any) -> None:
    """ValueError for features of a Data that are not one row per node or edge, or not finite."""
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
        raise ValueError(
            f"{name} must be numbers, got a {type(values).__name__}: {error}"
        ) from error


def sample_bounds(data: Any) -> NDArray[np.int64]:
    """The bounds of a torch_geometric Batch: sample b owns the nodes bounds[b]:bounds[b + 1].

    They are read from `batch`, as `Batch.subgraph` does not update `ptr`, or from `ptr` if there is
    no `batch`. ValueError if that is not ascending.
    """
    ptr, batch, num_nodes = as_array(data.ptr), getattr(data, "batch", None), count_nodes(data)
    if batch is None:
        wrong = ptr.ndim != 1 or ptr.dtype.kind not in "iu" or not len(ptr)
        if wrong or ptr[0] != 0 or ptr[-1] != num_nodes or (np.diff(ptr.astype(int)) < 0).any():
            raise ValueError(
                f"ptr must be the bounds of the graphs' nodes, ascending integers from 0 to "
                f"{num_nodes}, got {_shown(ptr)}; use torch_geometric's Batch.from_data_list"
            )
        return ptr.astype(np.int64)
    batch = as_array(batch)
    wrong = batch.shape != (num_nodes,) or (batch.size and batch.dtype.kind not in "iu")
    if wrong or (batch.size and batch[0] < 0) or (np.diff(batch.astype(int)) < 0).any():
        raise ValueError(
            f"batch must be the graph of every node, ({num_nodes},) ascending integers, got "
            f"{_shown(batch)}; use torch_geometric's Batch.from_data_list"
        )
    # Graphs without nodes count too, as their targets are still there.
    count = np.bincount(batch.astype(np.int64), minlength=max(0, ptr.size - 1))
    return ptr_of(count)


def comes_apart(data: Any, bounds: NDArray[np.integer]) -> bool:
    """Whether it is a Batch that can be split into its graphs, as `ptr` has these bounds."""
    return hasattr(data, "to_data_list") and np.array_equal(as_array(data.ptr), bounds)


def _shown(values: NDArray[Any]) -> str:
    return f"{values.dtype} {values.shape}, {np.array2string(values, threshold=8, edgeitems=3)}"


def join(graphs: Sequence[Edges]) -> tuple[Edges, NDArray[np.int64]]:
    """The disjoint union of graphs, and the bounds of their nodes in it.

    It has scores if all have. ValueError for an index that is not an edge list or leads out of its
    graph, and for scores that are not one per node.
    """
    sizes = np.array([graph.num_nodes for graph in graphs])
    if sizes.dtype.kind not in "iu" or (sizes < 0).any():
        raise ValueError("num_nodes must be a whole number, at least 0")
    ptr = ptr_of(sizes)
    indices = [as_array(graph.index) for graph in graphs]
    if any(one.ndim != 2 or (one.size and one.dtype.kind not in "iu") for one in indices):
        raise ValueError("an index must be integers (2, edges)")
    sample = np.repeat(np.arange(len(graphs)), [index.shape[-1] for index in indices])
    # Without the dtype, an empty list or an unsigned index would turn all into floats.
    index = np.concatenate(indices, axis=1, dtype=np.int64, casting="unsafe")
    if ((index < 0) | (index >= sizes[sample])).any():
        raise ValueError("an edge leads out of its graph")
    scores = [as_array(graph.score) for graph in graphs if graph.score is not None]
    if any(len(graph.score) != graph.num_nodes for graph in graphs if graph.score is not None):
        raise ValueError("scores must be one number per node")
    score = np.concatenate(scores) if len(scores) == len(graphs) else None
    return Edges(index + ptr[sample], int(ptr[-1]), score), ptr


def check_apart(index: Any, ptr: NDArray[np.integer]) -> None:
    """ValueError if an edge leads from one sample to another.

    Arguments:
        index: the edges (2, E).
        ptr: sample b owns the nodes ptr[b]:ptr[b + 1] (B + 1,).
    """
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
        raise ValueError(f"{name} must be (2, edges), got an array of shape {index.shape}")
    if index.size and not np.issubdtype(index.dtype, np.integer):
        raise ValueError(f"{name} must be integers, got {index.dtype} ({index[0, 0]} at edge 0)")
    wrong = (index < 0) | (index >= num_nodes)
    if wrong.any():
        row, edge = (int(i) for i in np.argwhere(wrong)[0])
        end = ("source", "target")[row]
        raise ValueError(
            f"{name} has node {index[row, edge]} as the {end} of edge {edge}, but there are "
            f"{num_nodes} nodes, numbered from 0"
        )
    return index.astype(np.int64, copy=False)


def _checked_score(score: Any, num_nodes: int) -> NDArray[Any]:
    score = as_array(score)
    if score.shape != (num_nodes,):
        raise ValueError(f"score must be one number per node, ({num_nodes},), got {score.shape}")
    if score.dtype.kind not in "biuf":
        raise ValueError(f"score must be numbers, got {score.dtype} ({score[0]} at node 0)")
    if np.isnan(score).any():
        raise ValueError(f"score is nan at node {int(np.argmax(np.isnan(score)))}")
    return score
