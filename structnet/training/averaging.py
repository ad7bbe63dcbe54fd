"""Averages of weights over the steps of training."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from structnet.data.task import Task
from structnet.run.resuming import AVERAGE


class Average(Callback):
    """The mean of the weights after every step since a trigger, which is tested and kept.

    NT-ASGD (Merity et al. 2018, section 4, algorithm 1) if the optimizer is SGD with a constant
    rate: the mean begins with the weights after the first epoch whose validation figure is worse
    than the best one of the epochs more than `wait` before it. Training itself goes on with the
    last weights. The callback of Lightning keeps a mean from the start, and its checkpoints are
    loaded without checks.

    Arguments:
        task: names the validation figure.
        wait: the number of latest epochs that an epoch is not compared with; n of the paper.
    """

    def __init__(self, task: Task, wait: int):
        self.task, self.wait = task, wait
        self.scores: list[float] = []
        # The number of steps in the mean, and the mean of every parameter; none before the trigger.
        self.count, self.mean = 0, []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put a mean that was loaded where the weights are by now."""
        self.mean = [mean.to(pl_module.device) for mean in self.mean]

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *given: Any) -> None:
        if self.count:
            self.count += 1
            for mean, weight in zip(self.mean, _weights(pl_module), strict=True):
                mean.lerp_(weight, 1 / self.count)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap(pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._swap(pl_module)
        score = trainer.callback_metrics.get(f"validation/{self.task.monitor}")
        if score is None:
            return
        if not self.count and triggers(self.scores, score.item(), self.wait, self.task.mode):
            self.count, self.mean = 1, [weight.clone() for weight in _weights(pl_module)]
            print(
                f"weights are averaged from step {trainer.global_step} on: {self.task.monitor} "
                f"{score.item():.4f} was better more than {self.wait} epochs ago",
                flush=True,
            )
        self.scores.append(score.item())

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the mean in the net, where it is tested and kept."""
        self._swap(pl_module)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the mean as the weights, and beside it those that training goes on with."""
        saved: dict[str, Any] = {"count": self.count, "scores": list(self.scores), "weights": {}}
        if self.count:
            mean = dict(zip(map(id, pl_module.parameters()), self.mean, strict=True))
            saved["weights"] = checkpoint["state_dict"]
            checkpoint["state_dict"] = {
                name: mean.get(id(value), value.detach())
                for name, value in pl_module.state_dict(keep_vars=True).items()
            }
        checkpoint[AVERAGE] = saved

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on from a checked checkpoint; from nothing if that has no mean."""
        if (saved := checkpoint.get(AVERAGE)) is not None:
            self.count, self.scores = saved["count"], list(saved["scores"])
            if self.count:
                named = pl_module.named_parameters()
                self.mean = [saved["mean"][name].to(weight) for name, weight in named]

    def _swap(self, module: LightningModule) -> None:
        """Exchange the mean, if there is one, and the weights of the net."""
        if self.count:
            for mean, weight in zip(self.mean, _weights(module), strict=True):
                last = weight.clone()
                weight.copy_(mean)
                mean.copy_(last)


def triggers(scores: Sequence[float], score: float, wait: int, mode: str) -> bool:
    """Whether a figure is worse than the best of those before the last `wait` ones.

    Arguments:
        scores: the figures so far.
        score: the new figure.
        wait: the number of latest figures that are left out.
        mode: whether the largest is best, max, or the smallest, min.
    """
    before = scores[: max(0, len(scores) - wait)]
    if not before:
        return False
    return score > min(before) if mode == "min" else score < max(before)


def averaging(task: Task, average: str, wait: int) -> list[Callback]:
    """`Average`, if an option asks for it."""
    return [Average(task, wait)] if average == "triggered" else []


def _weights(module: LightningModule) -> list[Tensor]:
    return [weight.detach() for weight in module.parameters()]
