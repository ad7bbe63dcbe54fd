"""Trees and graphs as samples: what was learned of their columns, and how it is applied."""

import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.shapes.columns import Columns, columns_of, parted, root_rows, take_from_roots
from structnet.plugins.shapes.graphs import both_ways
from structnet.plugins.shapes.roles import ID, Roles
from structnet.plugins.shapes.shape import Shape
from structnet.plugins.tables.schema import Kind, Schema
from structnet.plugins.tables.static import Static
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.targets import classes_of, encode_classes, encode_numbers

# What nodes without columns are given: how many edges lead to them.
DEGREE = "edges to the node"
# The most characters of a sample's text.
SHOWN = 80


@dataclass(frozen=True)
class ShapeOrigin:
    """An `sn.Origin` with the names of nodes, None for none."""

    path: Any
    line: int
    text: str
    names: Sequence[str] | None


class Encoder:
    """Makes samples of trees or graphs.

    Arguments:
        roles: of the columns.
        schema: of the columns of nodes.
        own: the columns of whole trees or graphs; None for none.
        links: those of edges; None for none.
        classes: in order; empty for numbers.
    """

    def __init__(
        self,
        roles: Roles,
        schema: Schema,
        own: Static | None,
        links: Static | None,
        classes: Sequence[str],
    ):
        self.roles, self.schema, self.own, self.links = roles, schema, own, links
        self.classes = list(classes)

    @classmethod
    def learn(
        cls,
        shapes: Sequence[Shape],
        columns: Columns,
        train: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        roles: Roles,
        classes: Sequence[str],
        unread: Collection[str | None],
        kinds: Mapping[str, Kind],
        min_count: int,
    ) -> "Encoder":
        """What the training shapes say.

        Arguments:
            shapes, columns: all of them.
            train: the masks of the shapes that are trained on, and of the nodes.
            roles: of the columns.
            classes: in order; empty for numbers.
            unread: columns that are not read, beside targets and ids.
            kinds: of columns whose kind is given.
            min_count: how often a token must occur to be known.
        """
        unread = {*unread, *roles.target, ID}
        nodes, whole = _names(columns.nodes, unread), _names(columns.own, unread)
        if not nodes:
            nodes = [DEGREE]
            columns.nodes.columns[DEGREE] = degrees(shapes)
        of_nodes, of_links = train[1], np.repeat(train[0], np.diff(columns.link_ptr))
        schema = Schema.learn(columns.nodes, of_nodes, nodes, kinds, min_count)
        own = Static.learn(columns.own, train[0], whole, kinds) if whole else None
        names = _names(columns.links, unread)
        links = Static.learn(columns.links, of_links, names, kinds) if names else None
        some = [None if one is None or not one.size else one for one in (own, links)]
        return cls(roles, schema, some[0], some[1], classes)

    @staticmethod
    def classes_in(columns: Columns, train: tuple[Any, Any], roles: Roles) -> list[str]:
        """The classes of training targets, none for numbers; ValueError for fewer than two."""
        if roles.goal == "number":
            return []
        table = roles.table(columns)
        rows = train[1] if roles.per_node else train[0]
        classes = classes_of(table.names(roles.target[0])[rows])
        if len(classes) < 2:
            raise ValueError(
                f"{table.path}: column {roles.target[0]!r} has the classes {classes} in the "
                "training split, at least two are needed; see task.target and task.goal"
            )
        return classes

    def plain(self) -> dict[str, Any]:
        return {
            **self.roles.plain(),
            "columns": self.schema.plain(),
            "own": None if self.own is None else self.own.plain(),
            "links": None if self.links is None else self.links.plain(),
        }

    @classmethod
    def of(cls, plain: Any, vocabulary: sn.Vocabulary | None, classes: Sequence[str]) -> "Encoder":
        """That of plain data; ValueError for what is none."""
        roles = Roles.of(plain)
        own, links = (None if plain.get(key) is None else Static.of(plain[key])
                      for key in ("own", "links"))  # fmt: skip
        return cls(roles, Schema.of(plain.get("columns"), vocabulary), own, links, classes)

    def samples_of(
        self, shapes: Sequence[Shape], topology: sn.Topology, trees: bool
    ) -> list[sn.Sample]:
        """The samples of shapes that are new, with targets where they have some."""
        inner = {one.name for one in self.schema.columns}
        if self.roles.per_node:
            inner |= set(self.roles.target)
        parts = parted(shapes, inner)
        columns = columns_of(parts)
        self._refuse_others(shapes, columns)
        if trees and not self.roles.per_node:
            take_from_roots(columns, root_rows(parts, columns), self.roles.target)
        return self.samples(parts, columns, topology, labelled=False)

    def _refuse_others(self, shapes: Sequence[Shape], columns: Columns) -> None:
        """ValueError for a column that nodes, edges or shapes had in training, and have no more."""
        of_links = None if self.links is None else self.links.schema
        whole = None if self.own is None else self.own.schema
        for what, schema, table, records in (
            ("nodes", self.schema, columns.nodes, [one.nodes for one in shapes]),
            ("edges", of_links, columns.links, [one.links for one in shapes]),
            ("trees or graphs", whole, columns.own, [[one.own] for one in shapes]),
        ):
            needed = [] if schema is None or not len(table) else schema.columns
            lacking = [repr(one.name) for one in needed if not one.missing
                       and one.name not in (DEGREE, *table.columns)]  # fmt: skip
            if lacking:
                there = dict.fromkeys(repr(key) for some in records for one in some for key in one)
                raise ValueError(
                    f"{table.path}: {what} lack the columns {', '.join(lacking)} that the net was "
                    f"trained on, they have {', '.join(there) or 'none'}"
                )

    def samples(
        self,
        shapes: Sequence[Shape],
        columns: Columns,
        topology: sn.Topology,
        labelled: bool = True,
    ) -> list[sn.Sample]:
        """The samples of shapes, in the structure that a topology takes.

        ValueError, which names the place, for values that are of another kind than in training, and
        for a graph that the topology does not take.

        Arguments:
            shapes, columns: the shapes, and their tables.
            topology: of the net.
            labelled: whether targets are needed; else they are taken where there are some.
        """
        nodes = _filled(columns.nodes, self.schema)
        if DEGREE in {one.name for one in self.schema.columns}:
            nodes.columns[DEGREE] = degrees(shapes)
        encoded = self.schema.encode(nodes)
        if not labelled:
            self.schema.warn_of_unknown(nodes)
            if self.own is not None:
                self.own.schema.warn_of_unknown(_filled(columns.own, self.own.schema))
        conditions = _vectors(self.own, columns.own)
        edge_x = _vectors(self.links, columns.links)
        y = self._targets(columns, labelled)
        made = []
        for at, shape in enumerate(shapes):
            start, end = columns.ptr[at : at + 2]
            target: Any = y[start:end]
            if not self.roles.per_node:
                target = y[at] if y.ndim == 1 else y[at : at + 1]
            edges, which = structure_of(shape, topology)
            made.append(
                sn.Sample(
                    sn.Edges(edges, len(shape)),
                    encoded.part(start, end),
                    target,
                    origin=origin_of(shape),
                    condition=None if conditions is None else conditions[at],
                    edge_x=None if edge_x is None else edge_x[columns.link_ptr[at] :][which],
                )
            )
        return made

    def _targets(self, columns: Columns, labelled: bool) -> NDArray[Any]:
        """Those of all nodes where nodes have targets, else of all shapes."""
        roles = self.roles
        table = roles.table(columns)
        lacking = [name for name in roles.target if name not in table.columns]
        if lacking and labelled:
            table.column(lacking[0], "task.target")
        if lacking and roles.goal == "class":
            return np.full(len(table), sn.IGNORE)
        if lacking:
            shape = (len(table), len(roles.target)) if len(roles.target) > 1 else len(table)
            return np.full(shape, np.nan)
        if roles.goal == "number":
            return encode_numbers(table, roles.target)
        refuse = labelled and not roles.per_node
        y = encode_classes(table, roles.target[0], self.classes, refuse)
        if labelled and roles.per_node:
            self._warn_of_others(table, y)
        return y

    def _warn_of_others(self, table: Table, y: NDArray[np.int64]) -> None:
        """A DataWarning for nodes of classes that training lacks, which are not scored."""
        name = self.roles.target[0]
        values = table.names(name)
        others = [row for row in np.flatnonzero(y < 0).tolist() if values[row] is not None]
        if others:
            warnings.warn(
                f"{len(others):,} nodes have one of {len({values[row] for row in others}):,} "
                f"classes that training lacks, {table.place(others[0])}, column {name!r}: "
                f"{values[others[0]]!r} first; they are not scored, add some to training",
                sn.DataWarning,
                stacklevel=2,
            )


