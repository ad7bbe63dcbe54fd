"""The LightningModule: a net with the loss and metrics of its task, and an optimizer."""

import time
from math import inf
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader

from structnet.data.batch import Batch
from structnet.data.task import Task
from structnet.distributed.dealing import Dealt, Steps
from structnet.distributed.gradients import Counted, StepGradient
from structnet.distributed.noise import seed_noise
from structnet.distributed.tree_sum import share_of
from structnet.distributed.world import current
from structnet.nn.head import Scores, plain_scores
from structnet.registry import nets
from structnet.run.resuming import PROGRESS, Saved
from structnet.training.carrying import Carried
from structnet.training.constant import Constant
from structnet.training.finite import bad_lanes, refuse_step, refuse_weights
from structnet.training.measuring import Measuring
from structnet.training.optimizing import OPTIMIZERS, SCHEDULES
from structnet.training.options import TrainerOptions


class Module(LightningModule):
    """A net that learns a task.

    Arguments:
        net: called with a batch.
        task: gives the loss and the metrics.
        options: how the net is trained.
        seed: of the noise in training steps.
        batches: of the training split, dealt to processes and lanes; not needed for testing.
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
        self.world, self.lanes = current(), options.lanes or 1
        self.mine = share_of(self.lanes, self.world.rank, self.world.size)
        # Whether a backward pass leaves the gradient of the step.
        self.is_single = self.lanes == self.world.size == 1
        self.measuring = Measuring(task, self.world)
        self.train_batches, self.resumed = batches, resumed
        spent = {} if resumed is None else resumed.spent
        self.nodes, self.seconds = spent.get("nodes", 0), spent.get("seconds", 0.0)
        self.wall, self.begun = spent.get("wall", 0.0), time.monotonic()
        # Steps of this epoch: those done before a resume, those done by now, and all of them.
        self.first = self.done_steps = self.all_steps = 0
        self.loss, self.counted = torch.zeros(()), Counted(0.0, 0, self.wall)
        self.carried = Carried(resumed.states if resumed and resumed.batches else None, self.lanes)
        self.steps_per_epoch = 0 if batches is None else len(self.sampler)
        every = options.max_epochs * self.steps_per_epoch
        self.steps = min(every, every if options.max_steps is None else options.max_steps)

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
        done = self.done_steps
        checkpoint[PROGRESS] = {
            "batches": done * self.lanes if done < self.all_steps else 0,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "wall": self.wall_s,
            # Of the batch before, whose windows the next one follows.
            "states": self.carried.of_all_lanes(self.world),
        }

    @property
    def wall_s(self) -> float:
        """Seconds of training, including those before the run was resumed.

        Of several processes the first one's, as of the last step: they decide by it what to do.
        """
        return self.counted.wall_s if self.world.size > 1 else self._own_wall_s

    @property
    def _own_wall_s(self) -> float:
        return self.wall + time.monotonic() - self.begun

    @property
    def nodes_per_s(self) -> float:
        """Nodes of the training batches so far, by the seconds of their steps."""
        return self.nodes / max(self.seconds, 1e-9)

    @property
    def left_s(self) -> float:
        """Seconds until the limit of training time; infinite if there is none."""
        most = self.options.limit_minutes
        return inf if most is None else max(0.0, 60 * most - self.wall_s)

    @property
    def done(self) -> float:
        """The share of training that is done, from 0 to 1: of the steps, or of the minutes."""
        most, steps = self.options.limit_minutes, self.trainer.global_step / self.steps
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
        sampler = self.sampler
        epoch, saved = self.trainer.current_epoch, self.resumed
        sampler.set_epoch(epoch)
        sampler.begin(0)
        self.all_steps = len(sampler)
        done = saved.batches if saved is not None and saved.epochs == epoch else 0
        self.first = self.done_steps = done // self.lanes
        sampler.begin(self.first)
        return self.train_batches

    def transfer_batch_to_device(
        self, batch: Dealt, device: torch.device, dataloader_idx: int
    ) -> Dealt:
        """The batches on a device; they are made on the CPU."""
        is_there = device.type == "cpu"
        return [one if one is None or is_there else one.to(device) for one in batch]

    def on_train_batch_start(self, batch: Dealt, batch_idx: int) -> None:
        self.started = time.monotonic()
        given = self.options.learning_rate
        rate = given * SCHEDULES[self.options.schedule](self.done)
        for group in self.trainer.optimizers[0].param_groups:
            group.update(lr=rate, initial_lr=given)

    def training_step(self, batch: Dealt, batch_idx: int) -> Tensor:
        """The loss of this process's last lane; the backward passes of its others are done."""
        busy = {lane: one for lane, one in zip(self.mine, batch, strict=True) if one is not None}
        if not self.is_single:
            # Lightning would do so between the passes of the lanes.
            self.trainer.optimizers[0].zero_grad()
            self.gradient = StepGradient(
                self.net.parameters(), self.lanes, list(busy), self.world, self._own_wall_s
            )
        loss = torch.zeros((), device=self.device, requires_grad=True)
        for lane, one in busy.items():
            loss = self._lane_loss(lane, one)
            if lane != max(busy):
                self.trainer.strategy.backward(loss, self.trainer.optimizers[0])
        return loss

    def _lane_loss(self, lane: int, batch: Batch) -> Tensor:
        seed_noise(self.seed, self.trainer.global_step, lane, self.device)
        batch = self.task.prepare(self.net, batch, self.carried.before(batch, lane), self.done)
        output = self._output(batch, lane)
        loss = self.task.loss(output, batch)
        if self.is_single:
            self.counted = Counted(loss.detach(), batch.total_nodes, self._own_wall_s)
        else:
            targets = self.task.num_targets(output, batch)
            self.under_way = loss.detach(), targets, batch.total_nodes
        penalty = getattr(self.net, "penalty", None)
        return loss if penalty is None else loss + penalty

    def on_after_backward(self) -> None:
        """Put the gradient of the step, once all lanes are done, where that of a lane was."""
        if self.is_single:
            return
        if self.gradient.busy:
            self.gradient.add(*self.under_way)
        if not self.gradient.busy:
            self.counted = self.gradient.finish()

    def _output(self, batch: Batch, lane: int | None) -> Any:
        """The net's output; of windows of texts, from the states that it ended with before."""
        if batch.follows is None:
            return self.net(batch)
        net: Any = self.net
        if not hasattr(net, "carry"):
            raise ValueError(
                f"the task's batches follow each other, and {nets.called(net)} has no method "
                "`carry`: take net=stack, or a task whose samples stand alone"
            )
        output, finals = net.carry(batch, self.carried.before(batch, lane))
        self.carried.keep(lane, finals)
        return output

    def on_train_batch_end(self, outputs: Any, batch: Dealt, batch_idx: int) -> None:
        self.nodes += self.counted.nodes
        self.seconds += time.monotonic() - self.started
        self.done_steps = self.first + batch_idx + 1
        # Set here, so that Lightning still validates at the end of the epoch.
        if self._is_over:
            self.trainer.should_stop = True

    @property
    def _is_over(self) -> bool:
        most = self.options.max_steps
        return self.left_s == 0 or (most is not None and self.trainer.global_step >= most)

    @property
    def sampler(self) -> Steps:
        assert self.train_batches is not None
        return cast(Steps, self.train_batches.batch_sampler)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Raise before a step that would make weights NaN or infinite, in all processes."""
        self.loss = torch.as_tensor(self.counted.loss)
        self.log("loss", self.loss, prog_bar=True, batch_size=1)
        named = [(n, p, p.grad) for n, p in self.net.named_parameters() if p.grad is not None]
        self.norm = torch.nn.utils.get_total_norm([grad for _, _, grad in named])
        scaled = self.trainer.precision == "16-mixed"
        if torch.isfinite(self.loss) and (scaled or torch.isfinite(self.norm)):
            return
        lanes = "" if self.is_single else bad_lanes(self.gradient.losses, self.world)
        refuse_step(self.trainer, self.loss, named, lanes)

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
        refuse_weights(self.trainer, self.net.named_parameters())

    def validation_step(self, batch: Dealt, batch_idx: int) -> None:
        self._measure(batch, quick=True)

    def on_test_epoch_start(self) -> None:
        self.measuring.constant = Constant()

    def test_step(self, batch: Dealt, batch_idx: int) -> None:
        self._measure(batch, quick=False)

    def on_validation_epoch_end(self) -> None:
        self.log("minutes", self.wall_s / 60)
        self.log("nodes_per_s", self.nodes_per_s, prog_bar=True)
        self._log_metrics("validation")

    def on_test_epoch_end(self) -> None:
        self._log_metrics("test")

    def _measure(self, dealt: Dealt, quick: bool) -> None:
        (batch,) = dealt
        found = None
        if batch is not None:
            made = self._output(batch, None)
            is_plain = not isinstance(made, Scores) or self.task.takes_scores
            output: Any = made if is_plain else plain_scores(made)
            alone = self.task.free_running(self.net, batch, quick)
            found = {**self.task.measured(output, batch), **alone}
        # Those that follow each other can't be shared.
        is_shared = batch is None or batch.follows is None
        self.measuring.update(found, self.device, is_shared)

    def _log_metrics(self, split: str) -> None:
        for name, value in self.measuring.figures():
            main = name == self.task.monitor
            self.log(f"{split}/{name}", value, prog_bar=main and split != "test")
