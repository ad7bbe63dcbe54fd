"""Own trees and graphs: a class or a number for each, or for each of their nodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.shapes.columns import (
    Columns,
    below_roots,
    columns_of,
    parted,
    root_rows,
    take_from_roots,
)
from structnet.plugins.shapes.encoding import Encoder
from structnet.plugins.shapes.finding import find
from structnet.plugins.shapes.graphs import graph_of
from structnet.plugins.shapes.lazy import Heads, Parts, make_store
from structnet.plugins.shapes.memory import shapes_of
from structnet.plugins.shapes.roles import ID, Roles
from structnet.plugins.shapes.shape import Place, Shape
from structnet.plugins.shapes.slots import check_slots, fullest
from structnet.plugins.shapes.splits import masks_of, splits_of, taken
from structnet.plugins.shapes.trees import tree_of
from structnet.plugins.tables.features import of_nodes, summary
from structnet.plugins.tables.lazy import folder_of, open_store, root_in_parts
from structnet.plugins.tables.prints import print_of_sample
from structnet.plugins.tables.scoring import check_loss
from structnet.plugins.tables.splitting import (
    SPLITS,
    named_splits,
    warn_of_leaks,
    warn_of_twins,
)
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.task import OwnData

# The most nodes of a split of which baselines see the features.
MOST_NODES = 100_000
# The most tokens of which baselines have the counts.
MOST_WORDS = 200


class OwnShapes(OwnData):
    """What own trees and own graphs share.

    Arguments:
        per: what has a target: node, every node; whole, every tree or graph; null for whole where
            it has a column that is called like the target, else node.
        lazy: whether data is read in parts, JSON lines or a folder file by file, and kept in the
            folder STRUCTNET_CACHE as the net reads it: for more than memory holds. The same id, and
            the very same tree or graph, in two splits are not looked for, names of nodes are not
            kept, and columns are learned from the first training trees or graphs.
    """

    trees: ClassVar[bool]
    what: ClassVar[str]

    def __init__(
        self, *, per: Literal[None, "node", "whole"] = None, lazy: bool = False, **options: Any
    ):
        super().__init__(**options)
        if self.splitting.by_time:
            raise ValueError(f"task.by_time is for sequences, not for {self.what}: leave it out")
        self.per, self.lazy = per, lazy

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
        if self.lazy:
            return self._load_lazily(topology)
        shapes, given = self._shapes()
        shapes = parted(shapes, below_roots(shapes))
        columns = columns_of(shapes)
        roles = self._roles(columns, root_rows(shapes, columns))
        check_loss(self.loss_name, roles.goal)
        split = self._split(shapes, columns, roles, given)
        train = masks_of(split, columns, "train")
        encoder = self._learn(shapes, columns, train, roles)
        samples = encoder.samples(shapes, columns, topology)
        if topology.takes == "tree":
            trained = [one for one, mine in zip(shapes, train[0], strict=True) if mine]
            (most, node), place = max(
                ((fullest(one), one.place) for one in trained), key=lambda pair: pair[0][0]
            )
            check_slots(most, node, place, topology)
        splits = {name: taken(samples, split, name) for name in SPLITS}
        self._warn(shapes, split, splits)
        if self.schema is None:
            self._show(np.diff(columns.ptr), encoder, splits)
        return self.learned_splits(splits, encoder)

    def _shapes(self) -> tuple[list[Shape], list[str]]:
        """All trees or graphs, and of each the split where it was read, or all."""
        shapes: list[Shape] = []
        given: list[str] = []
        for name, source in self.find().items():
            if name == "all" and self.data is not None:
                files = [(name, lambda source=source: shapes_of(source, self.trees))]
            else:
                files = splits_of(name, find(Path(source).expanduser(), self.trees))
            for split, read in files:
                some = list(read())
                shapes += some
                given += [split] * len(some)
        if not shapes:
            raise ValueError(f"{self.root or 'task.data'} has no {self.what}")
        return shapes, given

    def _load_lazily(self, topology: sn.Topology) -> sn.Splits:
        path = root_in_parts(self)
        folder = folder_of(self, self.targets, self.goal, self.per, topology.takes)
        if not folder.is_dir():
            parts = Parts.of(path, self.trees)
            print(f"reading {path} in parts into {folder} ...", flush=True)
            used = {*self.targets, self.split_column, self.group_column}
            make_store(parts, folder, topology, used, self._roles, self._split_heads, self._learn)
        encoder, store, splits = open_store(folder, Encoder)
        check_loss(self.loss_name, encoder.roles.goal)
        if topology.takes == "tree":
            most, node, *place = store.plain["fullest"]
            check_slots(most, node, Place(*place), topology)
        if self.schema is None:
            self._show(store.arrays["nodes"], encoder, splits)
        return self.learned_splits(splits, encoder)

    def _split_heads(self, heads: Heads, roles: Roles) -> NDArray[Any]:
        """The split of every tree or graph of which little is known."""
        of_nodes = self.split_column in heads.names["nodes"]
        if roles.per_node and (len(heads) == 1 or of_nodes):
            raise ValueError(
                f"{heads.columns.own.path}: task.lazy splits {self.what}, and not the nodes of one "
                f"of them: leave task.lazy out, or give a column of {self.what}"
            )
        return self._split((), heads.columns, roles, heads.given)

    def _learn(
        self,
        shapes: Sequence[Shape],
        columns: Columns,
        train: tuple[NDArray[np.bool_], NDArray[np.bool_]],
        roles: Roles,
        seen: tuple[Columns, tuple[NDArray[np.bool_], NDArray[np.bool_]]] | None = None,
    ) -> Encoder:
        """What is known already, or what training shapes say; classes are those of all seen."""
        if self.schema is not None:
            return self.encoder
        classes = Encoder.classes_in(*(seen or (columns, train)), roles)
        unread = (self.split_column, self.group_column, *self.ignore)
        return Encoder.learn(
            shapes, columns, train, roles, classes, unread, self.fixed, self.min_count
        )

    def _roles(
        self, columns: Columns, roots: NDArray[np.int64], nodes: Table | None = None
    ) -> Roles:
        """What columns are for; trees get the targets of their roots, where trees have some.

        Arguments:
            columns: of all trees or graphs.
            roots: the rows of the roots of trees among nodes.
            nodes: the table of nodes that says what their columns are, if that is another.
        """
        known = None if self.schema is None else self.encoder.roles
        if self.trees and (self.per == "whole" if known is None else not known.per_node):
            take_from_roots(columns, roots, known.target if known else self.targets or ("label",))
        seen = columns if nodes is None else replace(columns, nodes=nodes)
        return known or Roles.infer(seen, tuple(self.targets), self.goal, self.per)

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
            given = named_splits(table.names(self.split_column, option), table.place)
        labels = groups = None
        if roles.goal == "class" and table is roles.table(columns):
            labels = np.array(list(map(str, table.names(roles.target[0]))))
        if self.group_column is not None:
            groups = list(table.names(self.group_column, "task.group"))
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
        self,
        sizes: NDArray[np.int64],
        encoder: Encoder,
        splits: Mapping[str, Sequence[sn.Sample]],
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
        self.show_data(rows, self.what, sizes, "nodes", encoder, splits)

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
            if (per_node or self.lazy) and count >= MOST_NODES:
                break
        return np.concatenate(rows), np.concatenate(y)
