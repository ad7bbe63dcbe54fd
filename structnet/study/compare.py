"""Comparisons: a run for every row and column of an experiment's `compare` section, in one table.

compare:
  rows: {NAME: [WORD, ...], ...}                  what is compared, such as cells
  columns: {NAME: [WORD, ...], ...}               what it is compared on, such as tasks
  seeds: [0, 1, 2]
  metric: {NAME: min}                             optional: the task's metric that is compared, and
                                                  whether its smallest or largest value is best
  folds: [1, 2, ...]                              optional: values of task.fold, with every seed
  published: {COLUMN: {ROW: FIGURE, ...}, ...}    optional: published figures of the rows
  references: {COLUMN: {NAME: FIGURE, ...}, ...}  optional: published figures of other nets

DIR/comparison.yaml        the section
DIR/COLUMN_ROW_SEED/       one directory per run; COLUMN_ROW_FOLD_SEED if there are folds
DIR/table.json, table.md   the figures of all runs, and where their order differs from the published
DIR/curves.png             validation figures over minutes of training
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from structnet.config.composing import compose
from structnet.data.task import Task
from structnet.registry.suggest import did_you_mean
from structnet.run.components import Config
from structnet.run.directories import new_directory, remove_empty
from structnet.run.run import Run
from structnet.run.saved import read_metrics, saved_config
from structnet.study.curves import draw_curves
from structnet.study.ranking import Key, Monitor, markdown, summarise
from structnet.system.files import check_own_folder, write

SECTION = "comparison.yaml"
PARTS = ("rows", "columns", "seeds", "metric", "folds", "published", "references")
NAME = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True)
class Comparison:
    """The runs of a comparison.

    Arguments:
        section: the section `compare` of the configuration.
        configs: the composed configurations, by (column, row, fold if there are folds, seed).
        monitors: column -> the metric that its runs are compared by, and max or min for best.
        directory: for the runs and the table; None for a new one.
    """

    section: Mapping[str, Any]
    configs: Mapping[Key, Config]
    monitors: Mapping[str, Monitor]
    directory: str | None

    @classmethod
    def compose(
        cls, config: Config, words: Sequence[str], folders: Sequence[str] = ()
    ) -> "Comparison":
        """The comparison of a configuration; ValueError for a mistake in the section or in a run.

        Arguments:
            config: composed of the words, with a section `compare`.
            words: as typed; they override those of rows and columns.
            folders: with the user's own configuration files.
        """
        section = config["compare"]
        _check(section)
        for option, part in (("seed", "seeds"), ("task.fold", "folds")):
            if part in section and any(w.lstrip("+").startswith(f"{option}=") for w in words):
                raise ValueError(
                    f"a comparison has {part} of its own, as in 'compare.{part}=[0,1]'"
                )
        configs, monitors = {}, {}
        for (column, on), (row, what), fold in product(
            section["columns"].items(), section["rows"].items(), section.get("folds", [None])
        ):
            _refuse_chosen(row, [*on, *what], words)
            of_fold = [] if fold is None else [f"task.fold={fold}"]
            try:
                composed = compose([*on, *what, *of_fold, *words], folders)
                task = Run.compose(composed, Path()).task
                monitors[column] = _monitor(section.get("metric"), task)
            except (ValueError, KeyError) as error:
                raise ValueError(f"{row} on {column}: {error}") from error
            del composed["compare"]
            for seed in section["seeds"]:
                repeat = (seed,) if fold is None else (fold, seed)
                configs[column, row, *repeat] = {**composed, "seed": seed}
        return cls(section, configs, monitors, config["run"])

    def run(self, train: Callable[[Run], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
        """Train the runs that are not finished and write the table; the directory and the summary.

        All runs are checked before the first is trained. Raises ValueError if one can't be trained,
        or if the directory holds a run with another configuration or other files.

        Arguments:
            train: trains a run and returns its figures.
        """
        for (column, row, *_), config in self.configs.items():
            try:
                Run.compose(config, Path()).check()
            except (ValueError, LookupError, OSError) as error:
                raise ValueError(f"{row} on {column}: {error}") from error
        directory = self._open()
        try:
            return directory, self._run(directory, train)
        finally:
            _remove_unused(directory)

    def _run(self, directory: Path, train: Callable[[Run], dict[str, Any]]) -> dict[str, Any]:
        places = {key: directory / "_".join(map(str, key)) for key in self.configs}
        for place in places.values():
            check_own_folder(place)
        finished = {key: _finished(places[key], config) for key, config in self.configs.items()}
        figures = {}
        for number, (key, config) in enumerate(self.configs.items(), start=1):
            known = finished[key]
            if known is None:
                *fold, seed = key[2:]
                names = [*key[:2], *(f"fold {one}" for one in fold), f"seed {seed}"]
                print(f"{number}/{len(finished)} {', '.join(map(str, names))}", flush=True)
                config = {**config, "run": str(places[key])}
                known = train(Run.compose(config, places[key]))
            figures[key] = known
        others = (self.section.get(part) or {} for part in ("published", "references"))
        summary = summarise(figures, self.monitors, *others)
        _save(directory / "table.json", json.dumps(summary, indent=1) + "\n")
        _save(directory / "table.md", markdown(summary))
        draw_curves(directory / "curves.png", places, self.monitors)
        return summary

    def _open(self) -> Path:
        if self.directory is None:
            directory = new_directory("comparison")
        else:
            directory = Path(self.directory).expanduser()
            directory.mkdir(parents=True, exist_ok=True)
            if any(directory.iterdir()) and not (directory / SECTION).is_file():
                raise ValueError(f"run={directory} holds no comparison; name another directory")
        _save(directory / SECTION, yaml.safe_dump(dict(self.section), sort_keys=False))
        return directory


def _monitor(given: Any, task: Task) -> Monitor:
    """The metric of a task's runs; ValueError for one that the task does not have."""
    if given is None:
        return task.monitor, task.mode
    modes = ("min", "max")
    named = isinstance(given, dict) and len(given) == 1
    if not named or any(mode not in modes for mode in given.values()):
        raise ValueError(f"compare.metric must be one name with min or max, got {given!r}")
    ((metric, mode),) = given.items()
    try:
        known = task.metrics()
    except ValueError:
        # A task may not know its classes before it has read its data.
        return metric, mode
    _check_known("metric", metric, known, "for compare.metric")
    return metric, mode


