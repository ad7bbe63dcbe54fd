"""Sequences of more data than memory holds: read part by part, kept on disk as a net reads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.sequence.records.encoding import Encoder
from structnet.plugins.sequence.records.grouping import ONE_SPLIT, refuse_change
from structnet.plugins.sequence.records.roles import Roles
from structnet.plugins.sequence.records.sequences import Heads, Sequences, join
from structnet.plugins.tables.arrow import parquet_groups
from structnet.plugins.tables.lazy import write_store
from structnet.plugins.tables.reading import read_table, suffix_of, table_files
from structnet.plugins.tables.table import Table, join_tables

# What was learned of columns is learned from this many training rows at most, the first ones.
MOST_ROWS = 1_000_000


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a table that is larger than memory: files of a folder, or row groups.

    Arguments:
        path: a folder, of whose files each holds whole sequences; or a Parquet file, sorted by the
            names of sequences.
        ignore: the columns that are left out.
        constant: those that say one thing of a sequence, such as its split.
    """

    path: Path
    ignore: Sequence[str]
    constant: Sequence[str] = ()

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
            part = roles.group(table)
            for name, row in zip(part.names, part.ptr.tolist(), strict=False):
                if hash(name) in seen:
                    raise part.table.refuse(
                        row, roles.id, name,
                        "all rows of a sequence in one file, or next to each other: sort by it",
                    )  # fmt: skip
                seen.add(hash(name))
            refuse_change(part.table, part.rows(), self.constant, ONE_SPLIT)
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
        names = here.names(id_column)
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
    samples = map(encoder.samples, parts.sequences(roles))
    write_store(folder, samples, where, encoder, roles.steps)
