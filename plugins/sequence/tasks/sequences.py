"""Own sequences: a class or a number for each, or for each of their steps."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.records.encoding import Encoder
from structnet.plugins.sequence.records.grouping import (
    ONE_SPLIT,
    constant_columns,
    is_sorted,
    refuse_change,
)
from structnet.plugins.sequence.records.lazy import Parts, make_store
from structnet.plugins.sequence.records.roles import Roles, inputs
from structnet.plugins.sequence.records.sequences import (
    Heads,
    Sequences,
    gap_name,
    join,
)
from structnet.plugins.tables.features import of_nodes, summary
from structnet.plugins.tables.lazy import folder_of, open_store, root_in_parts
from structnet.plugins.tables.prints import print_of_sample
from structnet.plugins.tables.reading import read_table
from structnet.plugins.tables.scoring import check_loss
from structnet.plugins.tables.splitting import (
    SPLITS,
    named_splits,
    warn_of_leaks,
    warn_of_twins,
)
from structnet.plugins.tables.static import Static
from structnet.plugins.tables.table import Table, table_of
from structnet.plugins.tables.task import OwnData

# The most steps of a split of which baselines see the features.
MOST_STEPS = 100_000


@sn.tasks.register("sequences")
class OwnSequences(OwnData):
    """Your own sequences, in long format: a class or a number for each, or for each step.

    A row is a step: a column names its sequence, another its place in it. The other columns are
    what the net reads: numbers, categories, texts and times, of which some may be constant in a
    sequence. CSV, JSON lines, Parquet, a folder of these, or a data frame.

    Arguments:
        id: the column that names the sequence of a row; null for one that is called so.
        order: the column by which the steps of a sequence are ordered, numbers or times; null for
            one that is called so, or else the order of rows.
        steps: whether every step has a target; null for whether targets differ in a sequence.
        static: columns that are constant in a sequence, joined to its steps or to the initial
            states by net.condition; null for those that are.
        lazy: whether data is read in parts, a folder file by file or a Parquet file by row groups,
            and kept in the folder STRUCTNET_CACHE as the net reads it: for more than memory holds.
    """

    structures = ("sequence",)

    def __init__(
        self,
        *,
        id: str | None = None,
        order: str | None = None,
        steps: bool | None = None,
        static: tuple[str, ...] | None = None,
        lazy: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        self.id, self.order, self.steps, self.static = id, order, steps, static
        self.lazy = lazy

    def know(self, vocabulary: Any, learned: Mapping[str, Any]) -> None:
        super().know(vocabulary, learned)
        if self.schema is not None:
            static = self.schema.get("static")
            self.condition = None if static is None else Static.of(static).size

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return bool(self.steps if self.schema is None else self.schema.get("steps"))

    @property
    def no_stream(self) -> str | None:
        encoder = self.encoder
        if encoder.static is not None:
            names = [one.name for one in encoder.static.schema.columns]
            return (
                f"its net reads what is constant in a sequence, {', '.join(names)}: train with "
                f"task.ignore=[{','.join(names)}], or send whole sequences to /predict"
            )
        order = encoder.roles.order
        if order is None or gap_name(order) not in {one.name for one in encoder.schema.columns}:
            return None
        return (
            f"its net reads {gap_name(order)!r}, which a message alone does not tell: train with "
            f"task.ignore=[{order}] and without task.order, on rows in their order, or send whole "
            "sequences to /predict"
        )

    @property
    def encoder(self) -> Encoder:
        """What was learned; of a task that has been loaded, or belongs to a run."""
        return Encoder.of(self.schema, self.vocabulary, self.classes)

    def load(self, topology: sn.Topology) -> sn.Splits:
        if self.lazy:
            return self._load_lazily()
        tables = {name: read_table(one, self.ignore) for name, one in self.find().items()}
        first = next(iter(tables.values()))
        roles = Roles.of(self.schema) if self.schema else self._roles(first)
        parts = [roles.group(table) for table in tables.values()]
        given = [name for name, part in zip(tables, parts, strict=True) for _ in range(len(part))]
        sequences = join(first.path, parts)
        refuse_change(sequences.table, sequences.rows(), self._of_splits, ONE_SPLIT)
        if self.schema is None:
            roles = roles.with_target(sequences, self.goal, self.steps)
        check_loss(self.loss_name, roles.goal)
        heads = Heads.of(sequences, roles.target[0], roles.order)
        split = self._split(heads, roles, given)
        encoder = self.encoder if self.schema else self._learn(roles, sequences, split == "train")
        samples = encoder.samples(sequences)
        splits = {name: _taken(samples, split == name) for name in SPLITS}
        warn_of_leaks({n: _taken(sequences.names, split == n) for n in SPLITS}, "sequences")
        warn_of_twins(
            {n: list(map(print_of_sample, some)) for n, some in splits.items()}, "sequences"
        )
        if self.schema is None:
            if roles.order and not is_sorted(first, roles.id, roles.order):
                print(f"rows are not ordered by {roles.order}: sorted")
            self._show(heads.lengths, encoder, splits)
        return self.learned_splits(splits, encoder)

    def _load_lazily(self) -> sn.Splits:
        parts = Parts(root_in_parts(self), self.ignore, self._of_splits)
        if self.schema is None:
            first = next(parts.tables())
            roles = self._roles(first)
            some = roles.group(first)
            roles = roles.with_target(some, self.goal, self.steps)
        else:
            roles = Roles.of(self.schema)
        check_loss(self.loss_name, roles.goal)
        folder = folder_of(self, roles.plain(), self.static)
        if not folder.is_dir():
            print(f"reading {parts.path} in parts into {folder} ...", flush=True)
            make_store(
                parts, roles, folder,
                lambda heads: self._split(heads, roles, ["all"] * len(heads.names)),
                lambda some, all: self.encoder if self.schema else self._learn(roles, some, all),
            )  # fmt: skip
        encoder, store, splits = open_store(folder, Encoder)
        if self.schema is None:
            self._show(store.arrays["nodes"], encoder, splits)
        return self.learned_splits(splits, encoder)

    @property
    def _of_splits(self) -> list[str]:
        return [name for name in (self.split_column, self.group_column) if name is not None]

    def _roles(self, table: Table) -> Roles:
        for name in self._of_splits:
            table.column(name, "task.split_column or task.group")
        table.refuse_unknown(self.columns_named)
        return Roles.infer(table, self.id, self.order, self.targets)

    def _split(self, heads: Heads, roles: Roles, given: list[str]) -> NDArray[Any]:
        """The split of every sequence."""
        firsts = heads.firsts
        if self.split_column is not None:
            if set(given) != {"all"}:
                raise ValueError("task.split_column is for task.root, not for files of splits")
            names = firsts.names(self.split_column, "task.split_column")
            given = named_splits(names, firsts.place)
        labels = times = groups = None
        if roles.goal == "class" and not roles.steps:
            labels = np.array(heads.targets)
        if self.splitting.by_time:
            if heads.ends is None:
                raise ValueError("task.by_time splits by task.order, and there is no such column")
            times = heads.ends
        if self.group_column is not None:
            groups = list(firsts.names(self.group_column, "task.group"))
        return np.array(self.split(given, labels=labels, groups=groups, times=times))

    def _learn(self, roles: Roles, sequences: Sequences, train: NDArray[np.bool_]) -> Encoder:
        names = inputs(sequences, roles, [self.split_column, self.group_column])
        static = self.static
        if static is None:
            static = constant_columns(sequences.table, sequences.ptr, names)
        for name in static:
            sequences.table.column(name, "task.static")
        # Where nothing changes, what is constant is what steps have.
        static = static if len(static) < len(names) else []
        dynamic = [name for name in names if name not in static]
        return Encoder.learn(
            sequences, train, roles, (dynamic, list(static)), self.fixed, self.min_count
        )

    def _show(
        self,
        lengths: NDArray[np.int64],
        encoder: Encoder,
        splits: Mapping[str, Sequence[sn.Sample]],
    ) -> None:
        """Print what columns were taken for, as options, and what they hold."""
        roles = encoder.roles
        times = [one.name for one in encoder.schema.columns if one.kind == "time"]
        rows = f"the order of rows{f' (of times: task.order={times[0]})' if times else ''}"
        order = rows if roles.order is None else f"task.order={roles.order}"
        target = ",".join(roles.target)
        print(
            f"task.id={roles.id}, {order}, task.target={target}, task.goal={roles.goal}, "
            f"task.steps={str(roles.steps).lower()}"
        )
        rows = [(*row, "steps") for row in encoder.schema.rows()]
        if encoder.static is not None:
            rows += [(*row, "constant") for row in encoder.static.schema.rows()]
        self.show_data(rows, "sequences", lengths, "steps", encoder, splits)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        yield from self._of_table(read_table(path, self.ignore))

    def read_data(self, data: Any, topology: sn.Topology) -> Iterator[sn.Sample]:
        if hasattr(data, "__arrow_c_stream__"):
            yield from self._of_table(read_table(data, self.ignore))
        else:
            yield from super().read_data(data, topology)

    def read_record(
        self, record: Mapping[str, Any], place: Any, topology: sn.Topology
    ) -> sn.Sample:
        """The sequence of `{"steps": [{column: value}, ...], column: value}`.

        Columns beside `steps` are those that are constant in it.
        """
        steps = record.get("steps")
        if not isinstance(steps, list) or not steps or not all(isinstance(s, dict) for s in steps):
            raise ValueError(
                f'{place.path}, line {place.line}: expected {{"steps": [{{column: value}}, ...], '
                f"column: value}} with at least one step, got {list(record)[:10]}"
            )
        roles = self.encoder.roles
        around = {key: value for key, value in record.items() if key != "steps"}
        rows = [{roles.id: "sequence", **around, **step} for step in steps]
        table = table_of(rows, str(place.path), [place.line] * len(rows), self.ignore)
        order = roles.order
        read = {one.name for one in self.encoder.schema.columns}
        if order is not None and order not in table.columns and gap_name(order) not in read:
            kind = "datetime64[us]" if roles.timed else "float64"
            table.columns[order] = np.arange(len(rows)).astype(kind)
        samples = list(self._of_table(table))
        if len(samples) > 1:
            raise ValueError(
                f"{place.path}, line {place.line}: {roles.id!r} differs in its steps; an object is "
                "one sequence"
            )
        return samples[0]

    def _of_table(self, table: Table) -> Iterator[sn.Sample]:
        encoder = self.encoder
        for name, option in ((encoder.roles.id, "id"), (encoder.roles.order, "order")):
            if name is not None and name not in table.columns:
                raise ValueError(
                    f"{table.path} lacks the column {name!r}, which training had as task.{option}; "
                    f"it has {', '.join(map(repr, table.columns))}"
                )
        sequences = encoder.roles.group(table)
        yield from encoder.samples(sequences, labelled=False)

    def features(self, samples: Sequence[sn.Sample]) -> tuple[NDArray[Any], NDArray[Any]]:
        words = 0 if self.vocabulary is None else min(200, len(self.vocabulary))
        if not self.scores_nodes(None):  # pyright: ignore[reportArgumentType]
            rows = [summary(one.x, one.condition, words) for one in samples]
            return np.stack(rows), np.concatenate([np.atleast_1d(one.y) for one in samples])
        rows, y, count = [], [], 0
        for one in samples:
            rows.append(of_nodes(one.x, one.condition, words))
            y.append(one.y)
            count += one.num_nodes
            if count >= MOST_STEPS:
                break
        return np.concatenate(rows), np.concatenate(y)


def _taken(some: Sequence[Any], mask: NDArray[np.bool_]) -> list[Any]:
    return [one for one, taken in zip(some, mask.tolist(), strict=True) if taken]