def structure_of(shape: Shape, topology: sn.Topology) -> tuple[Any, Any]:
    """The edges that a topology takes, and which of the shape's they are.

    ValueError, which names the place, for a cycle and for edges without direction where the
    topology follows edges.
    """
    if topology.takes == "undirected":
        return both_ways(shape.edges)
    if topology.takes == "graph":
        remedy = (
            "topology graph follows edges from source to target: take topology=ordered_graph, "
            "which reads every edge both ways"
        )
        if shape.directed is False:
            raise shape.place.mistake(f"its edges have no direction, and {remedy}")
        try:
            sn.schedule(shape.edges, num_nodes=len(shape))
        except ValueError as error:
            raise shape.place.mistake(f"{error}, and {remedy}") from error
    return shape.edges, slice(shape.edges.shape[1])


def degrees(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """How many edges lead to every node of all shapes."""
    counts = [np.bincount(one.edges[1], minlength=len(one)) for one in shapes]
    return np.concatenate(counts).astype(np.float64)


def origin_of(shape: Shape) -> ShapeOrigin:
    """Where a shape is from, with its id and its size."""
    name = shape.own.get(ID)
    size = f"{len(shape):,} nodes"
    text = size if name is None else f"{str(name)[:SHOWN]}, {size}"
    return ShapeOrigin(shape.place.path, shape.place.line, text, shape.names)


def _names(table: Table, unread: Collection[str | None]) -> list[str]:
    return [name for name in table.columns if name not in unread]


def _vectors(static: Static | None, table: Table) -> NDArray[np.float32] | None:
    if static is None:
        return None
    return static.encode(_filled(table, static.schema))


def _filled(table: Table, schema: Schema) -> Table:
    """A table with the columns that are not in it, and had no value now and then in training."""
    absent = [one.name for one in schema.columns
              if one.name not in table.columns and (one.missing or not len(table))]  # fmt: skip
    gone = {name: np.full(len(table), np.nan) for name in absent}
    return replace(table, columns={**table.columns, **gone})
