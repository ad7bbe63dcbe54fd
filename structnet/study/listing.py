"""Run directories as rows of a list: what was trained, how well, for how long, and the state.

Only JSON, YAML and CSV are read, and nothing is written. No task or net is made, so that a run has
its row where a plugin is missing, and torch is not imported.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from structnet import DataWarning
from structnet.run.directories import LOCK, can_resume, is_locked
from structnet.run.logs import last_validation
from structnet.run.manifest import PREVIOUS
from structnet.run.plain import is_finite, read_json
from structnet.run.saved import read_metrics, saved_config
from structnet.study.sweep_list import LIST, read_list
from structnet.system.memory import as_bytes
from structnet.system.reading import check_file

CONFIG = "config.yaml"
GROUPS = ("task", "topology", "cell", "net")
# The largest JSON file that is read, in bytes: a vocabulary of a million words.
LARGEST = 1 << 24
# From this on, a figure is shown with a power of ten.
LARGE = 1e9


@dataclass(frozen=True)
class Row:
    """A run directory.

    Arguments:
        directory: the directory.
        date: when its configuration was written, at the run's begin or when it was last resumed, in
            seconds since 1970.
        state: finished; stopped, with a checkpoint to resume from; running, its lock held by a
            process; begun, with nothing to resume; or damaged.
        reason: what is damaged.
        task, topology, cell, net: their names; no topology and no cell if the net uses none.
        metric: the metric that selects the best epoch, if known.
        figure: its last one.
        split: what the figure was measured on, "test" or "validation".
        minutes: the minutes of training, up to the last validation if it has not ended.
        epochs: the number of epochs that are done.
    """

    directory: str
    date: float
    state: str = ""
    reason: str | None = None
    task: str | None = None
    topology: str | None = None
    cell: str | None = None
    net: str | None = None
    metric: str | None = None
    figure: float | None = None
    split: str | None = None
    minutes: float | None = None
    epochs: int | None = None

    @property
    def measured(self) -> str:
        """The metric and its figure, and that it is of a validation; empty if it isn't known."""
        if self.figure is None:
            return ""
        shown = f"{self.figure:.4f}" if abs(self.figure) < LARGE else f"{self.figure:.4g}"
        return f"{self.metric} {shown}{' (validation)' if self.split == 'validation' else ''}"


def find(folder: Path) -> list[Path]:
    """The run directories below a folder, or the folder itself, and those of sweeps below it.

    Links and hidden folders are not followed. A DataWarning names what can't be read.
    """
    found = {path.resolve(): path for path in _below(folder)}
    return list(found.values())


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_warn):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(place)
        if _is_run(here, files):
            folders.clear()
            yield here
        elif LIST in files:
            yield from _of_sweep(here)


def _is_run(place: Path, files: list[str]) -> bool:
    # The configuration is written after the first step.
    return CONFIG in files or (LOCK in files and is_locked(place))


def _of_sweep(directory: Path) -> Iterator[Path]:
    """The directories of a sweep's runs, which need not be in its own."""
    try:
        _check_size(directory / LIST)
        listed, _ = read_list(directory)
    except (OSError, ValueError) as error:
        _warn(error)
        return
    for _, run in listed:
        if run is not None and Path(run, CONFIG).is_file():
            yield Path(run)


def read_row(directory: Path) -> Row:
    """The row of a run directory; of what can't be read, the row says why."""
    row, running = Row(str(directory), _date(directory)), is_locked(directory)
    if running and not (directory / CONFIG).exists():
        return replace(row, state="running")
    try:
        config = saved_config(directory)
        row = replace(row, **{group: _name(config, group) for group in GROUPS})
        if row.task is None:
            raise ValueError(f"{directory / CONFIG} has no task.name")
        metrics = {} if running else _metrics(directory)
        if metrics:
            return replace(row, state="finished", **_of_net(row, metrics), **_tested(metrics))
        described = _description(directory)
        validated = _validated(directory, described.get("monitor"))
        state = "running" if running else _unfinished(directory)
        return replace(row, state=state, **_of_net(row, described), **validated)
    except (OSError, ValueError) as error:
        return replace(row, state="damaged", reason=str(error))


def _date(directory: Path) -> float:
    file = directory / CONFIG
    return os.lstat(file if os.path.lexists(file) else directory).st_mtime


def _name(config: Mapping[str, Any], group: str) -> str | None:
    choice = config.get(group)
    return choice.get("name") if isinstance(choice, dict) else None


def _metrics(directory: Path) -> dict[str, Any]:
    """The figures of a finished run; empty for another."""
    _check_size(directory / "metrics.json")
    metrics = read_metrics(directory)
    # Of a run that was resumed, until it is finished again, the figures are those from before.
    resumed = (directory / PREVIOUS).is_file()
    return metrics if metrics.get("test") and not resumed else {}


def _description(directory: Path) -> dict[str, Any]:
    file = directory / "config.json"
    if not file.is_file() or check_file(file) > LARGEST:
        return {}
    found = read_json(file)
    return found if isinstance(found, dict) else {}


def _of_net(row: Row, record: Mapping[str, Any]) -> dict[str, None]:
    """What a net that uses no topology and no cell leaves out, as the run's record says."""
    return dict.fromkeys(("topology", "cell")) if record.get("parts") == [row.net] else {}


def _tested(metrics: Mapping[str, Any]) -> dict[str, Any]:
    test, train = metrics["test"], metrics.get("train", {})
    # Older versions did not save the name of the metric: the first of the task's is shown.
    given = metrics.get("monitor")
    metric = given if isinstance(given, str) and given in test else next(iter(test))
    return {
        "metric": metric,
        "figure": test[metric],
        "split": "test",
        "minutes": train["seconds"] / 60 if "seconds" in train else None,
        "epochs": _count(train.get("epochs")),
    }


def _validated(directory: Path, metric: Any) -> dict[str, Any]:
    """What was logged after the last validation."""
    logged = last_validation(directory / "logs")
    last = _count(logged.get("epoch"))
    found = {"minutes": logged.get("minutes"), "epochs": None if last is None else last + 1}
    if f"validation/{metric}" not in logged:
        return found
    return {
        **found,
        "metric": metric,
        "figure": logged[f"validation/{metric}"],
        "split": "validation",
    }


def _count(value: Any) -> int | None:
    return int(value) if is_finite(value) else None


def _unfinished(directory: Path) -> str:
    return "stopped" if can_resume(directory) else "begun"


def _check_size(file: Path) -> None:
    if file.is_file() and (size := check_file(file)) > LARGEST:
        raise ValueError(f"{file} has {as_bytes(size)}, expected at most {as_bytes(LARGEST)}")


def _warn(error: Exception) -> None:
    warnings.warn(f"{error}; it is left out", DataWarning, stacklevel=2)
