"""Trees and graphs in memory: Data of torch_geometric, networkx, nltk, and objects."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from structnet.plugins.shapes.graphs import graph_of
from structnet.plugins.shapes.shape import Place, Record, Shape, flattened
from structnet.plugins.shapes.trees import check_parents, tree_of, tree_of_nltk

# How errors name what is no file.
MEMORY = "task.data"


def shapes_of(data: Iterable[Any], trees: bool) -> Iterator[Shape]:
    """The shapes of objects in memory, numbered from 1 on.

    Each is an object as of JSON, a `Data` of torch_geometric or a networkx graph, whose edges lead
    from child to parent in a tree, or an nltk.Tree. ValueError for anything else.
    """
    every = list(data)
    # A graph may have as many numbers to predict as nodes: they are of nodes if all have.
    of_nodes = all(_has_y_per_node(one) for one in every)
    for number, one in enumerate(every, start=1):
        yield shape_of(one, Place(MEMORY, number, "entry"), trees, of_nodes)


def shape_of(one: Any, place: Place, trees: bool, of_nodes: bool = True) -> Shape:
    """The shape of an object; ValueError names its place.

    Arguments:
        one: the object.
        place: where it stands.
        trees: whether it has to be a tree.
        of_nodes: whether the y of a `Data` may be of its nodes.
    """
    if isinstance(one, Mapping):
        return tree_of(one, place) if trees else graph_of(one, place)
    if trees and hasattr(one, "subtrees"):
        return tree_of_nltk(one, place)
    if getattr(one, "edge_index", None) is not None:
        shape = _of_data(one, place, of_nodes)
    elif callable(getattr(one, "number_of_nodes", None)):
        shape = _of_networkx(one, place)
    else:
        raise place.refuse(
            "the entry", type(one).__name__,
            "an object as of JSON, a torch_geometric Data, a networkx graph or an nltk.Tree",
        )  # fmt: skip
    if not len(shape):
        raise place.mistake(f"a {'tree' if trees else 'graph'} without nodes: leave it out")
    return as_tree(shape) if trees else shape


def as_tree(shape: Shape) -> Shape:
    """A shape whose edges lead from child to parent; ValueError for one that is no tree."""
    if shape.directed is False:
        raise shape.place.mistake(
            "its edges have no direction, those of a tree lead from child to parent: take a "
            "networkx.DiGraph"
        )
    parent = np.full(len(shape), -1)
    for child, above in shape.edges.T.tolist():
        if parent[child] >= 0:
            raise shape.place.mistake(
                f"node {child} has the parents {parent[child]} and {above}, in a tree it has one: "
                "edges lead from child to parent"
            )
        parent[child] = above
    check_parents(parent.tolist(), shape.place)
    return shape


def _has_y_per_node(one: Any) -> bool:
    """Whether the y of a `Data` has a row for every node; True for what has no y."""
    y = getattr(one, "y", None)
    return y is None or getattr(one, "edge_index", None) is None or len(_rows(y)) == one.num_nodes


def _of_data(data: Any, place: Place, of_nodes: bool) -> Shape:
    """A `Data`: x, edge_attr and y, whose rows are those of nodes, edges or the graph."""
    edges = np.asarray(data.edge_index).reshape(2, -1).astype(np.int64)
    count = int(data.num_nodes)
    if edges.size and not 0 <= edges.min() <= edges.max() < count:
        raise place.mistake(f"edge_index has nodes outside of 0 to {count - 1}")
    nodes: list[dict[str, Any]] = [{} for _ in range(count)]
    links: list[dict[str, Any]] = [{} for _ in range(edges.shape[1])]
    own: dict[str, Any] = {}
    for key, value in data.to_dict().items():
        if key in ("edge_index", "num_nodes", "ptr", "batch") or value is None:
            continue
        rows = _rows(value)
        of_node = of_nodes if key == "y" else data.is_node_attr(key)
        if key != "y" and data.is_edge_attr(key):
            _put(links, key, rows, place)
        elif of_node and len(rows) == count > 1:
            _put(nodes, key, rows, place)
        else:
            _put([own], key, rows[:1] if len(rows) == 1 else [rows.reshape(-1)], place)
    return Shape(place, edges, nodes, links, own)


def _rows(value: Any) -> Any:
    if hasattr(value, "to_dense") and getattr(value, "is_sparse", False):
        value = value.to_dense()
    return np.atleast_1d(np.asarray(value))


def _put(records: list[dict[str, Any]], key: str, rows: Any, place: Place) -> None:
    if len(rows) != len(records):
        raise place.mistake(f"{key} has {len(rows)} rows for {len(records)}")
    for record, row in zip(records, rows, strict=True):
        values = np.asarray(row).reshape(-1).tolist()
        if np.ndim(row) == 0 or len(values) == 1:
            record[key] = values[0]
        else:
            record |= {f"{key}.{at}": one for at, one in enumerate(values)}


def _of_networkx(graph: Any, place: Place) -> Shape:
    number = {node: at for at, node in enumerate(graph)}
    pairs = [(number[a], number[b]) for a, b in graph.edges()]
    nodes: list[Record] = [_plain(record, place) for _, record in graph.nodes(data=True)]
    links: list[Record] = [_plain(record, place) for _, _, record in graph.edges(data=True)]
    return Shape(
        place,
        np.array(pairs, np.int64).reshape(-1, 2).T,
        nodes,
        links,
        _plain(graph.graph, place),
        [str(node) for node in graph],
        directed=graph.is_directed(),
    )


def _plain(record: Mapping[str, Any], place: Place) -> Record:
    """A record with plain values, those of numpy and torch too."""
    plain: dict[str, Any] = {}
    for key, value in record.items():
        found = value.tolist() if hasattr(value, "tolist") else value
        plain[str(key)] = list(found) if isinstance(found, tuple) else found
    return flattened(plain, place)
