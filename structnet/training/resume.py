"""Whether and how a run goes on from its newest checkpoint."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from structnet import DataWarning
from structnet.run.manifest import BEST
from structnet.run.resuming import Saved, newest, read
from structnet.run.run import Run
from structnet.system.terminal import counted
from structnet.training.optimizing import name_of

# The order of samples within an epoch depends on these options.
BATCHING = ("batch_nodes", "batch_size", "pool", "limit_batches", "lanes")


def checkpoint_of(run: Run) -> Saved:
    """The newest undamaged checkpoint of a run; FileNotFoundError if it has none.

    A DataWarning says that the checkpoint with the best validation figure is damaged; its figure is
    then forgotten.
    """
    found = newest(run.manifest)
    if found is None:
        raise FileNotFoundError(
            f"nothing to resume in {run.directory}: it has no checkpoints/last.ckpt, "
            "as the first epoch did not end; start the run again"
        )
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


def check_changes(
    found: Saved, file: Path, options: Mapping[str, Any], before: Mapping[str, Any]
) -> None:
    """ValueError for an option of the trainer that can't change when a run is resumed.

    Arguments:
        found: the checkpoint.
        file: its path.
        options: the trainer's options from now on.
        before: those that the run was trained with.
    """
    try:
        optimizer = name_of(found.state["optimizer_states"])
    except (KeyError, ValueError) as error:
        raise ValueError(f"{file} is not a checkpoint to go on from: {error}") from error
    if options["optimizer"] != optimizer:
        raise ValueError(
            f"trainer.optimizer={options['optimizer']}: {file} holds the state of {optimizer}, "
            f"which no other optimizer can use; take trainer.optimizer={optimizer}, or a new run"
        )
    count = found.average["count"] if found.average is not None else 0
    if count and options.get("average") != "triggered":
        raise ValueError(
            f"trainer.average={options.get('average')}: {file} holds the mean of the weights of "
            f"{counted(count, 'step')}, which would be lost; take trainer.average=triggered, or a "
            "new run"
        )
    for option in BATCHING if found.batches else ():
        # Older configurations have no lanes; none given are one.
        now, then = (
            given.get(option) or (1 if option == "lanes" else None) for given in (options, before)
        )
        if now != then:
            raise ValueError(
                f"trainer.{option}={now}: {file} was saved within epoch {found.epoch + 1}, whose "
                f"batches it would change; leave it at {then}"
            )


def reason_it_ended(found: Saved, options: Mapping[str, Any]) -> str | None:
    """Why nothing is left to train, with the option to change; None if something is left."""
    if found.epochs >= options["max_epochs"]:
        done, least = counted(found.epochs, "epoch"), found.epochs + 1
        return f"for {done} already; take trainer.max_epochs={least} or more"
    limit = options["max_steps"]
    if limit is not None and found.step >= limit:
        done = counted(found.step, "step")
        return f"for {done} already; take trainer.max_steps={found.step + 1} or more"
    # Older configurations have no such option.
    minutes, trained = options.get("limit_minutes"), found.spent.get("wall", 0) / 60
    if minutes is not None and trained >= minutes:
        return (
            f"for {trained:.1f} minutes already; take trainer.limit_minutes={ceil(trained) + 1} "
            "or more"
        )
    patience, waited = options["patience"], found.waited
    if patience is not None and waited is not None and waited["wait_count"] >= patience:
        count = waited["wait_count"]
        return (
            f"until it was not better for {counted(count, 'epoch')}; "
            f"take trainer.patience={count + 1} or more, or null"
        )
    return None


def is_finished(run: Run, found: Saved) -> bool:
    """Whether the files of a finished run are there and undamaged."""
    try:
        for name in ("model.safetensors", "config.json"):
            run.manifest.read(name)
        trained = json.loads(run.manifest.read("metrics.json"))["train"]
        return trained["steps"] == found.step
    except (OSError, ValueError, TypeError, KeyError):
        return False
