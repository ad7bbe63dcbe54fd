"""What the columns of a table of sequences are for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from structnet.plugins.files.lines import shown
from structnet.plugins.sequence.records.grouping import IDS, ORDERS, named, required
from structnet.plugins.sequence.records.sequences import Sequences, gap_name, group
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.targets import TARGETS, Goal, infer_goal

NAMES = ("id", "order", "target", "goal", "steps")


@dataclass(frozen=True)
class Roles:
    """What columns are for.

    Arguments:
        id: names the sequence of a row.
        order: by which the steps of a sequence are ordered; None for the order of rows.
        target: the columns to predict.
        goal: whether they hold a class or numbers.
        steps: whether every step has a target.
        timed: whether `order` has times, not numbers; None where that is not known.
    """

    id: str
    order: str | None
    target: tuple[str, ...]
    goal: Goal = "class"
    steps: bool = False
    timed: bool | None = None

    @classmethod
    def infer(cls, table: Table, id: str | None, order: str | None, target: Any) -> "Roles":
        """The columns of id, order and target: those given, or called as such columns are."""
        target = tuple(target) or (required(table, None, TARGETS, "task.target"),)
        for name in target:
            table.column(name, "task.target")
        found = cls(
            required(table, id, IDS, "task.id"), named(table, order, ORDERS, "task.order"), target
        )
        used = [found.id, found.order, *target]
        if twice := {name for name in used if used.count(name) > 1}:
            raise ValueError(
                f"{table.path}: column {min(map(str, twice))!r} has two uses: task.id={found.id}, "
                f"task.order={found.order}, task.target={','.join(target)}; set each to its own"
            )
        if found.order is None:
            return found
        return replace(found, timed=table.columns[found.order].dtype.kind == "M")

    @classmethod
    def of(cls, plain: Any) -> "Roles":
        """Those of plain data; ValueError for what is none."""
        good = (
            isinstance(plain, dict)
            and isinstance(plain.get("id"), str)
            and isinstance(plain.get("order"), str | None)
            and isinstance(plain.get("target"), list)
            and all(isinstance(name, str) for name in plain["target"])
            and plain.get("goal") in ("class", "number")
            and type(plain.get("steps")) is bool
            and type(plain.get("timed")) in (bool, type(None))
        )
        if not good:
            raise ValueError(f"learned, 'schema' is not one of sequences: {shown(plain)}")
        given: dict[str, Any] = {name: plain[name] for name in NAMES}
        given["target"] = tuple(plain["target"])
        return cls(**given, timed=plain.get("timed"))

    def plain(self) -> dict[str, Any]:
        return asdict(self) | {"target": list(self.target)}

    @property
    def used(self) -> list[str]:
        """All columns that have a use."""
        return [self.id, *([] if self.order is None else [self.order]), *self.target]

    def group(self, table: Table) -> Sequences:
        """The sequences of a table.

        Errors are those of `group_rows`; ValueError where steps are ordered by times and were by
        numbers in training, or the other way round.
        """
        found = group(table, self.id, self.order)
        if self.order is None or self.timed is None:
            return found
        values = found.table.columns[self.order]
        kinds = ["a number, such as 3", "a time, such as 2024-05-01T13:00"]
        if (values.dtype.kind == "M") != self.timed:
            value, other = str(values[0]), kinds[not self.timed].split(",")[0]
            expected = f"{kinds[self.timed]}, by which training is ordered; this is {other}"
            raise found.table.refuse(0, self.order, value, f"{expected} (task.order)")
        return found

    def with_target(self, sequences: Sequences, goal: Goal | None, steps: bool | None) -> "Roles":
        """With what the targets are, given or by their values.

        ValueError, which names the row, for targets that differ in a sequence with steps=false.
        """
        table = sequences.table
        row = None if steps else _other(sequences, self.target)
        if row is not None and steps is False:
            first = table.names(self.target[0])
            raise table.refuse(
                row, self.target[0], first[row],
                f"the target of all of sequence {table.names(self.id)[row]!r}, as in "
                "the rows before; for a target per step set task.steps=true",
            )  # fmt: skip
        every = row is not None if steps is None else steps
        return replace(self, goal=infer_goal(table, self.target, goal), steps=every)


def _other(sequences: Sequences, target: Sequence[str]) -> int | None:
    """The first row whose target differs from the one before it in its sequence."""
    for name in target:
        values = sequences.table.names(name)
        for start, end in sequences.bounds():
            known = [row for row in range(start, end) if values[row] is not None]
            for before, row in pairwise(known):
                if values[row] != values[before]:
                    return row
    return None


def inputs(sequences: Sequences, roles: Roles, others: Sequence[str | None]) -> list[str]:
    """The columns that a net reads: all without a use, gaps only where they differ."""
    used = {*roles.used, *others}
    found = [name for name in sequences.table.columns if name not in used]
    if roles.order is not None:
        gap = gap_name(roles.order)
        values = sequences.table.columns[gap]
        inner = np.ones(len(values), bool)
        inner[sequences.ptr[:-1]] = False
        if not inner.any() or np.ptp(values[inner]) <= 1e-9 * np.abs(values).max():
            found.remove(gap)
    return found
