"""Trees and graphs as all readers give them, and how errors name their places."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.files.lines import shown

Ints = NDArray[np.int64]
Record = Mapping[str, Any]
# What a value of a record may be.
PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Place:
    """A line of a file, from 1 on; `what` is what is counted where that is not lines."""

    path: Any
    line: int
    what: str = "line"

    def mistake(self, what: str) -> ValueError:
        return ValueError(f"{self.path}, {self.what} {self.line}: {what}")

    def refuse(self, key: str, value: object, expected: str) -> ValueError:
        """A ValueError that names file, line, key, value and what was expected."""
        return self.mistake(f"{key} is {described(value)}, expected {expected}")


@dataclass(frozen=True)
class Shape:
    """A tree or a graph of n nodes and E edges, from a file.

    Arguments:
        place: where it begins.
        edges: (2, E); those of a tree lead from child to parent, children in the order of edges.
        nodes: a record per node: plain values by the names of columns.
        links: a record per edge.
        own: the record of the tree or graph itself.
        names: what nodes are called, where they are.
        lines: the line of every node, where that is not the place's.
        rooted: whether the first node's record may have what is of the whole tree, as that of the
            outermost object of a nested tree.
        directed: of a graph, whether the file says that an edge has a direction; None if it doesn't
            say.
    """

    place: Place
    edges: Ints
    nodes: Sequence[Record]
    links: Sequence[Record]
    own: Record
    names: Sequence[str] | None = None
    lines: Sequence[int] | None = None
    rooted: bool = False
    directed: bool | None = None

    def __len__(self) -> int:
        return len(self.nodes)


def described(value: object) -> str:
    """A value as messages show it; objects and lists, which may be deep, by their kind."""
    if isinstance(value, Mapping):
        return f"an object with the keys {shown(list(value)[:5])}"
    if isinstance(value, list):
        return f"a list of {len(value)} values"
    return shown(value)


def flattened(record: Record, place: Place, left: Sequence[str] = ()) -> Record:
    """A record with plain values alone; keys in `left` are left out.

    A list of numbers becomes columns such as x.0 and x.1, an object those of its keys, a list of
    texts one text. ValueError, which names the place and the key, for anything else.
    """
    if not left and all(isinstance(value, PLAIN) for value in record.values()):
        return record
    found: dict[str, Any] = {}
    for key, value in record.items():
        if key in left:
            continue
        if isinstance(value, PLAIN):
            found[key] = value
        elif isinstance(value, list) and value and all(isinstance(one, str) for one in value):
            found[key] = " ".join(value)
        elif not isinstance(value, list | Mapping):
            raise place.refuse(key, value, "a text, a number, true, false or null")
        else:
            parts = value if isinstance(value, Mapping) else dict(enumerate(value))
            for name, part in parts.items():
                if not isinstance(part, PLAIN) or (isinstance(part, str) and parts is not value):
                    raise place.refuse(
                        f"{key}.{name}", part, "a text, a number, true, false or null"
                    )
                found[f"{key}.{name}"] = part
    return found


def numbered(
    ids: Sequence[Any], place: Place, key: str = "id", lines: Sequence[int] | None = None
) -> dict[str, int]:
    """The number of every node by its id; ValueError for one that is there twice, or is none."""
    number: dict[str, int] = {}
    for at, value in enumerate(ids):
        here = place if lines is None else Place(place.path, lines[at], place.what)
        name = id_of(value, here, key)
        if name in number:
            raise here.mistake(
                f"nodes {number[name]} and {at} have the same {key} {shown(name)}: give each its "
                "own"
            )
        number[name] = at
    return number


def id_of(value: Any, place: Place, key: str) -> str:
    """An id as text, so that 1, 1.0 and "1" are the same."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise place.refuse(key, value, "the id of a node, a text or a whole number")
    return str(value)


def edges_between(pairs: Sequence[tuple[Any, Any]], number: Mapping[str, int] | int, place: Place,
                  lines: Sequence[int] | None = None) -> Ints:  # fmt: skip
    """Edges (2, E) from pairs of ids, or of numbers of nodes where `number` is how many there are.

    ValueError, which names the edge, for an end that is no node.
    """
    if isinstance(number, int) and all(type(a) is type(b) is int for a, b in pairs):
        index = np.array(pairs, object).reshape(-1, 2).T
        if all(0 <= end < number for row in index for end in row):
            return index.astype(np.int64)
    known = {str(at): at for at in range(number)} if isinstance(number, int) else number
    found = np.empty((2, len(pairs)), np.int64)
    for edge, pair in enumerate(pairs):
        here = place if lines is None else Place(place.path, lines[edge], place.what)
        for row, (end, value) in enumerate(zip(("source", "target"), pair, strict=True)):
            key = f"the {end} of edge {edge}"
            at = known.get(id_of(value, here, key))
            if at is None:
                nodes = (
                    f"a node's number from 0 to {number - 1}, as nodes have no id"
                    if isinstance(number, int)
                    else f"the id of one of its {len(known)} nodes"
                )
                is_whole = isinstance(value, float) and value.is_integer()
                raise here.refuse(key, int(value) if is_whole else value, nodes)
            found[row, edge] = at
    return found
