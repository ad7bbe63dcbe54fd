"""Lightning callbacks of training: progress, early stopping, diagnosis, pictures."""

import sys
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, RichProgressBar
from rich import get_console
from rich.progress import MofNCompleteColumn, ProgressColumn, TextColumn
from rich.text import Text
from torch import nn

from structnet.data.batch import Batch, Sample
from structnet.data.task import Task
from structnet.diagnosis.gradients import diagnose, largest_batch
from structnet.diagnosis.report import judge, save_diagnosis
from structnet.run.run import Run
from structnet.system.files import write

# The least width of a terminal, in characters, on which the bar itself is drawn.
WIDE = 100


class PlainLines(Callback):
    """Prints one line per epoch if stdout is not a terminal, where no progress bar can be drawn."""

    def __init__(self) -> None:
        self.line: str | None = None

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say()
        self.started = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._say()

    def _say(self) -> None:
        """Print the line of the last epoch: its checkpoint is saved by now."""
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
    """Logs and saves the gradient that reaches each level of a batch.

    Arguments:
        run: gets diagnose.json in its directory.
        net: the net in training.
        batch: what it is diagnosed on.
        every: the number of epochs from one diagnosis to the next.
    """

    def __init__(self, run: Run, net: nn.Module, batch: Batch, every: int):
        self.run, self.net, self.batch, self.every = run, net, batch, every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        layers = diagnose(self.net, self.batch.to(pl_module.device))
        save_diagnosis(self.run.directory, layers, epoch)
        for layer in layers:
            name = layer.name.replace(", ", "_").replace(" ", "_")
            pl_module.log(f"gradient/{name}", judge(layer.gradient).change)


class Illustrate(Callback):
    """Saves the task's pictures of what the net has learned, in samples/ of the run's directory.

    Arguments:
        run: gets the pictures, made by its task.
        samples: those to show; of the validation split.
        every: the number of epochs from one set of pictures to the next.
    """

    def __init__(self, run: Run, samples: Sequence[Sample], every: int):
        self.run, self.samples, self.every = run, samples, every

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every:
            return
        net: Any = pl_module.net
        net.eval()
        pictures = self.run.task.illustrate(net, self.run.topology, self.samples)
        net.train()
        for name, picture in pictures.items():
            folder = self.run.directory / "samples"
            folder.mkdir(exist_ok=True)
            write(folder / f"{name}-{epoch:03}.png", picture.save)


class Left(ProgressColumn):
    """The time left: of all steps at the mean time of those done, or until the time limit."""

    seconds: float | None = None

    def render(self, task: Any) -> Text:
        left = "-:--:--" if self.seconds is None else str(timedelta(seconds=int(self.seconds)))
        return Text(f"{left} left", style="dim")


class Figures(ProgressColumn):
    """Losses and metrics, as many as fit on the line."""

    text = ""

    def render(self, task: Any) -> Text:
        return Text(self.text, style="italic", no_wrap=True, overflow="ellipsis")


class Bar(RichProgressBar):
    """A progress bar with losses and metrics, on one line of any terminal."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self.started, self.first_step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        done = trainer.global_step - self.first_step
        per_step_s = (time.monotonic() - self.started) / max(1, done)
        steps_left = max(0, pl_module.steps - trainer.global_step)
        self.left.seconds = min(per_step_s * steps_left, pl_module.left_s)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(self, trainer: Trainer, pl_module: Any) -> dict[str, Any]:
        """Show the figures in our column; Lightning's would be broken over several lines."""
        shown = super().get_metrics(trainer, pl_module)
        figures = [f"{name.split('/')[-1]} {shown[name]:.3f}" for name in shown
                   if name not in ("v_num", "nodes_per_s")]  # fmt: skip
        if pl_module.nodes:
            figures.append(f"{pl_module.nodes_per_s:,.0f} nodes/s")
        self.figures.text = " ".join(figures)
        return {}

    def configure_columns(self, trainer: Trainer) -> list[ProgressColumn]:
        self.left, self.figures = Left(), Figures()
        # The bar takes all the room there is, so it is left out on a narrow terminal.
        _, bar, *_ = super().configure_columns(trainer)
        bars = [bar] if get_console().width >= WIDE else []
        text = TextColumn("{task.description}")
        return [text, *bars, MofNCompleteColumn(), self.left, self.figures]

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}/{self.trainer.max_epochs}"

    @property
    def validation_description(self) -> str:
        return "validation"


class Patience(EarlyStopping):
    """Early stopping that prints a line, and keeps its count when a run is resumed.

    Arguments:
        task: names the metric that is watched.
        patience: the number of epochs without a better figure after which training stops.
        waited: the count and the best figure of the run that is resumed.
    """

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
    """A progress bar on a terminal, one line per epoch elsewhere."""
    return Bar() if sys.stdout.isatty() else PlainLines()


def early_stopping(
    task: Task, patience: int | None, waited: Mapping[str, Any] | None
) -> list[Callback]:
    """`Patience`, if an option asks for it."""
    return [] if patience is None else [Patience(task, patience, waited)]


def diagnosis(
    run: Run,
    net: nn.Module,
    splits: dict[str, Sequence[Sample]],
    every: int | None,
    batch_nodes: int,
) -> list[Callback]:
    """`Diagnose` on the largest batch of the validation split, if an option asks for it."""
    if every is None:
        return []
    batch = largest_batch(splits["validation"], run.topology, batch_nodes, run.task.group)
    return [Diagnose(run, net, batch, every)]


def illustration(
    run: Run, splits: dict[str, Sequence[Sample]], every: int | None
) -> list[Callback]:
    """`Illustrate` with the validation split, if an option asks for it."""
    return [] if every is None else [Illustrate(run, splits["validation"], every)]
