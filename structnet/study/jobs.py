"""Runs that are trained several at a time, each in a process of its own, and rows as they end.

A process is `structnet train` with the words of its run, so that it gives what the run gives by
itself. What it prints is appended to output.log in the run's directory.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from structnet.registry.plugin import plugin_files
from structnet.run.directories import OUTPUT, can_resume, is_locked
from structnet.study.listing import read_row
from structnet.system.children import POLL_S, Child, stop
from structnet.system.cores import usable_cores
from structnet.system.terminal import counted, visible

MODULE = "structnet.cli.main"
# How long a run may take to end after its sweep was killed.
ENDING_S = 10


class Jobs:
    """Runs in training; those that are left are stopped when its context ends.

    Arguments:
        count: the number of runs at a time, which share the machine's cores.
        folders: with the user's own configuration files.
    """

    def __init__(self, count: int, folders: Sequence[str | Path] = ()):
        self.count, self.folders = count, folders
        self.running: dict[int, Child] = {}

    def __enter__(self) -> "Jobs":
        return self

    def __exit__(self, *raised: object) -> None:
        stop(self.running.values())

    @property
    def threads(self) -> int:
        """The threads of a run: as by itself, all cores but one, of its share of the cores."""
        return min(torch.get_num_threads(), max(1, usable_cores() // self.count - 1))

    def __str__(self) -> str:
        cores = usable_cores()
        few = f" on {counted(cores, 'core')}" if self.count > cores else ""
        return (
            f"{counted(self.count, 'run')} at a time{few}, with {counted(self.threads, 'thread')} "
            "each where trainer.threads is not set; another number of threads may change the last "
            "digits of results"
        )

    def start(self, number: int, words: Sequence[str], directory: Path) -> None:
        """Train a run in its directory, from its checkpoint if there is one.

        Arguments:
            number: the run's.
            words: as they would be typed for this run alone.
            directory: the run's, which is created.
        """
        directory.mkdir(parents=True, exist_ok=True)
        _wait_for(directory)
        place = [*words, f"run={directory}"]
        chosen = [f"resume={directory}"] if can_resume(directory) else place
        flags = [word for folder in self.folders for word in ("--config-dir", str(folder))]
        flags += [word for file in plugin_files() for word in ("--plugin", file)]
        environment = {"OMP_NUM_THREADS": str(self.threads)}
        output = directory / OUTPUT
        self.running[number] = Child(MODULE, ["train", *chosen, *flags], output, environment)

    def train(
        self,
        begin: Callable[[], bool],
        end: Callable[[int, str | None], None],
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        """Keep as many runs in training as there may be, until none is left.

        Arguments:
            begin: starts the next run, or settles it without; False if there is none.
            end: told the number of a run that has ended, and why it failed, if it did.
            watch: called again and again while runs are in training.
        """
        while True:
            while len(self.running) < self.count and begin():
                pass
            if not self.running:
                return
            time.sleep(POLL_S)
            for number in [one for one, child in self.running.items() if child.has_ended]:
                child = self.running.pop(number)
                child.end()
                end(number, child.failure())
            watch()


def _wait_for(directory: Path) -> None:
    """Wait until a run has ended whose sweep was killed, some seconds at most."""
    until = time.monotonic() + ENDING_S
    while is_locked(directory) and time.monotonic() < until:
        time.sleep(POLL_S)


class Rows:
    """Prints a row when a run ends: its number, name, figure, minutes and state.

    Arguments:
        count: the number of runs.
        width: of the longest name, in characters.
    """

    def __init__(self, count: int, width: int):
        self.count, self.width = count, width
        self._print("run", "", "figure", "minutes", "state")

    def add(self, number: int, name: str, directory: str | None, state: str | None = None) -> None:
        """Print the row of a run.

        Arguments:
            number: the run's.
            name: what it differs in.
            directory: its directory; None if it has none.
            state: what became of it; None for the state of its directory.
        """
        row = None if directory is None else read_row(Path(directory))
        minutes = "" if row is None or row.minutes is None else f"{row.minutes:.1f}"
        measured = "" if row is None else row.measured
        said = state or ("" if row is None else row.state)
        self._print(f"{number}/{self.count}", visible(name), measured, minutes, said)

    def _print(self, number: str, name: str, figure: str, minutes: str, state: str) -> None:
        begin = f"{number:<{2 * len(str(self.count)) + 1}}  {name:<{self.width}}"
        print(f"{begin}  {figure:<28}  {minutes:>7}  {state}", flush=True)
