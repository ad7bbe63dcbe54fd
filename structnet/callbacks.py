"""What Lightning calls in a training run: progress, early stopping, diagnosis, pictures."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from torch import nn

from structnet.batch import Batch, Sample
from structnet.diagnose import diagnose, largest_batch
from structnet.files import write
from structnet.run import Run
from structnet.task import Task
from structnet.verdict import judge, save_diagnosis


class PlainLines(Callback):
    """A line an epoch, where there is no terminal to draw a bar on."""

    def __init__(self) -> None:
        self.line: str | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say()
        self.started = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say()

    def _say(self) -> None:
        """Say that an epoch has ended once it is saved, which is after `on_train_epoch_end`."""
        if self.line is not None:
            print(self.line, flush=True)
        self.line = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        shown = trainer.progress_bar_metrics
        figures = "  ".join(
            f"{name} {value:,.0f}" if name == "nodes_per_s" else f"{name} {value:.4f}"
            for name, value in shown.items()
            if name != "v_num"
        )
        seconds = time.monotonic() - self.started
        epoch = f"{trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.line = f"epoch {epoch}  {figures}  {seconds:.1f} s"


class Diagnose(Callback):
    """Logs how much gradient reaches the far end of a batch, and saves how it got there."""

    def __init__(self, run: Run, net: nn.Module, batch: Batch, every: int):
        self.run, self.net, self.batch, self.every = run, net, batch, every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        layers = diagnose(self.net, self.batch.to(pl_module.device))
        save_diagnosis(self.run, layers, epoch)
        for layer in layers:
            name = layer.name.replace(", ", "_").replace(" ", "_")
            pl_module.log(f"gradient/{name}", judge(layer.gradient).change)


class Illustrate(Callback):
    """Saves the task's pictures of what the net has learned in DIR/samples."""

    def __init__(self, run: Run, samples: Sequence[Sample], every: int):
        self.run, self.samples, self.every = run, samples, every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        net = pl_module.net
        net.eval()
        pictures = self.run.task.illustrate(net, self.run.topology, self.samples)
        net.train()
        for name, picture in pictures.items():
            folder = self.run.directory / "samples"
            folder.mkdir(exist_ok=True)
            write(folder / f"{name}-{epoch:03}.png", picture.save)


class Bar(RichProgressBar):
    """A progress bar with the figures of training."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        return {k: v for k, v in super().get_metrics(trainer, pl_module).items() if k != "v_num"}


class Patience(EarlyStopping):
    """Early stopping that says that it stops, and counts on where a run goes on."""

    def __init__(self, task: Task, patience: int, waited: Mapping[str, Any] | None):
        super().__init__(f"validation/{task.monitor}", patience=patience, mode=task.mode)
        if waited is not None:
            self.wait_count, self.best_score = waited["wait_count"], waited["best_score"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            print(
                f"stopped after epoch {trainer.current_epoch}/{trainer.max_epochs}: {self.monitor} "
                f"was not better for {self.wait_count} epochs (trainer.patience={self.patience})",
                flush=True,
            )


def progress() -> Callback:
    """A bar on a terminal, lines elsewhere."""
    return Bar() if sys.stdout.isatty() else PlainLines()


def early_stopping(
    task: Task, patience: int | None, waited: Mapping[str, Any] | None
) -> list[Callback]:
    """Stops after `patience` epochs without a better validation figure, if given.

    `waited` is what a run that goes on has seen.
    """
    return [] if patience is None else [Patience(task, patience, waited)]


def diagnosis(
    run: Run,
    net: nn.Module,
    splits: dict[str, Sequence[Sample]],
    every: int | None,
    batch_nodes: int,
) -> list[Callback]:
    """Diagnoses the largest validation batch after `every` so many epochs, if given."""
    if every is None:
        return []
    batch = largest_batch(splits["validation"], run.topology, batch_nodes, run.task.group)
    return [Diagnose(run, net, batch, every)]


def illustration(
    run: Run, splits: dict[str, Sequence[Sample]], every: int | None
) -> list[Callback]:
    """Shows what the net makes of validation samples after `every` so many epochs, if given."""
    return [] if every is None else [Illustrate(run, splits["validation"], every)]
