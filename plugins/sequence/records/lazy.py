"""Sequences of more data than memory holds: read part by part, kept on disk as a net reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.records.encoding import Encoder
from structnet.plugins.sequence.records.roles import Roles
from structnet.plugins.sequence.records.sequences import Heads, Sequences, group, join
from structnet.plugins.tables.arrow import parquet_groups
from structnet.plugins.tables.reading import read_table, suffix_of, table_files
from structnet.plugins.tables.splitting import SPLITS
from structnet.plugins.tables.store import Store, Writer
from structnet.plugins.tables.table import Table, join_tables
from structnet.plugins.tables.values import names_of

# What was learned of columns is learned from this many training rows at most, the first ones.
MOST_ROWS = 1_000_000


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a table that is larger than memory: files of a folder, or row groups.

    Arguments:
        path: a folder, of whose files each holds whole sequences; or a Parquet file, sorted by the
            names of sequences.
        ignore: the columns that are left out.
    """

    path: Path
    ignore: Sequence[str]

    def tables(self, id_column: str | None = None) -> Iterator[Table]:
        """The parts, one after the other.

        With the column of names, a sequence that goes on in the next row group is in one part.
        """
        if self.path.is_dir():
            yield from (read_table(file, self.ignore) for file in table_files(self.path))
        elif suffix_of(self.path) == ".parquet":
            yield from _whole(parquet_groups(self.path, self.ignore), id_column)
        else:
            raise ValueError(
                f"task.lazy reads a folder of files or a Parquet file in parts, got {self.path}: "
                "split it into files with whole sequences, or leave task.lazy out"
            )

    def sequences(self, roles: Roles) -> Iterator[Sequences]:
        """The sequences of every part.

        ValueError, which names one, for a sequence that is in several.
        """
        seen: set[int] = set()
        for table in self.tables(roles.id):
            part = group(table, roles.id, roles.order)
            for name, row in zip(part.names, part.ptr.tolist(), strict=False):
                if hash(name) in seen:
                    raise part.table.refuse(
                        row, roles.id, name,
                        "all rows of a sequence in one file, or next to each other: sort by it",
                    )  # fmt: skip
                seen.add(hash(name))
            yield part


def _whole(tables: Iterator[Table], id_column: str | None) -> Iterator[Table]:
    """Row groups, each with the rows before it that belong to its first sequence."""
    rest: Table | None = None
    for table in tables:
        if id_column is not None:
            table.column(id_column, "task.id")
        here = table if rest is None else join_tables(table.path, [rest, table])
        if id_column is None:
            yield here
            continue
        names = names_of(here.columns[id_column])
        last = np.array([name == names[-1] for name in names])
        if not last.all():
            yield here.take(~last)
        rest = here.take(last)
    if rest is not None:
        yield rest


def first_rows(parts: Parts, roles: Roles, train: NDArray[np.bool_]) -> Sequences:
    """The first training sequences, of at most `MOST_ROWS` rows and at least one part."""
    found: list[Sequences] = []
    rows = at = 0
    for one in parts.sequences(roles):
        mine = train[at : at + len(one)]
        at += len(one)
        if mine.any():
            found.append(one.some(mine))
            rows += len(found[-1].table)
        if rows >= MOST_ROWS:
            break
    return join(str(parts.path), found)


def make_store(parts: Parts, roles: Roles, folder: Path, split: Any, learn: Any) -> None:
    """Read all parts, split and learn from the training sequences, and write a store.

    Arguments:
        parts: of the data.
        roles: of the columns.
        folder: of the store.
        split: (heads) -> the split of every sequence, by name.
        learn: (sequences, mask of all) -> an encoder.
    """
    target, order = roles.target[0], roles.order
    heads = Heads.joined(
        str(parts.path), [Heads.of(one, target, order) for one in parts.sequences(roles)]
    )
    where = np.asarray(split(heads))
    some = first_rows(parts, roles, where == "train")
    encoder: Encoder = learn(some, np.ones(len(some), bool))
    y, conditions = [], []
    with Writer(folder) as writer:
        for one in parts.sequences(roles):
            writer.add(encoder.schema.encode(one.table))
            y.append(encoder.targets(one, labelled=True))
            if encoder.static is not None:
                conditions.append(encoder.static.encode(one.firsts))
        words = encoder.schema.vocabulary
        files = [heads.firsts.file(at) for at in range(len(heads.names))]
        known = list(dict.fromkeys(files))
        arrays = {
            "y": np.concatenate(y),
            "ptr": np.concatenate([[0], np.cumsum(heads.lengths)]),
            "split": np.array([SPLITS.index(name) for name in where], np.int8),
            "lines": heads.firsts.lines,
            "files": np.array([known.index(file) for file in files], np.int32),
        }
        if conditions:
            arrays["condition"] = np.concatenate(conditions)
        plain = {
            "encoder": encoder.plain(),
            "classes": encoder.classes,
            "words": None if words is None else dict(words.counts),
            "tokens": words is not None,
            "names": list(heads.names),
            "files": known,
        }
        writer.finish(arrays, plain)


def open_store(folder: Path) -> tuple[Encoder, dict[str, "LazySamples"]]:
    """The encoder and the samples of all splits that a store holds."""
    store = Store(folder)
    words = store.plain["words"]
    vocabulary = None if words is None else sn.Vocabulary(words)
    encoder = Encoder.of(store.plain["encoder"], vocabulary, store.plain["classes"])
    split = store.array("split")
    return encoder, {
        name: LazySamples(store, encoder.roles, np.flatnonzero(split == at))
        for at, name in enumerate(SPLITS)
    }


class LazySamples(Sequence[sn.Sample]):
    """The samples of a split, read from a store when they are asked for.

    Arguments:
        store: of all sequences.
        roles: of the columns.
        indices: of the sequences of the split.
    """

    def __init__(self, store: Store, roles: Roles, indices: NDArray[np.int64]):
        self.store, self.roles, self.indices = store, roles, indices
        self.ptr, self.y = store.array("ptr"), store.array("y")
        self.lines, self.files = store.array("lines"), store.array("files")
        self.condition = store.array("condition") if store.has("condition") else None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        index = int(self.indices[at])
        start, end = int(self.ptr[index]), int(self.ptr[index + 1])
        y = self.y[start:end] if self.roles.steps else self.y[index]
        if not self.roles.steps and self.y.ndim == 2:
            y = y[None]
        plain = self.store.plain
        file = plain["files"][self.files[index]]
        return sn.Sample(
            end - start,
            self.store.rows(start, end),
            np.array(y),
            origin=sn.Origin(file, int(self.lines[index]), plain["names"][index]),
            condition=None if self.condition is None else np.array(self.condition[index]),
        )
