"""Sweeps: a run for every combination of values, one or several at a time, and one table.

DIR/sweep.json    the list of runs: words, directory, and the error of a run that failed
DIR/table.md      the figures of all runs, written at the end

If DIR is named, the runs are in it, otherwise in runs/.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structnet.config.composing import compose
from structnet.registry.plugin import blame, describe
from structnet.run.components import Config
from structnet.run.directories import check_directory, new_directory
from structnet.run.resuming import Saved, newest
from structnet.run.run import Run
from structnet.run.saved import read_metrics, saved_config
from structnet.study.jobs import Jobs, Rows
from structnet.study.ranking import markdown_table
from structnet.study.sweep_list import LIST, read_list
from structnet.system.files import write
from structnet.system.signals import Stopped
from structnet.system.terminal import visible
from structnet.system.words import command_line

SWEEPS = Path("sweeps")
# The most characters that a run's words take in the name of its directory.
LONGEST = 60
# Of more figures than these, a short table has the first ones.
MANY, FIRST = 8, 4
Figures = dict[str, Any]


@dataclass
class Part:
    """A run of a sweep.

    Arguments:
        words: as they would be typed for this run alone.
        config: the configuration that they compose.
        run: the directory, once there is one.
        failed: the error, if the run failed.
    """

    words: list[str]
    config: Config
    run: str | None = None
    failed: str | None = None

    @property
    def figures(self) -> Figures | None:
        """The figures of a finished run; None if it isn't finished."""
        return (read_metrics(Path(self.run)) or None) if self.run else None


