"""Graphs in tables: nodes, edges and, if there are several graphs, one row for each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from structnet.plugins.shapes.graphs import ENDS
from structnet.plugins.shapes.shape import Place, Record, Shape, edges_between, id_of, numbered
from structnet.plugins.tables.reading import read_table
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.values import names_of

NAMES = ("nodes", "edges", "graphs")
SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl")
# The column that says to which graph a row belongs.
GRAPH = "graph"


@dataclass
class _Graph:
    """The rows of a graph."""

    nodes: list[Record] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    links: list[Record] = field(default_factory=list)
    link_lines: list[int] = field(default_factory=list)


def find_tables(folder: Path) -> dict[str, Path] | None:
    """The tables of a folder by what they are; None if it has no table of edges."""
    found: dict[str, Path] = {}
    for name in NAMES:
        files = (folder / f"{name}{end}{gz}" for end in SUFFIXES for gz in ("", ".gz"))
        if (file := next(filter(Path.is_file, files), None)) is not None:
            found[name] = file
    if "edges" not in found:
        return None
    if "nodes" not in found:
        raise ValueError(
            f"{folder} has {found['edges'].name} and no nodes.csv: nodes.csv has a row per node, "
            "with a column id, and graph where there are several graphs"
        )
    return found


def read_graphs(folder: Path) -> Iterator[Shape]:
    """The graphs of nodes.csv and edges.csv, and of graphs.csv if it is there.

    nodes has the column id, and edges have source and target; both have the column graph where
    there are several graphs, which graphs has a row for. In edges it may be left out if no two
    graphs have a node of the same id. ValueError names file, line, column and value.
    """
    files = find_tables(folder)
    assert files is not None
    tables = {name: read_table(path) for name, path in files.items()}
    nodes, edges = tables["nodes"], tables["edges"]
    _need(nodes, ["id"])
    _need(edges, ENDS)
    several = GRAPH in nodes.columns
    graphs: dict[str, _Graph] = {}
    home: dict[str, str] = {}
    for line, row in _rows(nodes):
        place = Place(nodes.path, line)
        name = id_of(row[GRAPH], place, GRAPH) if several else ""
        one = graphs.setdefault(name, _Graph())
        one.nodes.append(row)
        one.lines.append(line)
        home[id_of(row["id"], place, "id")] = name
    by_node = several and GRAPH not in edges.columns
    if by_node and len(home) < sum(len(one.nodes) for one in graphs.values()):
        raise ValueError(
            f"{edges.path} has no column {GRAPH!r}, and nodes of several graphs have the same id: "
            "add the column, or give every node an id of its own"
        )
    for line, row in _rows(edges):
        one = graphs[_graph_of(row, several, home if by_node else None, graphs, edges.path, line)]
        one.links.append(row)
        one.link_lines.append(line)
    own = _own(tables.get("graphs"), graphs)
    for name, one in graphs.items():
        yield _shape(name, one, own.get(name, {}), Path(nodes.path), Path(edges.path))


def _graph_of(row: Record, several: bool, home: Mapping[str, str] | None,
              graphs: Mapping[str, Any], path: Any, line: int) -> str:  # fmt: skip
    """The graph of an edge."""
    place = Place(path, line)
    if not several:
        return next(iter(graphs), "")
    if home is not None:
        source = id_of(row["source"], place, "source")
        if source not in home:
            raise place.refuse("source", row["source"], f"the id of one of {len(home)} nodes")
        return home[source]
    name = id_of(row[GRAPH], place, GRAPH)
    if name not in graphs:
        raise place.refuse(GRAPH, row[GRAPH], f"one of the {len(graphs)} graphs that have nodes")
    return name


def _shape(name: str, one: _Graph, own: Record, nodes: Path, edges: Path) -> Shape:
    place = Place(nodes, one.lines[0])
    ids = numbered([row["id"] for row in one.nodes], place, lines=one.lines)
    pairs = [(row["source"], row["target"]) for row in one.links]
    return Shape(
        place,
        edges_between(pairs, ids, Place(edges, 0), one.link_lines),
        [_without(row, ("id", GRAPH)) for row in one.nodes],
        [_without(row, (*ENDS, GRAPH)) for row in one.links],
        {**own, **({"id": name} if name else {})},
        list(ids),
        one.lines,
    )


def _own(table: Table | None, graphs: Mapping[str, Any]) -> dict[str, Record]:
    """The row of every graph."""
    if table is None:
        return {}
    key = GRAPH if GRAPH in table.columns else "id"
    _need(table, [key])
    found: dict[str, Record] = {}
    for line, row in _rows(table):
        place = Place(table.path, line)
        name = id_of(row[key], place, key)
        if name in found:
            raise place.refuse(key, row[key], "a graph that has no row yet")
        if name not in graphs:
            raise place.refuse(key, row[key], "the id of a graph that has nodes")
        found[name] = _without(row, (key,))
    if missing := [name for name in graphs if name not in found]:
        raise ValueError(f"{table.path} has no row for graph {missing[0]!r}: add it")
    return found


def _rows(table: Table) -> Iterator[tuple[int, Record]]:
    """The line and the record of every row, None where a value is missing."""
    names = list(table.columns)
    columns = [
        # NaN is not itself; times are read again with those of all files.
        names_of(values) if values.dtype.kind == "M"
        else [None if one != one else one for one in values.tolist()]
        for values in table.columns.values()
    ]  # fmt: skip
    for line, *values in zip(table.lines.tolist(), *columns, strict=True):
        yield line, dict(zip(names, values, strict=True))


def _need(table: Table, names: Any) -> None:
    if missing := [name for name in names if name not in table.columns]:
        raise ValueError(
            f"{table.path} has no column {missing[0]!r}, it has {list(table.columns)}: rename one"
        )


def _without(row: Record, names: Any) -> Record:
    return {key: value for key, value in row.items() if key not in names}
