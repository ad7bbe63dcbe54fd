"""Sequences as samples: what was learned of their columns, and how it is applied."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.sequence.records.grouping import refuse_change
from structnet.plugins.sequence.records.roles import Roles
from structnet.plugins.sequence.records.sequences import Sequences
from structnet.plugins.tables.schema import Kind, Schema
from structnet.plugins.tables.static import Static
from structnet.plugins.tables.targets import classes_of, encode_classes, encode_numbers


@dataclass(frozen=True)
class StepsOrigin(sn.Origin):
    """An origin with the lines of the steps."""

    node_lines: tuple[int, ...] = ()


class Encoder:
    """Makes samples of sequences.

    Arguments:
        roles: of the columns.
        schema: of the columns that differ from step to step.
        static: the columns that are constant in a sequence; None for none.
        classes: in order; empty for numbers.
    """

    def __init__(self, roles: Roles, schema: Schema, static: Static | None, classes: Sequence[str]):
        self.roles, self.schema, self.static, self.classes = roles, schema, static, list(classes)

    @classmethod
    def learn(
        cls,
        sequences: Sequences,
        train: NDArray[np.bool_],
        roles: Roles,
        columns: tuple[Sequence[str], Sequence[str]],
        kinds: Mapping[str, Kind],
        min_count: int,
    ) -> "Encoder":
        """What the training sequences say.

        Arguments:
            sequences: all of them.
            train: the mask of those that are trained on.
            roles: of the columns.
            columns: the names of those that differ from step to step, and of constant ones.
            kinds: of columns whose kind is given.
            min_count: how often a token must occur to be known.
        """
        rows = sequences.rows_of(train)
        schema = Schema.learn(sequences.table, rows, columns[0], kinds, min_count)
        if not schema.columns:
            raise ValueError(
                f"{sequences.table.path} has no columns for the net to read beside "
                f"{', '.join(map(repr, [*roles.used, *columns[1]]))}"
            )
        static = Static.learn(sequences.firsts, train, columns[1], kinds) if columns[1] else None
        classes: list[str] = []
        if roles.goal == "class":
            classes = classes_of(sequences.table.names(roles.target[0])[rows])
            if len(classes) < 2:
                raise ValueError(
                    f"{sequences.table.path}: column {roles.target[0]!r} has the classes {classes} "
                    "in the training split, at least two are needed; see task.target and task.goal"
                )
        return cls(roles, schema, static if static and static.size else None, classes)

    def plain(self) -> dict[str, Any]:
        """What was learned, but for vocabulary and classes."""
        static = None if self.static is None else self.static.plain()
        return {**self.roles.plain(), "columns": self.schema.plain(), "static": static}

    @classmethod
    def of(cls, plain: Any, vocabulary: sn.Vocabulary | None, classes: Sequence[str]) -> "Encoder":
        """That of plain data; ValueError for what is none."""
        roles = Roles.of(plain)
        static = plain.get("static")
        return cls(
            roles,
            Schema.of(plain.get("columns"), vocabulary),
            None if static is None else Static.of(static),
            classes,
        )

    def samples(self, sequences: Sequences, labelled: bool = True) -> list[sn.Sample]:
        """The samples of sequences, each with its first row as origin.

        ValueError, which names the row, for values that are of another kind than in training.

        Arguments:
            sequences: of rows with the columns of training.
            labelled: whether targets are needed; else they are taken where there are some.
        """
        encoded = self.schema.encode(sequences.table)
        if not labelled:
            self.schema.warn_of_unknown(sequences.table)
        conditions = None if self.static is None else self.static.encode(sequences.firsts)
        if self.static is not None:
            refuse_change(
                sequences.table, sequences.rows(), [one.name for one in self.static.schema.columns],
                "the column is constant in a sequence (task.static); mend it, or train anew "
                "with task.static=[] to read it at every step",
            )  # fmt: skip
            if not labelled:
                self.static.schema.warn_of_unknown(sequences.firsts)
        y = self.targets(sequences, labelled)
        made = []
        for at, (start, end) in enumerate(sequences.bounds()):
            table = sequences.table
            lines = tuple(table.lines[start:end].tolist())
            origin = StepsOrigin(table.file(start), lines[0], sequences.names[at], lines)
            target = y[start:end] if self.roles.steps else y[at] if y.ndim == 1 else y[at : at + 1]
            made.append(
                sn.Sample(
                    end - start,
                    encoded.part(start, end),
                    target,
                    origin=origin,
                    condition=None if conditions is None else conditions[at],
                )
            )
        return made

    def targets(self, sequences: Sequences, labelled: bool) -> NDArray[Any]:
        """The targets of all rows where steps have some, else of all sequences."""
        roles, table = self.roles, sequences.table
        lacking = [name for name in roles.target if name not in table.columns]
        if lacking and labelled:
            table.column(lacking[0], "task.target")
        if lacking:
            count = len(table) if roles.steps else len(sequences)
            if roles.goal == "class":
                return np.full(count, sn.IGNORE)
            shape = (count, len(roles.target)) if len(roles.target) > 1 else count
            return np.full(shape, np.nan)
        if not roles.steps:
            table = table.take(sequences.first_known(roles.target[0]))
        if roles.goal == "class":
            return encode_classes(table, roles.target[0], self.classes, refuse=labelled)
        return encode_numbers(table, roles.target)
