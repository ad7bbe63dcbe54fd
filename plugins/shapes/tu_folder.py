"""Folders of text files as those of TUDataset, without torch_geometric.

https://chrsmrrs.github.io/datasets/docs/format/: NAME_A.txt has a line `source, target` per edge,
nodes of all graphs numbered from 1 on; NAME_graph_indicator.txt has every node's graph; further
files have a row per graph, node or edge.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.files.lines import Line
from structnet.plugins.shapes.json_lines import text_lines
from structnet.plugins.shapes.shape import Place, Record, Shape

EDGES, GRAPHS = "_A.txt", "_graph_indicator.txt"
# What the columns of further files are called, and of what they are: graphs, nodes or edges.
FURTHER = {
    "graph_labels": ("label", "graph"), "graph_attributes": ("attribute", "graph"),
    "node_labels": ("node_label", "node"), "node_attributes": ("attribute", "node"),
    "edge_labels": ("edge_label", "edge"), "edge_attributes": ("attribute", "edge"),
}  # fmt: skip
# Labels are names of classes, though they are written as numbers.
OF_CLASSES = "_labels"


def find_name(folder: Path) -> str | None:
    """The name of the data set in a folder, of which files begin with it; None if there is none.

    ValueError for several.
    """
    for place in (folder, folder / "raw"):
        names = sorted(path.name.removesuffix(GRAPHS) for path in place.glob(f"*{GRAPHS}"))
        if len(names) > 1:
            raise ValueError(f"{place} has the data sets {names}: give each a folder of its own")
        if names:
            return str(place / names[0])
    return None


def read_tu(start: str) -> Iterator[Shape]:
    """The graphs of the files whose paths begin so; ValueError names file, line and value."""
    indicator = Path(f"{start}{GRAPHS}")
    graph = _numbers(indicator, 1)[:, 0]
    if not graph.size:
        raise ValueError(f"{indicator} is empty, expected the graph of every node")
    steps = np.diff(graph, prepend=0)
    wrong = (steps < 0) | (steps > 1)
    wrong[0] = graph[0] != 1
    if wrong.any():
        row = int(np.argmax(wrong))
        last = int(graph[row - 1]) if row else 0
        expected = (
            f"{last} or {last + 1}: graphs are numbered from 1 on, without gaps" if row else "1"
        )
        raise Place(indicator, row + 1).refuse("the graph", int(graph[row]), expected)
    path = Path(f"{start}{EDGES}")
    edges = _numbers(path, 2) - 1
    _check(path, edges, graph)
    rows = {"graph": int(graph[-1]), "node": len(graph), "edge": len(edges)}
    records = {kind: _records(start, kind, count) for kind, count in rows.items()}
    by_graph = np.argsort(graph[edges[:, 0]], kind="stable")
    cuts = np.searchsorted(graph[edges[by_graph, 0]], np.arange(1, rows["graph"] + 2))
    first = np.searchsorted(graph, np.arange(1, rows["graph"] + 2))
    for number in range(rows["graph"]):
        low, high = first[number : number + 2].tolist()
        mine = by_graph[cuts[number] : cuts[number + 1]]
        place = Place(indicator, low + 1)
        yield Shape(
            place,
            (edges[mine] - low).T,
            records["node"][low:high],
            [records["edge"][edge] for edge in mine.tolist()],
            {"id": str(number + 1), **records["graph"][number]},
        )


def _check(path: Path, edges: NDArray[np.int64], graph: NDArray[np.int64]) -> None:
    """ValueError for an edge to no node, and for one from one graph to another."""
    wrong = (edges < 0) | (edges >= len(graph))
    if wrong.any():
        row, end = np.argwhere(wrong)[0].tolist()
        place = Place(path, row + 1)
        raise place.refuse("a node", int(edges[row, end]) + 1, f"one from 1 to {len(graph)}")
    between = graph[edges[:, 0]] != graph[edges[:, 1]]
    if between.any():
        row = int(np.argmax(between))
        ends = graph[edges[row]].tolist()
        raise Place(path, row + 1).mistake(f"an edge from graph {ends[0]} to graph {ends[1]}")


def _numbers(path: Path, count: int) -> NDArray[np.int64]:
    """The whole numbers (rows, count) of a file, `count` per line with commas between them."""
    found: list[int] = []
    for number, text in enumerate(text_lines(path), start=1):
        words = text.split(",")
        if len(words) != count or not all(one.strip().isdecimal() and len(one) < 18
                                          for one in words):  # fmt: skip
            if not text.strip():
                continue
            raise Line(path, number, text).refuse(text, f"{count} whole numbers, from 1 on")
        found += map(int, words)
    return np.array(found, np.int64).reshape(-1, count)


def _records(start: str, kind: str, count: int) -> list[Record]:
    """A record per graph, node or edge, of all files that have some."""
    records: list[dict[str, str | float]] = [{} for _ in range(count)]
    for name, (column, of) in FURTHER.items():
        path = Path(f"{start}_{name}.txt")
        if of == kind and path.is_file():
            lines = [line for line in text_lines(path) if line.strip()]
            if len(lines) != count:
                raise ValueError(f"{path} has {len(lines)} rows for {count} {kind}s")
            for number, (record, text) in enumerate(zip(records, lines, strict=True), start=1):
                words = [word.strip() for word in text.split(",")]
                for at, word in enumerate(words):
                    key = column if len(words) == 1 else f"{column}.{at}"
                    is_class = name.endswith(OF_CLASSES)
                    record[key] = word if is_class else _number(word, Line(path, number, text))
    return list(records)


def _number(word: str, line: Line) -> float:
    try:
        return float(word)
    except ValueError:
        raise line.refuse(word, "a number") from None
