"""Trees and graphs of more data than memory holds: read part by part, several times."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.shapes.columns import (
    Columns,
    below_roots,
    columns_of,
    parted,
    root_of,
    root_rows,
    take_from_roots,
)
from structnet.plugins.shapes.encoding import Encoder
from structnet.plugins.shapes.finding import Reader, find
from structnet.plugins.shapes.json_lines import LINES
from structnet.plugins.shapes.roles import Roles
from structnet.plugins.shapes.shape import Shape
from structnet.plugins.shapes.slots import fullest
from structnet.plugins.shapes.splits import splits_of
from structnet.plugins.tables.lazy import write_store
from structnet.plugins.tables.table import Table, join_tables
from structnet.plugins.tables.targets import TARGETS

# A part has as many shapes as have this many nodes and edges.
PART = 20_000
# What was learned of columns is learned from training shapes of this many nodes at most, the first.
MOST_NODES = 200_000
# By what it is of, the names of columns in the order in which files have them.
Names = Mapping[str, dict[str, None]]


class Parts:
    """Trees or graphs in parts, over and over, each with the split that its file is of, or all.

    Arguments:
        path: of all files, for messages.
        files: of every file its split, or all, and what reads it.
        trees: whether they are trees, for which they are read once to know the columns of nodes.
    """

    def __init__(self, path: Path, files: Sequence[tuple[str, Reader]], trees: bool):
        self.path, self.files, self.trees = path, files, trees
        self.inner = below_roots(one for _, one in self._shapes()) if trees else None

    @classmethod
    def of(cls, path: Path, trees: bool) -> "Parts":
        """Those of a path; ValueError for one file, or one folder of tables, that is read whole."""
        found = find(path, trees)
        if len(found) == 1 and not next(iter(found)).lower().removesuffix(".gz").endswith(LINES):
            raise ValueError(
                f"task.lazy reads JSON lines in parts, and a folder file by file, got {path}, "
                "which is read as a whole: write it as .jsonl or split it into files, or leave "
                "task.lazy out"
            )
        return cls(path, splits_of("all", found), trees)

    def __iter__(self) -> Iterator[tuple[list[str], list[Shape]]]:
        given: list[str] = []
        shapes: list[Shape] = []
        size = 0
        for split, shape in self._shapes():
            given.append(split)
            shapes.append(shape)
            size += len(shape) + shape.edges.shape[1]
            if size >= PART:
                yield given, parted(shapes, self.inner)
                given, shapes, size = [], [], 0
        if shapes:
            yield given, parted(shapes, self.inner)

    def _shapes(self) -> Iterator[tuple[str, Shape]]:
        for split, read in self.files:
            for shape in read():
                yield split, shape


@dataclass(frozen=True, eq=False)
class Heads:
    """What is known of all trees or graphs without their nodes.

    Arguments:
        given: the split that each one's file is of, or all.
        columns: their own columns, and of nodes those of the roots alone; columns for which there
            is no use are there without their values.
        names: of all columns.
        fullest: (B, 2), the most children that a node has, and which node.
    """

    given: list[str]
    columns: Columns
    names: Names
    fullest: NDArray[np.int32]

    @classmethod
    def of(cls, parts: Parts, wanted: Callable[[str], bool]) -> "Heads":
        """Those of all parts, with the columns that are wanted."""
        names: Names = {"nodes": {}, "links": {}, "own": {}}
        given: list[str] = []
        found: list[Columns] = []
        children: list[tuple[int, int]] = []
        for splits, shapes in parts:
            given += splits
            for one in shapes:
                for what, records in (("nodes", one.nodes), ("links", one.links),
                                      ("own", [one.own])):  # fmt: skip
                    for record in records:
                        names[what].update(dict.fromkeys(record))
            children += map(fullest, shapes)
            found.append(columns_of([_head(one, wanted) for one in shapes]))
        if not found:
            raise ValueError(f"{parts.path} has no {'trees' if parts.trees else 'graphs'}")
        path = str(parts.path)
        nodes = join_tables(path, [_with(one.nodes, names["nodes"]) for one in found])
        own = join_tables(path, [_with(one.own, names["own"]) for one in found])
        ptr = np.arange(len(given) + 1)
        columns = Columns(nodes, found[0].links, own, ptr, np.zeros_like(ptr))
        return cls(given, columns, names, np.array(children, np.int32))

    def __len__(self) -> int:
        return len(self.given)


def _head(shape: Shape, wanted: Callable[[str], bool]) -> Shape:
    """A shape of its root alone, with the columns that are wanted."""
    nodes = [{k: v for k, v in shape.nodes[root_of(shape)].items() if wanted(k)}]
    own = {key: value for key, value in shape.own.items() if wanted(key)}
    edges = np.zeros((2, 0), np.int64)
    return replace(shape, edges=edges, nodes=nodes, links=(), own=own, names=None, lines=None)


def tables_of(shapes: Sequence[Shape], names: Names, of_roots: Sequence[str] = ()) -> Columns:
    """The tables of a part, with the columns of all parts, and with targets that roots have."""
    found = columns_of(shapes)
    columns = replace(
        found,
        nodes=_with(found.nodes, names["nodes"]),
        links=_with(found.links, names["links"]),
        own=_with(found.own, names["own"]),
    )
    if of_roots:
        take_from_roots(columns, root_rows(shapes, columns), of_roots)
    return columns


def _with(table: Table, names: Collection[str]) -> Table:
    """A table with columns in an order, without values where it lacks them."""
    gone = np.broadcast_to(np.nan, len(table))
    columns = {name: table.columns.get(name, gone) for name in names}
    return replace(table, columns=columns)


def first_shapes(parts: Parts, train: NDArray[np.bool_]) -> list[Shape]:
    """The first training shapes, of about `MOST_NODES` nodes."""
    found: list[Shape] = []
    nodes = at = 0
    for _, shapes in parts:
        mine = train[at : at + len(shapes)].tolist()
        at += len(shapes)
        some = [one for one, taken in zip(shapes, mine, strict=True) if taken]
        found += some
        nodes += sum(map(len, some))
        if nodes >= MOST_NODES:
            break
    return found


def make_store(
    parts: Parts, folder: Path, topology: sn.Topology, used: Collection[str | None],
    roles: Any, split: Any, learn: Any,
) -> None:  # fmt: skip
    """Read all parts, split and learn from the first training shapes, and write a store.

    Arguments:
        parts: of the data.
        folder: of the store.
        topology: of the net.
        used: the columns that say what is predicted and how shapes are split, where given.
        roles: (columns of all heads, rows of their roots, table of some nodes) -> the roles.
        split: (heads, roles) -> the split of every shape, by name.
        learn: (shapes, columns, masks of all, roles, columns and masks of classes) -> an encoder.
    """
    heads = Heads.of(parts, lambda name: name in used or name.lower() in TARGETS)
    names, own = heads.names, heads.columns.own
    some = next(iter(parts))[1]
    is_for: Roles = roles(heads.columns, heads.columns.ptr[:-1], tables_of(some, names).nodes)
    where = np.asarray(split(heads, is_for))
    train = where == "train"
    of_roots = is_for.target if parts.trees and not is_for.per_node else ()
    some = first_shapes(parts, train)
    columns = tables_of(some, names, of_roots)
    masks = np.ones(len(some), bool), np.ones(int(columns.ptr[-1]), bool)
    # Of whole shapes the classes of all are known.
    seen = (columns, masks) if is_for.per_node else (heads.columns, (train, train))
    encoder: Encoder = learn(some, columns, masks, is_for, seen)
    samples = (
        encoder.samples(shapes, tables_of(shapes, names, of_roots), topology) for _, shapes in parts
    )
    at = int(np.flatnonzero(train)[heads.fullest[train, 0].argmax()])
    place = [own.file(at), int(own.lines[at]), own.what]
    plain = {"fullest": [*heads.fullest[at].tolist(), *place]}
    write_store(folder, samples, where, encoder, is_for.per_node, plain)
