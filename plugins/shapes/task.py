"""Own trees and graphs: a class or a number for each, or for each of their nodes."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.splits import SPLIT_NAMES
from structnet.plugins.shapes.columns import Columns, columns_of, parted
from structnet.plugins.shapes.encoding import Encoder, take_from_roots
from structnet.plugins.shapes.finding import find
from structnet.plugins.shapes.graphs import graph_of
from structnet.plugins.shapes.memory import shapes_of
from structnet.plugins.shapes.roles import ID, Roles
from structnet.plugins.shapes.shape import Place, Shape
from structnet.plugins.shapes.slots import check_slots
from structnet.plugins.shapes.trees import tree_of
from structnet.plugins.tables.features import of_nodes, summary
from structnet.plugins.tables.prints import print_of_sample
from structnet.plugins.tables.scoring import check_loss
from structnet.plugins.tables.splitting import (
    SPLITS,
    named_splits,
    warn_of_leaks,
    warn_of_twins,
)
from structnet.plugins.tables.task import OwnData
from structnet.plugins.tables.values import names_of

# The most nodes of a split of which baselines see the features.
MOST_NODES = 100_000
# The most tokens of which baselines have the counts.
MOST_WORDS = 200


class OwnShapes(OwnData):
    """What own trees and own graphs share.

    Arguments:
        per: what has a target: node, every node; whole, every tree or graph; null for whole where
            it has a column that is called like the target, else node.
    """

    trees: ClassVar[bool]
    what: ClassVar[str]

    def __init__(self, *, per: Literal[None, "node", "whole"] = None, **options: Any):
        super().__init__(**options)
        if self.splitting.by_time:
            raise ValueError(f"task.by_time is for sequences, not for {self.what}: leave it out")
        self.per = per

    def know(self, vocabulary: Any, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        if self.schema is not None:
            encoder = self.encoder
            self.condition = None if encoder.own is None else encoder.own.size
            self.edge_size = None if encoder.links is None else encoder.links.size

    def scores_nodes(self, topology: sn.Topology) -> bool:
        known = self.schema
        return self.per == "node" if known is None else bool(known.get("per_node"))

    def readout(self, topology: sn.Topology) -> str:
        if self.scores_nodes(topology):
            return "every"
        return "root" if topology.takes == "tree" else "mean"

    @property
    def encoder(self) -> Encoder:
        """What was learned; of a task that has been loaded, or belongs to a run."""
        return Encoder.of(self.schema, self.vocabulary, self.classes)

    def load(self, topology: sn.Topology) -> sn.Splits:
        shapes, given = self._shapes()
        shapes = parted(shapes)
        columns = columns_of(shapes)
        if self.schema is None:
            roles = self._roles(shapes, columns)
        else:
            roles = self.encoder.roles
            if self.trees and not roles.per_node:
                take_from_roots(shapes, columns, roles.target)
        check_loss(self.loss_name, roles.goal)
        split = self._split(shapes, columns, roles, given)
        train = _masks(split, columns, "train")
        unread = (self.split_column, self.group_column, *self.ignore)
        encoder = (
            self.encoder
            if self.schema
            else Encoder.learn(shapes, columns, train, roles, unread, self.fixed, self.min_count)
        )
        samples = encoder.samples(shapes, columns, topology)
        if topology.takes == "tree":
            check_slots([one for one, mine in zip(shapes, train[0], strict=True) if mine], topology)
        splits = {name: _taken(samples, split, name) for name in SPLITS}
        self._warn(shapes, split, splits)
        if self.schema is None:
            self._show(columns, encoder, splits)
        return self.learned_splits(splits, encoder)

    def _shapes(self) -> tuple[list[Shape], list[str]]:
        """All trees or graphs, and of each the split where it was read, or all."""
        shapes: list[Shape] = []
        given: list[str] = []
        for name, source in self.find().items():
            if name == "all" and self.data is not None:
                found = {"": lambda source=source: shapes_of(source, self.trees)}
            else:
                found = find(Path(source).expanduser(), self.trees)
            stems = {file: Path(file).name.split(".")[0].lower() for file in found}
            of_file = {file: SPLIT_NAMES.get(stem) for file, stem in stems.items()}
            for file, read in found.items():
                some = list(read())
                shapes += some
                named = of_file[file] if "train" in of_file.values() else None
                given += [(named or "train") if name == "all" and named else name] * len(some)
        if not shapes:
            raise ValueError(f"{self.root or 'task.data'} has no {self.what}")
        return shapes, given

    def _roles(self, shapes: Sequence[Shape], columns: Columns) -> Roles:
        if self.trees and self.per == "whole":
            take_from_roots(shapes, columns, self.targets or ("label",))
        return Roles.infer(columns, tuple(self.targets), self.goal, self.per)

    def _split(
        self, shapes: Sequence[Shape], columns: Columns, roles: Roles, given: list[str]
    ) -> NDArray[Any]:
        """The split of every tree or graph; of every node, of a single graph."""
        table, option = columns.own, "task.split_column"
        if roles.per_node and (len(shapes) == 1 or self.split_column in columns.nodes.columns):
            table = columns.nodes
            given = [one for one, shape in zip(given, shapes, strict=True) for _ in shape.nodes]
        if self.split_column is not None:
            if set(given) != {"all"}:
                raise ValueError(f"{option} is for task.root, not for files of splits")
            given = named_splits(names_of(table.column(self.split_column, option)), table.place)
        labels = groups = None
        if roles.goal == "class" and table is roles.table(columns):
            labels = np.array(list(map(str, names_of(table.columns[roles.target[0]]))))
        if self.group_column is not None:
            groups = list(names_of(table.column(self.group_column, "task.group")))
        return np.array(self.split(given, labels=labels, groups=groups))

    def _warn(
        self, shapes: Sequence[Shape], split: NDArray[Any], splits: dict[str, list[sn.Sample]]
    ) -> None:
        if len(split) != len(shapes):
            return
        names = {
            name: [one.own[ID] for one, of in zip(shapes, split, strict=True)
                   if of == name and one.own.get(ID) is not None]
            for name in SPLITS
        }  # fmt: skip
        warn_of_leaks(names, self.what)
        warn_of_twins(
            {name: list(map(print_of_sample, some)) for name, some in splits.items()}, self.what
        )

    def _show(
        self, columns: Columns, encoder: Encoder, splits: Mapping[str, Sequence[sn.Sample]]
    ) -> None:
        """Print what columns were taken for, as options, and what they hold."""
        roles = encoder.roles
        per = "node" if roles.per_node else "whole"
        print(f"task.target={','.join(roles.target)}, task.goal={roles.goal}, task.per={per}")
        of = {"nodes": encoder.schema, f"whole {self.what}": encoder.own, "edges": encoder.links}
        rows = [
            (*row, what)
            for what, one in of.items() if one is not None
            for row in getattr(one, "schema", one).rows()
        ]  # fmt: skip
        self.show_data(rows, self.what, np.diff(columns.ptr), "nodes", encoder, splits)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        for read in find(path, self.trees).values():
            yield from self.encoder.samples_of(list(read()), topology, self.trees)

    def read_data(self, data: Any, topology: sn.Topology) -> Iterator[sn.Sample]:
        yield from self.encoder.samples_of(list(shapes_of(data, self.trees)), topology, self.trees)

    def read_record(
        self, record: Mapping[str, Any], place: Any, topology: sn.Topology
    ) -> sn.Sample:
        """The tree or graph of an object, as a line of a file has it."""
        make = tree_of if self.trees else graph_of
        shape = make(record, Place(place.path, place.line))
        return self.encoder.samples_of([shape], topology, self.trees)[0]

    def node_names(self, sample: sn.Sample) -> Sequence[str] | None:
        names = getattr(sample.origin, "names", None)
        return super().node_names(sample) if names is None else names

    def features(self, samples: Sequence[sn.Sample]) -> tuple[NDArray[Any], NDArray[Any]]:
        words = 0 if self.vocabulary is None else min(MOST_WORDS, len(self.vocabulary))
        per_node = self.scores_nodes(None)  # pyright: ignore[reportArgumentType]
        rows, y, count = [], [], 0
        for one in samples:
            source, target = one.structure.index
            into, out = (np.bincount(end, minlength=one.num_nodes) for end in (target, source))
            if per_node:
                rows.append(np.column_stack([of_nodes(one.x, one.condition, words), into, out]))
            else:
                size = [len(source), into.max(initial=0), (into == 0).sum()]
                rows.append(np.append(summary(one.x, one.condition, words), size)[None])
            y.append(np.atleast_1d(one.y))
            count += one.num_nodes
            if per_node and count >= MOST_NODES:
                break
        return np.concatenate(rows), np.concatenate(y)


def _masks(split: NDArray[Any], columns: Columns, name: str) -> tuple[Any, Any]:
    """Which trees or graphs are in a split, and which nodes."""
    mine = split == name
    sizes = np.diff(columns.ptr)
    if len(mine) == len(sizes):
        return mine, np.repeat(mine, sizes)
    return np.ones(len(sizes), bool), mine


def _taken(samples: Sequence[sn.Sample], split: NDArray[Any], name: str) -> list[sn.Sample]:
    """The samples of a split; where nodes are split, with the targets of its nodes alone."""
    if len(split) == len(samples):
        return [one for one, of in zip(samples, split, strict=True) if of == name]
    found, start = [], 0
    for one in samples:
        mine = split[start : start + one.num_nodes] == name
        start += one.num_nodes
        unknown = np.nan if one.y.dtype.kind == "f" else sn.IGNORE
        y = np.where(mine if one.y.ndim == 1 else mine[:, None], one.y, unknown).astype(one.y.dtype)
        if mine.any():
            found.append(sn.Sample(**{**vars(one), "y": y}))
    return found
