"""What Lightning trains: a plain net, its task's loss and metrics, and an optimizer."""

import time
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from structnet.batch import Batch
from structnet.constant import Constant
from structnet.task import IGNORE, Task

OPTIMIZERS = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "sgd": torch.optim.SGD,
}
SCHEDULES = ("cosine", "constant")


class Module(LightningModule):
    """A net that learns a task."""

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        optimizer: str = "adamw",
        learning_rate: float = 0.0,
        weight_decay: float = 0.0,
        schedule: str = "constant",
        seed: int = 0,
    ):
        super().__init__()
        self.net, self.task = net, task
        self.optimizer, self.learning_rate = optimizer, learning_rate
        self.weight_decay, self.schedule, self.seed = weight_decay, schedule, seed
        self.metrics = nn.ModuleDict(task.metrics())
        self.nodes, self.seconds = 0, 0.0
        self.loss = torch.zeros(())
        self.train_batches: DataLoader
        # Of the split that was tested last.
        self.constant = Constant()

    def configure_optimizers(self) -> Any:
        # The fused step of a large embedding takes a sixth of the time on a CPU; Lightning does not
        # let it go together with mixed precision and clipping.
        full = self.trainer.precision in ("32-true", "64-true")
        optimizer = OPTIMIZERS[self.optimizer](
            self.net.parameters(),
            lr=self.learning_rate,
            weight_decay=self.weight_decay,
            fused=full and self.device.type == "cpu",
        )
        if self.schedule == "constant":
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": cosine, "interval": "step"},
        }

    def train_dataloader(self) -> DataLoader:
        self.train_batches.batch_sampler.set_epoch(self.trainer.current_epoch)
        return self.train_batches

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.started = time.monotonic()
        # The noise of an epoch is its own: a run that was stopped goes on as if it had not been.
        if batch_idx == 0:
            torch.manual_seed(self.seed * 1_000_003 + self.trainer.current_epoch)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = self.task.loss(self.net(batch), batch)
        self.loss = loss.detach()
        self.log("loss", self.loss, prog_bar=True, batch_size=batch.num_samples)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.nodes += batch.num_nodes
        self.seconds += time.monotonic() - self.started
        self.log("nodes_per_s", self.nodes / self.seconds, prog_bar=True, batch_size=1)
        # Said here, Lightning ends the epoch with its validation.
        if self.trainer.global_step == self.trainer.max_steps:
            self.trainer.should_stop = True

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Stop before a step that would spoil the weights."""
        named = [(n, p) for n, p in self.net.named_parameters() if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for _, p in named if p.grad is not None])
        scaled = self.trainer.precision == "16-mixed"
        if torch.isfinite(self.loss) and (scaled or torch.isfinite(norm)):
            return
        bad = (
            n for n, p in named if not (torch.isfinite(p).all() and torch.isfinite(p.grad).all())
        )
        checkpoint = self.trainer.checkpoint_callbacks[-1]
        last = getattr(checkpoint, "best_model_path", "") or "none yet"
        raise FloatingPointError(
            f"loss {self.loss.item()} at step {self.trainer.global_step} of epoch "
            f"{self.trainer.current_epoch}: the first parameter whose value or gradient is not "
            f"finite is {next(bad, 'none')}; last good checkpoint: {last}. "
            "Try a smaller trainer.learning_rate or trainer.clip_norm, and look at the data."
        )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch)

    def on_test_epoch_start(self) -> None:
        self.constant = Constant()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        self._log_metrics("validation")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _measure(self, batch: Batch) -> None:
        for name, (output, target) in self.task.measured(self.net(batch), batch).items():
            if len(target):
                self.metrics[name].update(output, target)
                if name in ("accuracy", "rmse"):
                    self.constant.update(output, target, IGNORE)

    def _log_metrics(self, split: str) -> None:
        for name, metric in self.metrics.items():
            if metric.update_called:
                main = name == self.task.monitor
                self.log(f"{split}/{name}", metric.compute(), prog_bar=main and split != "test")
                metric.reset()