def _refuse_chosen(row: str, own: Sequence[str], words: Sequence[str]) -> None:
    """ValueError for a component that is typed although the row or the column names another."""
    chosen = {word.partition("=")[0]: word for word in own}
    for word in words:
        group = word.partition("=")[0]
        if group in chosen and "." not in group and chosen[group] != word:
            raise ValueError(f"the comparison's row {row!r} sets {chosen[group]}: leave out {word}")


def _remove_unused(directory: Path) -> None:
    """Remove a directory in which no run has been started."""
    if {path.name for path in directory.iterdir()} == {SECTION}:
        (directory / SECTION).unlink()
        remove_empty(directory)


def _finished(directory: Path, config: Config) -> dict[str, Any] | None:
    """The figures of a finished run; None if it isn't finished."""
    metrics = read_metrics(directory)
    if not {"test", "train"} <= set(metrics) or "seconds" not in metrics["train"]:
        return None
    # Without the directory, which may have been moved.
    if {**saved_config(directory), "run": None} != {**config, "run": None}:
        raise ValueError(
            f"{directory} was run with another configuration; name another directory with run=DIR"
        )
    return metrics


def _save(file: Path, text: str) -> None:
    write(file, lambda path: path.write_text(text))


def _check(section: Any) -> None:
    """ValueError for a section that is not as the module's docstring says."""
    if not isinstance(section, dict):
        raise ValueError(f"compare must have rows, columns and seeds, got {section!r}")
    for part in section:
        _check_known("part", part, PARTS, "of compare")
    for part in ("rows", "columns"):
        named = section.get(part)
        if not isinstance(named, dict) or not named:
            raise ValueError(f"compare.{part} must map names to lists of words, got {named!r}")
        for name, words in named.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"{name!r} in compare.{part} can't be part of a directory's name")
            if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
                raise ValueError(f"compare.{part}.{name} must be a list of words, got {words!r}")
    for part in ("seeds", "folds"):
        if part == "seeds" or part in section:
            _check_repeats(part, section.get(part))
    for part in ("published", "references"):
        _check_others(section, part)


def _check_repeats(part: str, values: Any) -> None:
    whole = isinstance(values, list) and all(type(v) is int and 0 <= v < 2**32 for v in values)
    if not whole or not values or len(set(values)) < len(values):
        raise ValueError(
            f"compare.{part} must be a list of different whole numbers, got {values!r}"
        )


def _check_others(section: Mapping[str, Any], part: str) -> None:
    """ValueError unless a part maps columns to figures of rows, or of other names."""
    others = section.get(part) or {}
    if not isinstance(others, dict):
        raise ValueError(f"compare.{part} must map columns to figures, got {others!r}")
    for column, figures in others.items():
        _check_known("column", column, section["columns"], f"for compare.{part}")
        if not isinstance(figures, dict):
            raise ValueError(f"compare.{part}.{column} must map names to figures, got {figures!r}")
        for name, figure in figures.items():
            if part == "published":
                _check_known("row", name, section["rows"], f"for compare.published.{column}")
            elif name in section["rows"]:
                raise ValueError(
                    f"{name!r} in compare.{part}.{column} is a row; its figure is one of "
                    "compare.published"
                )
            if type(figure) not in (int, float):
                raise ValueError(f"compare.{part}.{column}.{name} must be a number, got {figure!r}")


def _check_known(what: str, name: Any, known: Collection[str], where: str) -> None:
    if name not in known:
        raise ValueError(f"no {what} {name!r} {where} {did_you_mean(str(name), known)}")
