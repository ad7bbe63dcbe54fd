"""Graphs of JSON objects, as records.

An object in JSON is one graph, in one of two forms:

    {"nodes": [{"id": "a", "kind": "C"}, {"id": "b", "kind": "O"}],
     "edges": [{"source": "a", "target": "b", "bond": "double"}], "label": "active"}
    {"num_nodes": 2, "edge_index": [[0], [1]], "node_feat": [[0.5], [1.5]], "edge_attr": [[1]],
     "y": [1]}

In the first an edge may also be a pair, `["a", "b"]`; nodes without ids are numbered from 0 on, and
where they have no columns `num_nodes` stands for them. `links` is `edges` by another name.
`"directed": false` says that an edge has no direction. Further keys are those of the whole graph.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from structnet.plugins.shapes.json_lines import read_objects
from structnet.plugins.shapes.shape import (
    Ints,
    Place,
    Record,
    Shape,
    edges_between,
    flattened,
    numbered,
)

ENDS = ("source", "target")
EDGES = ("edges", "links")
# Matrices of the second form, and what their columns are called.
OF_NODES, OF_EDGES = ("node_feat", "x"), ("edge_attr", "edge_feat")
# What networkx and others write beside nodes and edges, and is of no graph.
NOTES = ("directed", "multigraph", "graph", "num_nodes")
# The most nodes that a number may stand for.
MOST_NODES = 10**8


def read_graphs(path: Path) -> Iterator[Shape]:
    """The graphs of a file of JSON objects; ValueError names file, line, key and value."""
    return (graph_of(one, place) for place, one in read_objects(path))


def graph_of(record: Mapping[str, Any], place: Place) -> Shape:
    """The graph of an object in JSON; ValueError names the place, the key and the value."""
    directed = record.get("directed")
    if not isinstance(directed, bool | None):
        raise place.refuse("directed", directed, "true or false")
    if "edge_index" in record:
        return _of_matrices(record, directed, place)
    key = next((key for key in EDGES if key in record), None)
    if key is None or ("nodes" not in record and "num_nodes" not in record):
        raise place.mistake(
            f"keys {list(record)[:6]}, expected nodes (or num_nodes) and edges: "
            '{"nodes": [{...}, ...], "edges": [[0, 1], ...], "label": ...}'
        )
    given = _records(record, "nodes", place) if "nodes" in record else [{}] * _count(record, place)
    has_ids = bool(given) and "id" in given[0]
    for at, one in enumerate(given):
        if ("id" in one) != has_ids:
            raise place.mistake(f"node {at}: some nodes have an id and others none")
    ids = numbered([one["id"] for one in given], place) if has_ids else None
    if not given:
        raise place.mistake("a graph without nodes: leave it out")
    links = [_link(one, edge, place) for edge, one in enumerate(_listed(record, key, place))]
    edges = edges_between(
        [(one["source"], one["target"]) for one in links],
        len(given) if ids is None else ids,
        place,
    )
    return Shape(
        place,
        edges,
        [flattened(one, place, ["id"] if has_ids else ()) for one in given],
        [flattened(one, place, ENDS) for one in links],
        _own(record, ("nodes", key), place),
        None if ids is None else list(ids),
        directed=directed,
    )


def _own(record: Mapping[str, Any], others: Sequence[str], place: Place) -> Record:
    """What is of the whole graph; networkx has it in an object `graph`."""
    inner = record.get("graph")
    further = inner if isinstance(inner, Mapping) else {}
    notes = [key for key in NOTES if key != "graph" or isinstance(inner, Mapping | None)]
    own = {**further, **{k: v for k, v in record.items() if k not in (*others, *notes)}}
    return flattened({k: _single(v) for k, v in own.items()}, place)


def _single(value: Any) -> Any:
    """A list of one value as the value, such as the y of a torch_geometric Data."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _listed(record: Mapping[str, Any], key: str, place: Place) -> list[Any]:
    if not isinstance(record[key], list):
        raise place.refuse(key, record[key], "a list")
    return record[key]


def _records(record: Mapping[str, Any], key: str, place: Place) -> list[Mapping[str, Any]]:
    for at, one in enumerate(found := _listed(record, key, place)):
        if not isinstance(one, Mapping):
            raise place.refuse(f"entry {at} of {key}", one, 'an object such as {"id": "a"}')
    return found


def _link(one: Any, edge: int, place: Place) -> Mapping[str, Any]:
    if isinstance(one, list) and len(one) == 2:
        return dict(zip(ENDS, one, strict=True))
    if isinstance(one, Mapping) and all(end in one for end in ENDS):
        return one
    raise place.refuse(f"edge {edge}", one, 'a pair [0, 1], or {"source": 0, "target": 1, ...}')


def _count(record: Mapping[str, Any], place: Place) -> int:
    count = _single(record.get("num_nodes"))
    if type(count) is not int or not 0 < count <= MOST_NODES:
        raise place.refuse("num_nodes", record.get("num_nodes"), "a whole number, at least 1")
    return count


def _of_matrices(record: Mapping[str, Any], directed: bool | None, place: Place) -> Shape:
    """The graph of an object with a list of sources and one of targets, and matrices."""
    index = record["edge_index"]
    if not (isinstance(index, list) and len(index) == 2 and all(isinstance(i, list) for i in index)
            and len(index[0]) == len(index[1])):  # fmt: skip
        raise place.refuse("edge_index", index, "two lists of the same length: sources and targets")
    of_nodes = next((key for key in OF_NODES if record.get(key) is not None), None)
    of_edges = next((key for key in OF_EDGES if record.get(key) is not None), None)
    if of_nodes is None:
        nodes: list[Record] = [{}] * _count(record, place)
    else:
        nodes = _rows(record[of_nodes], of_nodes, place)
    edges = edges_between(list(zip(*index, strict=True)), len(nodes), place)
    links = [{}] * len(index[0]) if of_edges is None else _rows(record[of_edges], of_edges, place)
    if len(links) != len(index[0]):
        raise place.mistake(f"{of_edges} has {len(links)} rows for {len(index[0])} edges")
    own = _own(record, ("edge_index", *OF_NODES, *OF_EDGES), place)
    return Shape(place, edges, nodes, links, own, directed=directed)


def _rows(matrix: Any, key: str, place: Place) -> list[Record]:
    """A record per row of a matrix, with columns such as x.0."""
    if not isinstance(matrix, list) or not matrix:
        raise place.refuse(key, matrix, "a list of rows, each a list of numbers")
    width = len(matrix[0]) if isinstance(matrix[0], list) else None
    for at, row in enumerate(matrix):
        if (len(row) if isinstance(row, list) else None) != width:
            raise place.refuse(f"row {at} of {key}", row, f"as many numbers as row 0, {width or 1}")
    return [flattened({key: row}, place) for row in matrix]


def both_ways(edges: Ints) -> tuple[Ints, Ints]:
    """Edges (2, F) with the reverse of each, and the numbers (F,) that they had.

    Those from a node to itself are left out. An edge whose reverse is there, or that is there
    twice, is kept once each way, as the first.
    """
    number = np.flatnonzero(edges[0] != edges[1])
    there = edges[:, number]
    every = np.concatenate([there, there[::-1]], axis=1)
    # A number for each, as pairs are sorted far more slowly.
    _, first = np.unique(every[0] * (edges.max(initial=0) + 1) + every[1], return_index=True)
    first.sort()
    return every[:, first], np.concatenate([number, number])[first]
