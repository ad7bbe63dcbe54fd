"""Sweeps: a run for every combination of choices, and one table of all of them.

DIR/sweep.json    the list: every run's words and directory, and what it failed of if it did
DIR/table.md      the figures of all of them, once the last has ended

The runs lie in DIR where it is named, else where any run lies.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from structnet.config.compose import compose
from structnet.registry.plugin import blame, describe
from structnet.run.components import Config
from structnet.run.directories import check_directory, new_directory
from structnet.run.plain import read_json
from structnet.run.resuming import Saved, newest
from structnet.run.run import Run
from structnet.run.saved import read_metrics, saved_config
from structnet.study.ranking import markdown_table
from structnet.system.files import write
from structnet.system.signals import Stopped
from structnet.system.terminal import visible
from structnet.system.words import command_line

LIST = "sweep.json"
SWEEPS = Path("sweeps")
# Of the part of a directory's name that says what a run has of its own.
LONGEST = 60
Figures = dict[str, Any]


@dataclass
class Part:
    """A run of a sweep: its words, its directory once it has one, and what it failed of."""

    words: list[str]
    config: Config
    run: str | None = None
    failed: str | None = None

    @property
    def figures(self) -> Figures | None:
        """The figures of a run that has been finished."""
        return (read_metrics(Path(self.run)) or None) if self.run else None


@dataclass
class Sweep:
    """A list of runs, trained one after the other; one that fails does not end the others."""

    directory: Path | None
    parts: list[Part]
    folders: Sequence[str] = ()

    @classmethod
    def compose(cls, combinations: Sequence[list[str]], configs: Sequence[Config],
                folders: Sequence[str]) -> "Sweep":  # fmt: skip
        """A new sweep, or the one that its directory holds; ValueError for a directory in use."""
        parts = [Part(w, config) for w, config in zip(combinations, configs, strict=True)]
        names = [config["run"] for config in configs]
        named = {name for name in names if name is not None}
        if len(named) == 1 and None not in names:
            return cls._named(Path(named.pop()).expanduser(), parts, folders)
        for part, name in zip(parts, names, strict=True):
            if names.count(name) > 1 and name is not None:
                raise ValueError(f"several runs of the sweep have run={name}; leave it out")
            check_directory(part.config)
        return cls(None, parts, folders)

    @classmethod
    def _named(cls, directory: Path, parts: list[Part], folders: Sequence[str]) -> "Sweep":
        for number, (part, name) in enumerate(zip(parts, _names(parts), strict=True), start=1):
            values = re.sub(r"[^A-Za-z0-9.+-]+", "-", name.replace("=", " "))
            part.run = str(directory / f"{number}_{values[:LONGEST]}")
        if (directory / LIST).is_file():
            found = cls.open(directory)
            if [part.words for part in found.parts] != [part.words for part in parts]:
                raise ValueError(f"run={directory} holds another sweep; name another directory")
            return found
        check_directory({"run": str(directory)})
        return cls(directory, parts, folders)

    @classmethod
    def open(cls, directory: str | Path) -> "Sweep":
        """The sweep that a directory holds; ValueError names what is wrong with its list."""
        file = Path(directory) / LIST
        try:
            found = read_json(file)
            listed = [(list(map(str, one["words"])), one["run"]) for one in found["runs"]]
            if not listed or not all(map(_is_place, (run for _, run in listed))):
                raise TypeError("run is the name of a directory")
            folders = list(map(str, found["folders"]))
        except (TypeError, KeyError) as error:
            raise ValueError(f"{file} is no list of a sweep: {error!r}") from error
        parts = [
            Part(words, compose(words, folders), _place_now(run, Path(directory)))
            for words, run in listed
        ]
        return cls(Path(directory), parts, folders)

    def run(self, train: Callable[[Run, Saved | None], Figures]) -> None:
        """Train what is not yet finished; KeyboardInterrupt says how to go on."""
        self._check()
        self.directory = self.directory or new_directory("sweep", SWEEPS)
        self._save()
        print(
            f"sweep: {visible(str(self.directory))}; if it is stopped, go on with: {self.way_on}",
            flush=True,
        )
        for number, part in enumerate(self.parts, start=1):
            print(f"{number}/{len(self.parts)} {command_line('train', *part.words)}", flush=True)
            if part.failed or part.figures is not None:
                print(visible(part.failed or f"finished already: {part.run}"), flush=True)
                continue
            try:
                run = self._begin(part)
                train(run, newest(run.manifest))
            except KeyboardInterrupt as error:
                raise Stopped(f"stopped; go on with: {self.way_on}") from error
            # Whatever error a run fails with, the others are trained.
            except Exception as error:
                part.failed = _reason(error)
                print(f"failed: {visible(part.failed)}", flush=True)
            self._save()
        self._write("table.md", markdown_table(*self.table()) + "\n")

    @property
    def way_on(self) -> str:
        return command_line("train", f"resume={self.directory}")

    @property
    def failures(self) -> list[str]:
        names = _names(self.parts)
        return [
            f"{name}: {part.failed}"
            for name, part in zip(names, self.parts, strict=True)
            if part.failed
        ]

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows: what is another from run to run, its test figures, its directory."""
        figures = [(part.figures or {}).get("test", {}) for part in self.parts]
        columns = list(dict.fromkeys(name for one in figures for name in one))
        rows = [
            [name, *(f"{one[c]:.4f}" if c in one else "" for c in columns), _place(part)]
            for name, one, part in zip(_names(self.parts), figures, self.parts, strict=True)
        ]
        return ["", *columns, "directory"], rows

    def _begin(self, part: Part) -> Run:
        """The part's run, in the directory that it begins or goes on in."""
        self._check_place(part)
        if part.run is None:
            run = Run.new(part.config)
            part.run = str(run.directory)
        self._save()
        return Run.compose({**part.config, "run": part.run}, Path(part.run))

    def _check_place(self, part: Part) -> None:
        """ValueError for a directory outside the sweep's that holds anything but the part's run."""
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
        """Find what cannot be trained, before the first is."""
        for part in self.parts:
            if part.figures is None:
                try:
                    Run.compose(part.config, Path()).check()
                except (ValueError, LookupError, OSError) as error:
                    part.failed = _reason(error)
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


def _names(parts: Sequence[Part]) -> list[str]:
    """What tells the runs of a sweep apart: the words that not all of them have."""
    shared = set.intersection(*(set(part.words) for part in parts))
    own = [[word for word in part.words if word not in shared] for part in parts]
    return [" ".join(words) or f"run {number}" for number, words in enumerate(own, start=1)]


def _reason(error: Exception) -> str:
    """Why a run failed, in one line, with the place in the code where that helps."""
    said = blame(error)
    if said is None and isinstance(error, ArithmeticError | LookupError | OSError | ValueError):
        said = " ".join(str(error).split())
    return said or describe(error)


def _is_place(name: Any) -> bool:
    """Whether it may be a directory's name: none yet, or one that every system can look up."""
    return name is None or (type(name) is str and 0 < len(name) < 1024 and "\0" not in name)


def _place_now(run: str | None, directory: Path) -> str | None:
    """A run's directory; one that is gone lies in the sweep's, which has moved, or is made there.

    The list may be another's, who would have it made anywhere.
    """
    return run if run is None or Path(run).exists() else str(directory / Path(run).name)


def _is_below(path: Path, directory: Path) -> bool:
    """Whether it lies in a directory, wherever links lead."""
    return directory.resolve() in path.resolve().parents


def _place(part: Part) -> str:
    return "failed" if part.failed else str(part.run)
