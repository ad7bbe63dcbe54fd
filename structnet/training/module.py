"""The LightningModule: a net with the loss and metrics of its task, and an optimizer."""

import time
from math import inf
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from structnet.data.batch import Batch
from structnet.data.cross_entropy import IGNORE
from structnet.data.loader import Batches
from structnet.data.task import Task
from structnet.nn.head import Scores, plain_scores
from structnet.registry import nets
from structnet.run.resuming import PROGRESS, Saved
from structnet.training.calibrating import Calibration
from structnet.training.constant import Constant
from structnet.training.optimizing import OPTIMIZERS, SCHEDULES
from structnet.training.options import TrainerOptions


class Module(LightningModule):
    """A net that learns a task.

    Arguments:
        net: called with a batch.
        task: gives the loss and the metrics.
        options: how the net is trained.
        seed: of the noise in training steps.
        batches: the loader of the training split; not needed for testing.
        resumed: the checkpoint that training goes on from.
    """

    def __init__(
        self,
        net: nn.Module,
        task: Task,
        options: TrainerOptions,
        seed: int = 0,
        batches: DataLoader | None = None,
        resumed: Saved | None = None,
    ):
        super().__init__()
        self.net, self.task, self.options, self.seed = net, task, options, seed
        self.metrics: Any = nn.ModuleDict(task.metrics())
        self.train_batches, self.resumed = batches, resumed
        spent = {} if resumed is None else resumed.spent
        self.nodes, self.seconds = spent.get("nodes", 0), spent.get("seconds", 0.0)
        self.wall, self.begun = spent.get("wall", 0.0), time.monotonic()
        # Batches of this epoch: those done before a resume, those done by now, and all of them.
        self.first = self.done_batches = self.all_batches = 0
        self.loss = torch.zeros(())
        # What the net ended with in the batch before, for windows of texts: in training, and else.
        self.carried: dict[bool, Any] = {True: None if resumed is None else resumed.states}
        # Of the split that was tested last.
        self.constant = Constant()
        # Collects scores while it is set.
        self.calibration: Calibration | None = None
        self.batches_per_epoch = 0 if batches is None else len(self._sampler)
        self.steps = options.max_epochs * self.batches_per_epoch
        if options.max_steps is not None:
            self.steps = min(self.steps, options.max_steps)

    def configure_optimizers(self) -> Any:
        # On a CPU the fused step of a large embedding takes a sixth of the time; elsewhere torch
        # chooses, which False would keep from taking many weights at once.
        return OPTIMIZERS[self.options.optimizer](
            self.net.parameters(),
            lr=self.options.learning_rate,
            weight_decay=self.options.weight_decay,
            fused=self.device.type == "cpu" or None,
        )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        done = self.done_batches
        checkpoint[PROGRESS] = {
            "batches": done if done < self.all_batches else 0,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "wall": self.wall_s,
            # Of the batch before, whose windows the next one follows.
            "states": self.carried.get(True) or [],
        }

    @property
    def wall_s(self) -> float:
        """Seconds of training, including those before the run was resumed."""
        return self.wall + time.monotonic() - self.begun

    @property
    def nodes_per_s(self) -> float:
        """Nodes of the training batches so far, by the seconds of their steps."""
        return self.nodes / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float:
        """Seconds until the limit of training time; infinite if there is none."""
        most = self.options.minutes
        return inf if most is None else max(0.0, 60 * most - self.wall_s)

    @property
    def done(self) -> float:
        """The share of training that is done, from 0 to 1: of the steps, or of the minutes."""
        most, steps = self.options.minutes, self.trainer.global_step / self.steps
        return min(1.0, steps if most is None else max(steps, self.wall_s / (60 * most)))

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Set Lightning's counters of epochs and steps to those of the checkpoint."""
        saved, loop = self.resumed, self.trainer.fit_loop
        assert saved is not None
        progress: Any = loop.epoch_progress
        for epochs in (progress.total, progress.current):
            epochs.ready = epochs.started = epochs.processed = epochs.completed = saved.epochs
        steps = loop.epoch_loop.automatic_optimization.optim_progress.optimizer.step.total
        steps.ready = steps.completed = loop.epoch_loop._batches_that_stepped = saved.step
        self.trainer.should_stop = self._is_over

    def on_train_start(self) -> None:
        """Give the optimizer the options of this run, in place of the checkpoint's."""
        optimizer, new = self.trainer.optimizers[0], self.configure_optimizers()
        for group, given in zip(optimizer.param_groups, new.param_groups, strict=True):
            group.update({name: value for name, value in given.items() if name != "params"})

    def train_dataloader(self) -> DataLoader:
        """The batches of an epoch; of the epoch that was resumed, those that are left."""
        assert self.train_batches is not None
        batches = self._sampler
        epoch, saved = self.trainer.current_epoch, self.resumed
        batches.set_epoch(epoch)
        batches.take(0, batches.taken.stop)
        self.all_batches = len(batches)
        self.first = saved.batches if saved is not None and saved.epochs == epoch else 0
        self.done_batches = self.first
        batches.take(self.first, batches.taken.stop)
        return self.train_batches

    def transfer_batch_to_device(
        self, batch: Batch, device: torch.device, dataloader_idx: int
    ) -> Batch:
        """The batch on a device; it is made on the CPU."""
        return batch if device.type == "cpu" else batch.to(device)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        self.started = time.monotonic()
        # Noise depends on the seed and the step alone: a resumed run draws the same.
        seed = self.seed * 1_000_003 + self.trainer.global_step
        # The generators of GPUs are left alone where none is used: it takes 0.3 ms or more.
        seeds = torch.default_generator if self.device.type == "cpu" else torch
        seeds.manual_seed(seed)
        given = self.options.learning_rate
        rate = given * SCHEDULES[self.options.schedule](self.done)
        for group in self.trainer.optimizers[0].param_groups:
            group.update(lr=rate, initial_lr=given)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        batch = self.task.prepare(self.net, batch, self._before(batch), self.done)
        loss = self.task.loss(self._output(batch), batch)
        self.loss = loss.detach()
        self.log("loss", self.loss, prog_bar=True, batch_size=batch.num_samples)
        penalty = getattr(self.net, "penalty", None)
        return loss if penalty is None else loss + penalty

    def _output(self, batch: Batch) -> Any:
        """The net's output; of windows of texts, from the states that it ended with before."""
        if batch.follows is None:
            return self.net(batch)
        net: Any = self.net
        if not hasattr(net, "carry"):
            raise ValueError(
                f"the task's batches follow each other, and {nets.called(net)} has no method "
                "`carry`: take net=stack, or a task whose samples stand alone"
            )
        output, finals = net.carry(batch, self._before(batch))
        self.carried[self.training] = [[one.detach() for one in states] for states in finals]
        return output

    def _before(self, batch: Batch) -> Any:
        """The states that a batch starts from: of one that follows, those of the batch before."""
        states = self.carried.get(self.training) if batch.follows else None
        # Those of a checkpoint are on the CPU.
        return states and [[one.to(batch.ptr.device) for one in layer] for layer in states]

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.nodes += batch.total_nodes
        self.seconds += time.monotonic() - self.started
        self.done_batches = self.first + batch_idx + 1
        # Set here, so that Lightning still validates at the end of the epoch.
        if self._is_over:
            self.trainer.should_stop = True

    @property
    def _is_over(self) -> bool:
        most = self.options.max_steps
        return self.left_s == 0 or (most is not None and self.trainer.global_step >= most)

    @property
    def _sampler(self) -> Batches:
        assert self.train_batches is not None
        return cast(Batches, self.train_batches.batch_sampler)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raise before a step that would make weights NaN or infinite."""
        named = [(n, p, p.grad) for n, p in self.net.named_parameters() if p.grad is not None]
        self.norm = torch.nn.utils.get_total_norm([grad for _, _, grad in named])
        scaled = self.trainer.precision == "16-mixed"
        if torch.isfinite(self.loss) and (scaled or torch.isfinite(self.norm)):
            return
        bad = (
            name
            for name, parameter, grad in named
            if not (torch.isfinite(parameter).all() and torch.isfinite(grad).all())
        )
        keep: Any = self.trainer.checkpoint_callbacks[-1]
        raise FloatingPointError(
            f"loss {self.loss.item()} at step {self.trainer.global_step} of epoch "
            f"{self.trainer.current_epoch}: the first parameter whose value or gradient is not "
            f"finite is {next(bad, 'none')}; last good checkpoint: {keep.last or 'none yet'}. "
            "Try a smaller trainer.learning_rate or trainer.clip_norm, and look at the data."
        )

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as Lightning does, which refuses to for a fused optimizer in mixed precision.

        Gradients of a smaller norm stay as they are; torch would multiply each of them by 1.
        """
        parameters = list(self.net.parameters())
        if gradient_clip_val and gradient_clip_algorithm == "value":
            nn.utils.clip_grad_value_(parameters, gradient_clip_val)
        # 1e-6 is what torch adds to the norm.
        elif gradient_clip_val and self.norm + 1e-6 > gradient_clip_val:
            nn.utils.clip_grads_with_norm_(parameters, gradient_clip_val, self.norm)

    def on_train_epoch_end(self) -> None:
        """Raise for weights that the epoch's last step has made NaN or infinite."""
        bad = [n for n, p in self.net.named_parameters() if not torch.isfinite(p).all()]
        if bad:
            keep: Any = self.trainer.checkpoint_callbacks[-1]
            raise FloatingPointError(
                f"{bad[0]} is not finite after epoch {self.trainer.current_epoch}; last good "
                f"checkpoint: {keep.last or 'none yet'}. Try a smaller trainer.learning_rate or "
                "trainer.weight_decay."
            )

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch, quick=True)

    def on_test_epoch_start(self) -> None:
        self.constant = Constant()

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        self._measure(batch, quick=False)

    def on_validation_epoch_end(self) -> None:
        self.log("minutes", self.wall_s / 60)
        self.log("nodes_per_s", self.nodes_per_s, prog_bar=True)
        self._log_metrics("validation")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _measure(self, batch: Batch, quick: bool) -> None:
        found = self._as_measured(self._output(batch))
        alone = self.task.free_running(self.net, batch, quick)
        for name, (output, target) in {**self.task.measured(found, batch), **alone}.items():
            if len(target):
                self.metrics[name].update(output, target)
                if name in ("accuracy", "rmse"):
                    self.constant.update(output, target, IGNORE)
                if name == "accuracy" and self.calibration is not None:
                    self.calibration.update(output, target)

    def _as_measured(self, output: Any) -> Any:
        is_plain = not isinstance(output, Scores) or self.task.takes_scores
        return output if is_plain else plain_scores(output)

    def _log_metrics(self, split: str) -> None:
        for name, metric in self.metrics.items():
            if metric.update_called:
                main = name == self.task.monitor
                self.log(f"{split}/{name}", metric.compute(), prog_bar=main and split != "test")
                metric.reset()