@dataclass
class Sweep:
    """Runs, one or some of which are trained at a time; if one fails, the others go on.

    Arguments:
        directory: for the list and the table; None for a new one.
        parts: the runs.
        folders: with the user's own configuration files.
        jobs: the number of runs at a time; more than 1 are trained in processes of their own.
    """

    directory: Path | None
    parts: list[Part]
    folders: Sequence[str] = ()
    jobs: int = 1

    @classmethod
    def compose(cls, combinations: Sequence[list[str]], configs: Sequence[Config],
                folders: Sequence[str], jobs: int = 1) -> "Sweep":  # fmt: skip
        """A new sweep, or the same one in its directory; ValueError for a directory in use."""
        parts = [Part(w, config) for w, config in zip(combinations, configs, strict=True)]
        names = [config["run"] for config in configs]
        named = {name for name in names if name is not None}
        if len(named) == 1 and None not in names:
            return cls._named(Path(named.pop()).expanduser(), parts, folders, jobs)
        for part, name in zip(parts, names, strict=True):
            if names.count(name) > 1 and name is not None:
                raise ValueError(f"several runs of the sweep have run={name}; leave it out")
            check_directory(part.config)
        return cls(None, parts, folders, jobs)

    @classmethod
    def _named(cls, directory: Path, parts: list[Part],
               folders: Sequence[str], jobs: int) -> "Sweep":  # fmt: skip
        for number, (part, name) in enumerate(zip(parts, _names(parts), strict=True), start=1):
            part.run = str(directory / folder_name(number, name))
        if (directory / LIST).is_file():
            found = cls.open(directory, jobs)
            if [part.words for part in found.parts] != [part.words for part in parts]:
                raise ValueError(f"run={directory} holds another sweep; name another directory")
            return found
        check_directory({"run": str(directory)})
        return cls(directory, parts, folders, jobs)

    @classmethod
    def open(cls, directory: str | Path, jobs: int = 1) -> "Sweep":
        """The sweep in a directory; ValueError says what is wrong with its list."""
        listed, folders = read_list(Path(directory))
        parts = [Part(words, compose(words, folders), run) for words, run in listed]
        return cls(Path(directory), parts, folders, jobs)

    def run(self, train: Callable[[Run, Saved | None], Figures]) -> None:
        """Train the runs that are not finished and write the table.

        `Stopped` says how to resume. Raises ValueError if none of the runs can be trained.

        Arguments:
            train: trains a run by itself, from a checkpoint if there is one, and returns its
                figures.
        """
        self._check()
        self.directory = self.directory or new_directory("sweep", SWEEPS)
        self._save()
        print(
            f"sweep: {visible(str(self.directory))}; if it is stopped, go on with: "
            f"{self.resume_command}",
            flush=True,
        )
        try:
            if self.jobs == 1:
                self._train_by_turns(train)
            else:
                self._train_at_once()
        except KeyboardInterrupt as error:
            raise Stopped(f"stopped; go on with: {self.resume_command}") from error
        self._write("table.md", markdown_table(*self.table()) + "\n")

    @property
    def resume_command(self) -> str:
        return resume_command(self.directory, self.jobs)

    @property
    def failures(self) -> list[str]:
        names = _names(self.parts)
        return [
            f"{name}: {part.failed}"
            for name, part in zip(names, self.parts, strict=True)
            if part.failed
        ]

    def table(self, short: bool = False) -> tuple[list[str], list[list[str]]]:
        """The head and the rows of a table: words that differ, test figures, directory.

        Arguments:
            short: whether of many figures, such as those of each kind, only the first are there.
        """
        figures = [(part.figures or {}).get("test", {}) for part in self.parts]
        columns = list(dict.fromkeys(name for one in figures for name in one))
        if short and len(columns) > MANY:
            columns = columns[:FIRST]
        rows = [
            [name, *(f"{one[c]:.4f}" if c in one else "" for c in columns), _place(part)]
            for name, one, part in zip(_names(self.parts), figures, self.parts, strict=True)
        ]
        return ["", *columns, "directory"], rows

    def _train_by_turns(self, train: Callable[[Run, Saved | None], Figures]) -> None:
        for number, part in enumerate(self.parts, start=1):
            print(f"{number}/{len(self.parts)} {command_line('train', *part.words)}", flush=True)
            if part.failed or part.figures is not None:
                print(visible(part.failed or f"finished already: {part.run}"), flush=True)
                continue
            try:
                run = self._begin(part)
                train(run, newest(run.manifest))
            # Any error: the other runs are trained all the same.
            except Exception as error:
                part.failed = reason(error)
                print(f"failed: {visible(part.failed)}", flush=True)
            self._save()

    def _train_at_once(self) -> None:
        names, waiting = _names(self.parts), iter(enumerate(self.parts, start=1))

        def end(number: int, failed: str | None) -> None:
            part = self.parts[number - 1]
            part.failed = failed
            rows.add(number, names[number - 1], part.run, "failed" if failed else None)
            if failed:
                print(f"failed: {visible(failed)}", flush=True)
            self._save()

        def begin() -> bool:
            number, part = next(waiting, (0, None))
            if part is None:
                return False
            if not part.failed and part.figures is None:
                try:
                    jobs.start(number, part.words, self._begin(part).directory)
                    return True
                # Any error: the other runs are trained all the same.
                except Exception as error:
                    part.failed = reason(error)
            end(number, part.failed)
            return True

        with Jobs(min(self.jobs, len(names)), self.folders) as jobs:
            print(jobs, flush=True)
            rows = Rows(len(names), max(map(len, names)))
            jobs.train(begin, end)

    def _begin(self, part: Part) -> Run:
        """The part's run, in a new directory or in the one that it was started in."""
        self._check_place(part)
        if part.run is None:
            run = Run.new(part.config)
            part.run = str(run.directory)
        self._save()
        return Run.compose({**part.config, "run": part.run}, Path(part.run))

    def _check_place(self, part: Part) -> None:
        """ValueError if the run's directory, outside the sweep's, is in use for anything else."""
        assert self.directory is not None
        if part.run is None or _is_below(Path(part.run), self.directory):
            return
        if not (Path(part.run) / "config.yaml").is_file():
            check_directory({"run": part.run})
        elif {**saved_config(part.run), "run": None} != {**part.config, "run": None}:
            raise ValueError(
                f"{part.run} was run with another configuration than {self.directory / LIST} says; "
                "put the name of a new directory there for its run"
            )

    def _check(self) -> None:
        """Mark runs that can't be trained as failed, before the first is trained."""
        for part in self.parts:
            if part.figures is None:
                try:
                    Run.compose(part.config, Path()).check()
                except (ValueError, LookupError, OSError) as error:
                    part.failed = reason(error)
        if all(part.failed for part in self.parts):
            raise ValueError(f"none of the runs can be trained: {self.parts[0].failed}")

    def _save(self) -> None:
        runs = [{"words": p.words, "run": p.run, "failed": p.failed} for p in self.parts]
        text = json.dumps({"folders": [str(one) for one in self.folders], "runs": runs}, indent=1)
        self._write(LIST, text + "\n")

    def _write(self, name: str, text: str) -> None:
        assert self.directory is not None
        self.directory.mkdir(parents=True, exist_ok=True)
        write(self.directory / name, lambda path: path.write_text(text))


def resume_command(directory: Path | None, jobs: int) -> str:
    """The command that goes on with a sweep or a search, with as many runs at a time."""
    return command_line("train", f"resume={directory}", *(["--jobs", jobs] if jobs > 1 else []))


def _names(parts: Sequence[Part]) -> list[str]:
    """The names of the runs: their words that not all of them have."""
    shared = set.intersection(*(set(part.words) for part in parts))
    own = [[word for word in part.words if word not in shared] for part in parts]
    return [" ".join(words) or f"run {number}" for number, words in enumerate(own, start=1)]


def folder_name(number: int, name: str) -> str:
    """The name of a run's directory in that of its sweep: its number and the words it has."""
    values = re.sub(r"[^A-Za-z0-9.+-]+", "-", name.replace("=", " "))
    return f"{number}_{values[:LONGEST]}"


def reason(error: Exception) -> str:
    """The error of a run in one line, with its place in the code unless its message is enough."""
    said = blame(error)
    if said is None and isinstance(error, ArithmeticError | LookupError | OSError | ValueError):
        said = " ".join(str(error).split())
    return said or describe(error)


def _is_below(path: Path, directory: Path) -> bool:
    """Whether a path is inside a directory, with links resolved."""
    return directory.resolve() in path.resolve().parents


def _place(part: Part) -> str:
    return "failed" if part.failed else str(part.run)
