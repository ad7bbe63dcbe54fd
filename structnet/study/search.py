"""Searches: runs whose values Optuna chooses, in view of the figures of those before.

DIR/search.json   the words of the search, and its number of trials
DIR/journal.log   the trials, see structnet.study.trials
DIR/N_VALUES/     one directory per trial
DIR/table.md      the figures of all trials
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from structnet.config.sweeping import Interval
from structnet.run.directories import check_directory, new_directory
from structnet.run.logs import last_validation
from structnet.run.manifest import LAST
from structnet.run.plain import read_json
from structnet.run.saved import read_metrics
from structnet.study.jobs import Jobs, Rows
from structnet.study.ranking import markdown_table
from structnet.study.searched import Searched
from structnet.study.sweep import SWEEPS, folder_name, reason, resume_command
from structnet.study.trials import Trials, import_optuna
from structnet.system.files import check_own_folder, write
from structnet.system.signals import Stopped
from structnet.system.terminal import visible
from structnet.system.words import command_line

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LIST = "search.json"
STATES = {"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}


@dataclass
class Training:
    """A trial in training.

    Arguments:
        name: the words that others do not share.
        directory: the run's.
        epochs: their number, after which it is not pruned.
        seen: the time of the checkpoint up to which it has been reported, in nanoseconds.
        pruned: whether it was told to end.
    """

    name: str
    directory: Path
    epochs: int = 0
    seen: int = 0
    pruned: bool = False


class Search:
    """Trials, some of which are trained at a time, in processes of their own.

    ModuleNotFoundError says what to install without Optuna.

    Arguments:
        searched: the words.
        count: the number of trials, with those that fail or are pruned.
        directory: for the list, the journal and the runs; None for a new one.
        jobs: the number of runs at a time.
    """

    def __init__(self, searched: Searched, count: int, directory: Path | None, jobs: int):
        import_optuna()
        self.searched, self.count, self.jobs = searched, count, jobs
        self.directory = directory
        self._training: dict[int, Training] = {}

    @classmethod
    def compose(cls, searched: Searched, count: int | None, jobs: int) -> "Search":
        """A new search, or the same one in its directory; ValueError for a directory in use."""
        directory = searched.directory
        if directory is not None and (directory / LIST).is_file():
            found = cls.open(directory, count, jobs)
            if found.searched.words != searched.words:
                raise ValueError(f"run={directory} holds another search; name another directory")
            return found
        if count is None:
            raise ValueError("a search takes a number of runs: write it, as in --trials 20")
        if directory is not None:
            check_directory({"run": str(directory)})
        return cls(searched, count, directory, jobs)

    @classmethod
    def open(cls, directory: Path, count: int | None, jobs: int) -> "Search":
        """The search in a directory, with another number of trials if one is given.

        ValueError says what is wrong with its list.
        """
        file = directory / LIST
        try:
            found = read_json(file)
            words, folders = (list(map(str, found[key])) for key in ("words", "folders"))
            known = found["trials"]
            if type(known) is not int or known < 1:
                raise TypeError("trials must be a whole number, at least 1")
        except (TypeError, KeyError) as error:
            raise ValueError(f"{file} is not the list of a search: {error!r}") from error
        return cls(Searched(words, folders), count or known, directory, jobs)

    def run(self) -> None:
        """Train the trials that are left and write the table; `Stopped` says how to go on.

        Raises ValueError, before the first is trained, for a word that is not as it should be.
        """
        run = self.searched.check()
        self.monitor, self.mode = run.task.monitor, run.task.mode
        self.directory = self.directory or new_directory("search", SWEEPS)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._save()
        varied = self.searched.varied
        self.trials = Trials(self.directory, varied, self.mode, run.config["seed"])
        place = visible(str(self.directory))
        print(f"search: {place}; if it is stopped, go on with: {self.resume_command}")
        for key, values in varied.items():
            shown = values if isinstance(values, Interval) else ", ".join(values)
            print(visible(f"{key}: {shown}"))
        try:
            with Jobs(min(self.jobs, self.count), self.searched.folders) as jobs:
                print(jobs, flush=True)
                self._rows = Rows(self.count, self.searched.width)
                jobs.train(lambda: self._begin(jobs), self._end, lambda: self._watch(jobs))
        except KeyboardInterrupt as error:
            raise Stopped(f"stopped; go on with: {self.resume_command}") from error
        self._write("table.md", markdown_table(*self.table()) + "\n")

    @property
    def resume_command(self) -> str:
        return resume_command(self.directory, self.jobs)

    @property
    def failures(self) -> list[str]:
        """The failed trials, each with its reason."""
        failed = [one for one in self.trials.all() if one.state.name == "FAIL"]
        return [f"{one.number + 1}: {one.user_attrs.get('failed')}" for one in failed]

    @property
    def best(self) -> str | None:
        """The trial with the best validation figure, and its command; None if none has ended."""
        ended = [one for one in self.trials.all() if one.state.name == "COMPLETE"]
        if not ended:
            return None
        best = (max if self.mode == "max" else min)(ended, key=lambda one: one.value or 0.0)
        words, _ = self.searched.composed(best.params)
        folders = [word for folder in self.searched.folders for word in ("--config-dir", folder)]
        figure = f"validation {self.monitor} {best.value:.4f}"
        return f"best: {best.number + 1}, {figure}: {command_line('train', *folders, *words)}"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The head and the rows of a table: number, values, state, figures and directory."""
        head = ["", "", "state", f"validation {self.monitor}", f"test {self.monitor}", "directory"]
        return head, [self._row(one) for one in self.trials.all() if one.params]

    def _row(self, trial: "FrozenTrial") -> list[str]:
        place = self._place(trial)
        tested = read_metrics(place).get("test", {}).get(self.monitor)
        figures = ["" if one is None else f"{one:.4f}" for one in (trial.value, tested)]
        state = STATES.get(trial.state.name, "")
        name = self.searched.name(trial.params)
        return [str(trial.number + 1), name, state, *figures, str(place)]

    def _place(self, trial: "FrozenTrial") -> Path:
        assert self.directory is not None
        return self.directory / folder_name(trial.number + 1, self.searched.name(trial.params))

    def _begin(self, jobs: Jobs) -> bool:
        """Start the next trial; False if there is none."""
        trial = self.trials.take(self.count)
        if trial is None:
            return False
        name, place = self.searched.name(trial.params), self._place(trial)
        self._training[trial.number] = training = Training(name, place)
        failed = None
        try:
            check_own_folder(place)
            words, config = self.searched.composed(trial.params)
            training.epochs = config["trainer"]["max_epochs"]
            # It may have ended after its search was killed.
            if not read_metrics(place):
                jobs.start(trial.number, words, place)
                return True
        # Any error: the other trials are trained all the same.
        except Exception as error:
            failed = reason(error)
        self._end(trial.number, failed)
        return True

    def _end(self, number: int, failed: str | None) -> None:
        """Tell what became of a trial, and print its row."""
        training = self._training.pop(number)
        figure = read_metrics(training.directory).get("validation", {}).get(self.monitor)
        if training.pruned and figure is None:
            state = "pruned"
            self.trials.prune(number)
        elif failed is None and figure is not None and math.isfinite(figure):
            state = "finished"
            self.trials.finish(number, figure)
        else:
            state = "failed"
            failed = failed or f"its validation {self.monitor} is {figure}"
            self.trials.fail(number, failed)
        self._rows.add(number + 1, training.name, str(training.directory), state)
        if state == "failed":
            print(f"failed: {visible(str(failed))}", flush=True)

    def _watch(self, jobs: Jobs) -> None:
        """Report new validation figures, and end trials that are to be pruned."""
        for number, training in self._training.items():
            # A checkpoint is saved after the figures of its epoch, so that it is there to go on.
            checkpoint = training.directory / LAST
            saved = checkpoint.stat().st_mtime_ns if checkpoint.is_file() else 0
            if training.pruned or saved == training.seen:
                continue
            training.seen = saved
            logged = last_validation(training.directory / "logs")
            epoch, figure = logged.get("epoch", -1) + 1, logged.get(f"validation/{self.monitor}")
            if figure is None or not math.isfinite(figure):
                continue
            worse = self.trials.report(number, int(epoch), figure)
            training.pruned = worse and epoch < training.epochs
            if training.pruned:
                jobs.running[number].terminate()

    def _save(self) -> None:
        found = {"folders": [*map(str, self.searched.folders)], "words": [*self.searched.words],
                 "trials": self.count}  # fmt: skip
        self._write(LIST, json.dumps(found, indent=1) + "\n")

    def _write(self, name: str, text: str) -> None:
        assert self.directory is not None
        write(self.directory / name, lambda path: path.write_text(text))
