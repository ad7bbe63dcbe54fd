"""runs: run directories as a table, with their figures and states."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from structnet.registry.option_types import home
from structnet.system.terminal import print_rows, visible
from structnet.system.words import command_line, take_flag, take_repeated

if TYPE_CHECKING:
    from structnet.study.listing import Row

HEAD = ("task", "topology", "cell", "metric", "minutes", "state", "directory")
# Column -> what rows are sorted by; None where a row has nothing in it.
COLUMNS: dict[str, Callable[["Row"], Any]] = {
    "task": lambda row: row.task,
    "topology": lambda row: row.topology or row.net,
    "cell": lambda row: row.cell,
    # Figures of different metrics are not compared.
    "metric": lambda row: None if _number(row.figure) is None else (row.metric, row.figure),
    "minutes": lambda row: _number(row.minutes),
    "state": lambda row: row.state,
    "directory": lambda row: row.directory,
    "date": lambda row: row.date,
}


def run(words: list[str]) -> int:
    from structnet.run.directories import RUNS
    from structnet.study.listing import find, read_row

    as_json = take_flag(words, "--json")
    column, down = _order(take_repeated(words, "sort"))
    found = {}
    for folder in [Path(home(word)) for word in words] or [RUNS]:
        if words:
            _check(folder)
        below = find(folder) if folder.is_dir() else []
        if not below:
            raise ValueError(_without_runs(folder))
        found |= {path.resolve(): path for path in below}
    rows = _sorted([read_row(path) for path in found.values()], column, down)
    if as_json:
        print(json.dumps([_plain(row) for row in rows], indent=1))
        return 0
    print_rows(HEAD, [_cells(row) for row in rows], left={*range(len(HEAD))} - {4})
    for row in rows:
        if row.reason:
            print(f"damaged: {visible(row.reason)}")
    return 0


def _order(given: Sequence[str]) -> tuple[str, bool]:
    """The column to sort by, and whether the largest comes first; the newest if none is given."""
    from structnet.registry.suggest import did_you_mean

    if len(given) > 1:
        raise ValueError("sort= is given twice")
    word = given[0] if given else "-date"
    column = word.removeprefix("-")
    if column not in COLUMNS:
        raise ValueError(f"sort={word}: no column {column!r} {did_you_mean(column, COLUMNS)}")
    return column, word.startswith("-")


def _check(folder: Path) -> None:
    """Raise for a path that is no folder, but for the folder of runs, which need not be there."""
    if not folder.exists():
        raise FileNotFoundError(
            f"no folder {folder}; name one with runs below it, as in "
            f"{command_line('runs', 'sweeps')}; options are sort=COLUMN and --json"
        )
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder; name the one above it, {folder.parent}")


def _without_runs(folder: Path) -> str:
    return (
        f"no runs below {folder}; name another folder, as in {command_line('runs', 'DIR')}, or "
        f"begin one: {command_line('train')}"
    )


def _sorted(rows: Sequence["Row"], column: str, down: bool) -> list["Row"]:
    """The rows by a column, those alike with the newest first; rows without a value come last."""
    newest = sorted(rows, key=lambda row: (-row.date, row.directory))
    value = COLUMNS[column]
    known = [row for row in newest if value(row) is not None]
    known.sort(key=value, reverse=down)
    return [*known, *(row for row in newest if value(row) is None)]


def _number(value: float | None) -> float | None:
    """A figure; None for one that is not finite, which has no order and no place in JSON."""
    from structnet.run.plain import is_finite

    return value if is_finite(value) else None


def _plain(row: "Row") -> dict[str, Any]:
    date = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(row.date))
    numbers = {"figure": _number(row.figure), "minutes": _number(row.minutes)}
    return {**asdict(row), "date": date, **numbers}


def _cells(row: "Row") -> list[str]:
    minutes = "" if row.minutes is None else f"{row.minutes:.1f}"
    parts = [row.task or "", row.topology or row.net or "", row.cell or ""]
    return [*parts, row.measured, minutes, _state(row), row.directory]


def _state(row: "Row") -> str:
    if row.state != "stopped" or row.epochs is None:
        return row.state
    return f"stopped after epoch {row.epochs}"
