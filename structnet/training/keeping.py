"""Checkpoints of a training run: when they are saved, their files, and how they are restored."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import CheckpointIO, TorchCheckpointIO
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint

from structnet.run.manifest import BEST, LAST, PREVIOUS
from structnet.run.resuming import AVERAGE, Saved, read
from structnet.run.run import Run
from structnet.training.module import Module
from structnet.training.optimizing import checked_states, checked_weights


class Keep(Checkpoint):
    """Saves the last state of training, to resume from, and that of the best epoch.

    Arguments:
        run: the run whose directory gets the checkpoints.
        minutes: save within an epoch every this many minutes, if given.
        steps: save within an epoch every this many steps, if given.
        best: the best validation figure so far, if the run is resumed.
    """

    def __init__(self, run: Run, minutes: float | None, steps: int | None, best: float | None):
        self.run, self.minutes, self.steps, self.best = run, minutes, steps, best
        self.monitor, self.saved_at = run.task.monitor, 0.0

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.saved_at = pl_module.wall_s

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save the state after the batch before: its figures are logged by now."""
        if batch_idx == 0:
            return
        # By the first process's clock, so that all save at the same step.
        waited_s = pl_module.wall_s - self.saved_at
        late = self.minutes is not None and waited_s >= 60 * self.minutes
        if late or (self.steps is not None and trainer.global_step % self.steps == 0):
            self._save(trainer, pl_module, LAST)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        score = trainer.callback_metrics.get(f"validation/{self.monitor}")
        # The best one first: the last one holds its figure, so that it has to be there.
        if score is not None and self._is_better(score.item()):
            self.best = score.item()
            self._save(trainer, pl_module, BEST)
        self._save(trainer, pl_module, LAST)

    @property
    def last(self) -> Path | None:
        path = self.run.directory / LAST
        return path if path.is_file() else None

    def state_dict(self) -> dict[str, Any]:
        best = None if self.best is None else torch.tensor(self.best)
        return {"monitor": f"validation/{self.monitor}", "best_model_score": best}

    def _is_better(self, score: float) -> bool:
        if self.best is None or score != score:
            return self.best is None
        better = score < self.best if self.run.task.mode == "min" else score > self.best
        return better or self.best != self.best

    def _save(self, trainer: Trainer, pl_module: Any, name: str) -> None:
        # The logs on disk then reach at least as far as the checkpoint.
        for logger in trainer.loggers:
            logger.save()
        trainer.save_checkpoint(self.run.directory / name)
        self.saved_at = pl_module.wall_s


def restored(run: Run, module: Module, saved: Saved) -> dict[str, Any]:
    """A checkpoint for Lightning to load, of which every entry has been checked.

    ValueError names the file and what does not fit the net or its optimizer.
    """
    state, name = saved.state, saved.name
    try:
        weights = checked_weights(state["state_dict"], module.state_dict())
        average = saved.average
        if average is not None and average["count"]:
            average = {**average, "mean": weights}
            weights = checked_weights(average["weights"], module.state_dict())
        parameters = [weights[name] for name, _ in module.named_parameters()]
        states = checked_states(state["optimizer_states"], parameters)
        if saved.best_score is not None:
            # If no later epoch is better, its weights are the final ones.
            name = BEST
            checked_weights(read(run.manifest, BEST).state["state_dict"], module.state_dict())
    except ValueError as error:
        raise ValueError(
            f"{run.directory / name} is not a checkpoint of this run's net: {error}; move it away "
            "to resume from another checkpoint, if there is one"
        ) from error
    # The gradient scaler of 16-mixed precision.
    scaler = {
        name: value
        for name, value in state.items()
        if name == "MixedPrecision" and isinstance(value, dict) and _is_numbers(value.values())
    }
    return {
        "epoch": saved.epoch,
        "global_step": saved.step,
        "pytorch-lightning_version": lightning.__version__,
        "state_dict": weights,
        "optimizer_states": states,
        "lr_schedulers": [],
        "callbacks": {},
        **({} if average is None else {AVERAGE: average}),
        **scaler,
    }


def _is_numbers(values: Iterable[Any]) -> bool:
    return all(type(value) in (int, float) for value in values)


class Begin(Callback):
    """Saves the configuration after the first step: by then it is known to work."""

    def __init__(self, run: Run):
        self.run, self.begun = run, False

    def on_train_batch_end(self, *given: Any) -> None:
        self.save()

    def save(self) -> None:
        if not self.begun:
            self.run.save_config()
            self.run.save_description()
            self.begun = True


class CheckpointFiles(CheckpointIO):
    """Writes checkpoint files, and keeps the last one under another name.

    Those of a user's own callbacks, at other paths, are written as Lightning does.

    Arguments:
        run: the run whose directory gets the files.
        resumed: the checked checkpoint that Lightning resumes from.
    """

    def __init__(self, run: Run, resumed: dict[str, Any] | None):
        self.run, self.resumed = run, resumed

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None):
        given = Path(path).absolute()
        folder = self.run.directory.absolute()
        name = given.relative_to(folder).as_posix() if given.is_relative_to(folder) else None
        if name not in (BEST, LAST):
            return TorchCheckpointIO().save_checkpoint(checkpoint, path, storage_options)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        before = PREVIOUS if name == LAST else None
        self.run.manifest.write(name, buffer.getbuffer(), before)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: Any = None):
        return self.resumed

    def remove_checkpoint(self, path: Any) -> None:
        """Remove a file of a user's own callback; ours are replaced by a new one of their name."""
        if Path(path).absolute().parent != self.run.checkpoints.absolute():
            TorchCheckpointIO().remove_checkpoint(path)
