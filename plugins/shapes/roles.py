"""What the columns of trees and graphs are for."""

from dataclasses import asdict, dataclass
from typing import Any

from structnet.plugins.files.lines import shown
from structnet.plugins.shapes.columns import Columns
from structnet.plugins.tables.table import Table
from structnet.plugins.tables.targets import TARGETS, Goal, infer_goal

# What the column with ids is called.
ID = "id"


@dataclass(frozen=True)
class Roles:
    """What columns are for.

    Arguments:
        target: the columns to predict.
        goal: whether they hold a class or numbers.
        per_node: whether every node has a target, and not every tree or graph.
    """

    target: tuple[str, ...]
    goal: Goal
    per_node: bool

    @classmethod
    def infer(
        cls, columns: Columns, target: tuple[str, ...], goal: Goal | None, per: str | None
    ) -> "Roles":
        """The columns to predict: those given, or called as such columns are.

        Columns of whole trees and graphs come first. ValueError, with the columns that there are,
        for one that is not there.
        """
        tables = {"whole": columns.own, "node": columns.nodes}
        searched = {name: one for name, one in tables.items() if per in (None, name)}
        for name, table in searched.items():
            found = target or _called(table)
            if found and all(one in table.columns for one in found):
                return cls(found, infer_goal(table, found, goal), name == "node")
        columns_of = f"nodes have {_names(columns.nodes)}; they themselves {_names(columns.own)}"
        what = f"no column {', '.join(map(repr, target))}" if target else "task.target is missing"
        of = {None: "", "node": " of nodes", "whole": " of whole trees or graphs"}[per]
        raise ValueError(
            f"{columns.own.path}: {what}{of}: {columns_of}; set task.target to one of these"
        )

    @classmethod
    def of(cls, plain: Any) -> "Roles":
        """Those of plain data; ValueError for what is none."""
        good = (
            isinstance(plain, dict)
            and isinstance(plain.get("target"), list)
            and all(isinstance(name, str) for name in plain["target"])
            and plain.get("goal") in ("class", "number")
            and type(plain.get("per_node")) is bool
        )
        if not good:
            raise ValueError(f"learned, 'schema' is not one of trees or graphs: {shown(plain)}")
        return cls(tuple(plain["target"]), plain["goal"], plain["per_node"])

    def plain(self) -> dict[str, Any]:
        return asdict(self) | {"target": list(self.target)}

    def table(self, columns: Columns) -> Table:
        """The table that has the targets, if any."""
        return columns.nodes if self.per_node else columns.own


def _called(table: Table) -> tuple[str, ...]:
    by_name = {name.lower(): name for name in reversed(table.columns)}
    return next(((by_name[name],) for name in TARGETS if name in by_name), ())


def _names(table: Table) -> str:
    return ", ".join(map(repr, table.columns)) or "no columns"
