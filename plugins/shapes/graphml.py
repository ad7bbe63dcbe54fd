"""Graphs in GraphML, read by the standard library's expat: no entities, nothing from elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

import structnet as sn
from structnet.plugins.shapes.shape import Place, Shape, edges_between, numbered

BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
NUMBERS = ("int", "long", "float", "double")
# What is of no use in a net, or can't be read as one graph.
REFUSED = {"hyperedge": "a hyperedge", "port": "a port of a node"}


def read_graphml(path: Path) -> Iterator[Shape]:
    """The graphs of a file.

    ValueError, which names file and line, for what is not XML or has entities, for an edge to no
    node, and for values that are not of their key's type; others are those of `sn.read_bytes`.
    """
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    reader.parser = parser
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = parser.StartDoctypeDeclHandler = reader.refuse_entities
    try:
        parser.Parse(sn.read_bytes(path), True)
    except expat.ExpatError as error:
        raise Place(path, error.lineno).mistake(
            f"not XML ({expat.ErrorString(error.code)}), expected GraphML"
        ) from error
    if not reader.found:
        raise ValueError(f"{path} has no <graph> of GraphML: nothing to read")
    yield from reader.found


class _Reader:
    """What has been read of a file."""

    parser: Any

    def __init__(self, path: Path):
        self.path = path
        self.found: list[Shape] = []
        # By id of a key: what it is for, its name, its type and its default.
        self.keys: dict[str, list[Any]] = {}
        # The elements that are open, of those that have data: graph, nodes and edges.
        self.inner: list[tuple[str, dict[str, Any]]] = []
        self.words = ""
        self.key: str | None = None
        self.graph: dict[str, Any] = {}

    @property
    def place(self) -> Place:
        return Place(self.path, self.parser.CurrentLineNumber)

    def refuse_entities(self, *given: Any) -> None:
        raise self.place.mistake(
            f"a document type or an entity, {str(given[0])[:40]!r}, which is not read: files of "
            "others could have gigabytes unfold from them; remove it"
        )

    def text(self, words: str) -> None:
        if self.key is not None:
            self.words += words

    def start(self, name: str, given: dict[str, str]) -> None:
        name = name.rpartition(":")[2]
        if name in REFUSED:
            raise self.place.mistake(f"{REFUSED[name]}, which no topology has: remove it")
        if name == "key":
            for_ = given.get("for", "all")
            kind = given.get("attr.type", "string")
            self.keys[given.get("id", "")] = [for_, given.get("attr.name", given.get("id")), kind]
            self.key = given.get("id", "")
        elif name in ("data", "default"):
            self.words = ""
            self.key = given.get("key", self.key)
        elif name == "graph":
            if self.inner:
                raise self.place.mistake("a graph within a graph, which no topology has: remove it")
            own = {} if "id" not in given else {"id": given["id"]}
            directed = given.get("edgedefault", "directed") == "directed"
            self.graph = {
                name: [] for name in ("nodes", "ids", "lines", "links", "pairs", "of_edges")
            }
            self.graph |= {"line": self.place.line, "directed": directed}
            self.inner.append(("graph", own))
        elif name in ("node", "edge"):
            self._begin(name, given)

    def end(self, name: str) -> None:
        name = name.rpartition(":")[2]
        if name == "key":
            self.key = None
        elif name == "default" and self.key is not None:
            self.keys[self.key].append(self._value(self.keys[self.key]))
        elif name == "data" and self.key is not None:
            self._keep()
        elif name in ("node", "edge", "graph") and self.inner:
            kind, record = self.inner.pop()
            for key in self.keys.values():
                if key[0] in (kind, "all") and len(key) > 3:
                    record.setdefault(key[1], key[3])
            if kind == "graph":
                self.found.append(self._shape(record))

    def _begin(self, name: str, given: dict[str, str]) -> None:
        if not self.inner:
            raise self.place.mistake(f"a {name} outside of a graph")
        record: dict[str, Any] = {}
        if name == "node":
            self.graph["ids"].append(given.get("id"))
            self.graph["nodes"].append(record)
            self.graph["lines"].append(self.place.line)
        else:
            self.graph["pairs"].append((given.get("source"), given.get("target")))
            self.graph["links"].append(record)
            self.graph["of_edges"].append(self.place.line)
            own = given.get("directed")
            if own is not None and BOOLEANS.get(own) != self.graph["directed"]:
                raise self.place.mistake(
                    f"directed={own!r} of an edge, other edges of the graph are "
                    f"{'' if self.graph['directed'] else 'un'}directed: make them all the same"
                )
        self.inner.append((name, record))

    def _keep(self) -> None:
        """Keep a value of the innermost graph, node or edge."""
        assert self.key is not None
        if self.key not in self.keys:
            raise self.place.mistake(f"data of key {self.key!r}, which the file does not declare")
        if self.inner:
            self.inner[-1][1][self.keys[self.key][1]] = self._value(self.keys[self.key])
        self.key = None

    def _value(self, key: list[Any]) -> Any:
        words, kind = self.words.strip(), key[2]
        try:
            if kind in NUMBERS:
                return (int if kind in NUMBERS[:2] else float)(words)
            return BOOLEANS[words.lower()] if kind == "boolean" else self.words
        except (ValueError, KeyError):
            raise self.place.refuse(f"data of {key[1]!r}", words, f"a value of {kind}") from None

    def _shape(self, own: dict[str, Any]) -> Shape:
        graph = self.graph
        place = Place(self.path, graph["line"])
        if not graph["nodes"]:
            raise place.mistake("a graph without nodes: leave it out")
        ids = numbered(graph["ids"], place)
        edges = edges_between(graph["pairs"], ids, place, graph["of_edges"])
        return Shape(place, edges, graph["nodes"], graph["links"], own, list(ids), graph["lines"],
                     directed=graph["directed"])  # fmt: skip
