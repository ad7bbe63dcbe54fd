"""train resume=DIR: go on where a run stopped."""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from structnet.system.terminal import counted

# The order of samples within an epoch follows from these.
BATCHING = ("batch_nodes", "batch_size", "pool", "limit_batches")


def resume(directory: str, words: Sequence[str], train: Callable[[Any, Any], None]) -> int:
    """Go on from the newest whole checkpoint of a run, with options of the trainer changed."""
    if not directory:
        raise ValueError("resume= takes the directory of a run")
    from structnet.config.compose import override, saved
    from structnet.run.resuming import newest
    from structnet.run.run import Run

    run = Run.compose(saved(directory), Path(directory))
    found = newest(run.manifest)
    if found is None:
        raise FileNotFoundError(
            f"nothing to resume in {directory}: it has no checkpoints/last.ckpt, "
            "as the first epoch did not end; start the run again"
        )
    found = _without_damaged_best(run, found)
    config = override(run.config, words)
    changed = config != run.config
    _check(found, run.directory / found.name, config["trainer"], run.config["trainer"])
    ended, finished = _ended(found, config["trainer"]), _is_finished(run, found)
    if found.epochs > config["trainer"]["max_epochs"] or (ended and finished and changed):
        raise ValueError(f"{directory} has been trained {ended}")
    if ended and finished:
        print(f"{directory} has been trained {ended}; nothing is changed")
        return 0
    going_on = Run.compose(config, run.directory)
    going_on.check(resumed=True)
    train(going_on, found)
    return 0


def _without_damaged_best(run: Any, found: Any) -> Any:
    """The checkpoint, which forgets the best one's score where that is not whole any more."""
    from structnet import DataWarning
    from structnet.run.resuming import BEST, read

    if found.best_score is None or found.name == BEST:
        return found
    try:
        read(run.manifest, BEST)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"{error}; the best of the epochs that follow is kept", DataWarning, stacklevel=2
        )
        return replace(found, best_score=None)
    return found


def _check(found: Any, file: Path, options: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """ValueError for an option that can't change where a run goes on."""
    from structnet.training.optimizing import name_of

    try:
        optimizer = name_of(found.state["optimizer_states"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file} is no checkpoint to go on from: {error}") from error
    if options["optimizer"] != optimizer:
        raise ValueError(
            f"trainer.optimizer={options['optimizer']}: the state in {file} is that of "
            f"{optimizer}, which no other can go on with; take trainer.optimizer={optimizer}, or "
            "a new run"
        )
    for option in BATCHING if found.batches else ():
        if options[option] != before[option]:
            raise ValueError(
                f"trainer.{option}={options[option]}: {file} stands within epoch "
                f"{found.epoch + 1}, whose batches it would change; leave it at {before[option]}"
            )


def _ended(found: Any, options: Mapping[str, Any]) -> str | None:
    """Why there is nothing left to do, with what to change; None if there is."""
    if found.epochs >= options["max_epochs"]:
        # More than that would be a new maximum.
        least = max(found.epochs, options["max_epochs"] + (found.epochs == options["max_epochs"]))
        return (
            f"for {counted(found.epochs, 'epoch')} already; take trainer.max_epochs={least} or more"
        )
    limit = options["max_steps"]
    if limit is not None and found.step >= limit:
        done = counted(found.step, "step")
        return f"for {done} already; take trainer.max_steps={found.step + 1} or more"
    patience, waited = options["patience"], found.waited
    if patience is not None and waited is not None and waited["wait_count"] >= patience:
        count = waited["wait_count"]
        return (
            f"until it was not better for {counted(count, 'epoch')}; "
            f"take trainer.patience={count + 1} or more, or null"
        )
    return None


def _is_finished(run: Any, found: Any) -> bool:
    """Whether what the run was trained for is all there, and whole."""
    try:
        for name in ("model.safetensors", "config.json"):
            run.manifest.read(name)
        trained = json.loads(run.manifest.read("metrics.json"))["train"]
        return trained["steps"] == found.step
    except (OSError, ValueError, TypeError, KeyError):
        return False
