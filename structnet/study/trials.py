"""The trials of a search, in a journal of Optuna's that several processes may share.

DIR/journal.log    a line of JSON for every change; nothing in it is unpickled
DIR/.trials.lock   locked while a trial is taken
DIR/.N.lock        locked while trial N is in training: if its process is killed, another takes it
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from structnet.config.sweeping import Interval

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

JOURNAL = "journal.log"


class Trials:
    """Trials, which are numbered from 0. Optuna's TPE chooses their values, its median rule prunes.

    A trial's values depend on the seed, its number and the trials before it. ModuleNotFoundError
    says what to install without Optuna; ValueError if the directory holds another journal.

    Arguments:
        directory: the search's.
        space: key -> what is chosen from.
        mode: max or min, whether the largest or the smallest figure is best.
        seed: of the choices.
    """

    def __init__(
        self, directory: Path, space: Mapping[str, Interval | list[str]], mode: str, seed: int
    ):
        self.optuna = import_optuna()
        self.directory, self.seed = directory, seed
        self._taken: dict[int, tuple[Trial, FileLock]] = {}
        distributions = self.optuna.distributions
        self._space: dict[str, Any] = {}
        for key, values in space.items():
            if isinstance(values, list):
                self._space[key] = distributions.CategoricalDistribution(values)
            elif values.whole:
                low, high = int(values.low), int(values.high)
                self._space[key] = distributions.IntDistribution(low, high, log=values.log)
            else:
                self._space[key] = distributions.FloatDistribution(
                    float(values.low), float(values.high), log=values.log
                )
        self._study = self._open("maximize" if mode == "max" else "minimize")

    def _open(self, direction: str) -> Any:
        storages, file = self.optuna.storages, self.directory / JOURNAL
        if file.is_symlink():
            raise ValueError(f"{file} is a symbolic link, and is to be written to: move it away")
        # Not a symbolic link, Optuna's other lock: of a relative path, it would wait for ever for
        # one whose process was killed.
        lock = storages.journal.JournalFileOpenLock(str(file))
        try:
            _drop_torn_line(file, lock)
            backend = storages.journal.JournalFileBackend(str(file), lock_obj=lock)
            self._storage = storages.JournalStorage(backend)
            return self.optuna.create_study(
                storage=self._storage,
                study_name="search",
                direction=direction,
                pruner=self.optuna.pruners.MedianPruner(),
                load_if_exists=True,
            )
        # Optuna raises errors of many types for a file that is not its own.
        except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{file} is not the journal of a search: {error!r}") from error

    def take(self, count: int) -> "FrozenTrial | None":
        """A trial to train: one whose process was killed, or a new one; None if there are `count`.

        It is this process's until it is told.
        """
        with FileLock(self.directory / ".trials.lock"):
            for one in self.all():
                if one.state.name == "RUNNING" and self._lock(one.number):
                    # It may have been told before it was locked.
                    found = self.all()[one.number]
                    if found.params.keys() == self._space.keys() and not found.state.is_finished():
                        return found
                    if not found.state.is_finished():
                        self.fail(one.number, "its search was killed before it had values")
                    else:
                        self._release(one.number)
            if (number := len(self.all())) >= count:
                return None
            seeds = np.random.SeedSequence([self.seed, number])
            seed = int(seeds.generate_state(1)[0])
            self._study.sampler = self.optuna.samplers.TPESampler(seed=seed)
            self._lock(self._study.ask(self._space).number)
            return self.all()[number]

    def report(self, number: int, epoch: int, figure: float) -> bool:
        """Note a validation figure after an epoch, counted from 1; whether to prune the trial."""
        trial = self._taken[number][0]
        # A trial that is resumed begins with an epoch that was reported before.
        if epoch not in self.all()[number].intermediate_values:
            trial.report(figure, epoch)
        return trial.should_prune()

    def finish(self, number: int, figure: float) -> None:
        self._tell(number, state="COMPLETE", values=figure)

    def prune(self, number: int) -> None:
        self._tell(number, state="PRUNED")

    def fail(self, number: int, reason: str) -> None:
        self._taken[number][0].set_user_attr("failed", reason)
        self._tell(number, state="FAIL")

    def all(self) -> "Sequence[FrozenTrial]":
        """All trials by number, those of other processes as well."""
        return self._study.get_trials(deepcopy=False)

    def _tell(self, number: int, state: str, values: float | None = None) -> None:
        states = self.optuna.trial.TrialState
        self._study.tell(number, values, state=states[state])
        self._release(number)

    def _lock(self, number: int) -> bool:
        """Lock a trial; whether no process has it, this one included."""
        if number in self._taken:
            return False
        lock = FileLock(self.directory / f".{number + 1}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        study = self._storage.get_study_id_from_name(self._study.study_name)
        known = self._storage.get_trial_id_from_study_id_trial_number(study, number)
        self._taken[number] = self.optuna.trial.Trial(self._study, known), lock
        return True

    def _release(self, number: int) -> None:
        _, lock = self._taken.pop(number)
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def import_optuna() -> Any:
    """Optuna, which then prints nothing but warnings."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "a search of intervals needs Optuna, which is not installed: pip install optuna, or "
            "install structnet with its extra 'search'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


def _drop_torn_line(file: Path, lock: Any) -> None:
    """Cut off a last line that was not written to its end, as on a full disk."""
    if not file.is_file():
        return
    lock.acquire()
    try:
        whole = file.read_bytes().rfind(b"\n") + 1
        if whole < file.stat().st_size:
            os.truncate(file, whole)
    finally:
        lock.release()
