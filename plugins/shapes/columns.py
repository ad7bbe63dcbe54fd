"""Shapes as tables of all their nodes, all their edges, and of themselves."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from structnet.plugins.shapes.shape import Ints, Record, Shape
from structnet.plugins.tables.table import Table, table_of


@dataclass(frozen=True, eq=False)
class Columns:
    """The tables of shapes, and the bounds (B + 1,) of each one's rows among nodes and edges."""

    nodes: Table
    links: Table
    own: Table
    ptr: Ints
    link_ptr: Ints


def columns_of(shapes: Sequence[Shape]) -> Columns:
    """The tables of shapes, one row after the other; ValueError names place and column."""
    return Columns(
        _table([one.nodes for one in shapes], shapes),
        _table([one.links for one in shapes], shapes),
        _table([[one.own] for one in shapes], shapes),
        _bounds([len(one) for one in shapes]),
        _bounds([one.edges.shape[1] for one in shapes]),
    )


def below_roots(shapes: Iterable[Shape]) -> set[str] | None:
    """The columns that nodes below the roots of nested trees have; None where there are no such."""
    inner: set[str] | None = None
    for one in shapes:
        if one.rooted and len(one) > 1:
            inner = (inner or set()).union(*one.nodes[1:])
    return inner


def parted(shapes: Sequence[Shape], inner: Collection[str] | None) -> list[Shape]:
    """Shapes in which what is of a whole nested tree is no longer at its root.

    These are the keys that are not in `inner`, the columns of nodes. Trees of a node each, for
    which it is None, have their columns there alone.
    """
    if inner is None:
        return list(shapes)
    return [_parted(one, inner) if one.rooted else one for one in shapes]


def root_of(shape: Shape) -> int:
    """The first node from which no edge leads away, the root of a tree."""
    is_root = np.ones(len(shape), bool)
    is_root[shape.edges[0]] = False
    return int(is_root.argmax())


def root_rows(shapes: Sequence[Shape], columns: Columns) -> Ints:
    """The rows of the roots of trees."""
    return columns.ptr[:-1] + np.array(list(map(root_of, shapes)), np.int64)


def take_from_roots(columns: Columns, rows: Ints, names: Sequence[str]) -> None:
    """Let trees have the targets of their roots, given as rows, where they have none themselves."""
    if all(name in columns.own.columns for name in names):
        return
    for name in names:
        if name in columns.nodes.columns:
            columns.own.columns[name] = columns.nodes.columns[name][rows]
            if name in columns.nodes.texts:
                columns.own.texts[name] = columns.nodes.texts[name][rows]


def _parted(shape: Shape, inner: Collection[str]) -> Shape:
    root = shape.nodes[0]
    own = {key: value for key, value in root.items() if key not in inner}
    if not own:
        return shape
    node = {key: value for key, value in root.items() if key in inner}
    return replace(shape, nodes=[node, *shape.nodes[1:]], own={**own, **shape.own})


def _table(groups: Sequence[Sequence[Record]], shapes: Sequence[Shape]) -> Table:
    """The table of each shape's records; a number in quotes is a name, such as of a class."""
    records = list(chain.from_iterable(groups))
    places = [shape.place for shape in shapes]
    counts = [len(group) for group in groups]
    lines: list[int] = []
    for group, shape in zip(groups, shapes, strict=True):
        own = shape.lines if group is shape.nodes else None
        lines += own or [shape.place.line] * len(group)
    paths = [str(place.path) for place in places]
    table = table_of(records, paths[0], lines)
    for name, values in table.columns.items():
        given = [one.get(name) for one in records]
        if values.dtype == np.float64 and all(isinstance(one, str | None) for one in given):
            values = table.columns[name] = table.names(name)
            table.texts.pop(name, None)
        if values.dtype == object:
            # A word such as "null" is one.
            for row, one in enumerate(given):
                if one and isinstance(one, str) and values[row] is None:
                    values[row] = one
    files = [path for path, count in zip(paths, counts, strict=True) for _ in range(count)]
    several = files if len(set(paths)) > 1 else ()
    return replace(table, what=places[0].what, files=several)


def _bounds(counts: Sequence[int]) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
