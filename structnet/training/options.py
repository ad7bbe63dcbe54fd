"""The options of training: read by configurations, without Lightning."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

OptimizerName = Literal["adamw", "adam", "adagrad", "sgd"]
ScheduleName = Literal["cosine", "constant"]
LoggerName = Literal["csv", "tensorboard", "wandb", "mlflow"]
# Zero is allowed for these; every other number is above 0.
MAY_BE_ZERO = ("num_workers", "weight_decay")


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """Training by gradient descent, with the options of Lightning's Trainer that matter here.

    Raises ValueError for a number that is out of range or not finite.

    Arguments:
        max_epochs: the number of passes over the training data.
        max_steps: the maximum number of optimizer steps; null for no limit.
        limit_minutes: the maximum time of training, validation included; the steps it has time for
            differ from run to run, so results can't be repeated to the bit; null for no limit.
        limit_batches: the number of batches taken from each split; null for all of them.
        batch_nodes: the maximum number of nodes in a batch.
        batch_size: the number of samples in a batch, in place of batch_nodes.
        pool: samples are sorted by size within pools of this many batches; 1 for no sorting, where
            the targets depend on a sample's size.
        num_workers: the number of processes that make batches; 0 makes them in the main process.
        threads: the number of threads that compute, in each process; null for all cores but one,
            which is left to making batches, shared by the processes of a machine. Another number
            may change the last digits of results.
        devices: the number of processes on this machine, one for each of its GPUs or for some of
            its cores; auto takes as many as torchrun or Slurm has started.
        lanes: the number of batches in a step, which the processes share: results depend on it, but
            not on how many processes there are. null for as many as there are at the start.
        timeout_minutes: how long one process waits for the others before it stops.
        optimizer: the optimizer, one of torch.optim's.
        learning_rate: the learning rate at the start.
        weight_decay: the weight decay, decoupled from the gradient with adamw.
        schedule: the learning rate over the steps, or over the minutes where their limit is closer:
            cosine falls to 0, constant stays.
        average: the weights that are validated, tested and kept: none, those of the last step, or
            triggered, their mean over all steps since the validation figure got no better (NT-ASGD,
            with optimizer=sgd and schedule=constant).
        average_wait: the mean begins after an epoch whose figure is worse than the best of those
            more than this many epochs before.
        clip_norm: the maximum norm of the gradient; null for no clipping.
        clip_value: the maximum absolute value of a gradient's entries, in place of clip_norm.
        patience: training stops after this many epochs without a better validation figure; null
            for never.
        keep: the weights kept at the end: those of the epoch with the best validation figure, or
            the last, where the validation split is too small to choose by.
        calibrate: whether the scores of classes are divided by a temperature at the end, which is
            fitted to the validation split, so that a probability says how often it is right. Only
            for tasks whose epochs are selected by accuracy, which stays the same, and heads softmax
            and sampled with weights of their own.
        save_minutes: save a checkpoint within an epoch every this many minutes; null saves at the
            end of an epoch only.
        save_steps: save a checkpoint within an epoch every this many steps.
        diagnose: every this many epochs, log the gradient that reaches each level and save it in
            diagnose.json; null for never.
        illustrate: every this many epochs, save pictures of what the net makes in samples/; null
            for never.
        logger: where figures are logged beside the CSV files in logs/: csv is nowhere else, the
            others need the extra of their name; null is tensorboard if that is installed.
        precision: Lightning's precision: weights are float32, and mixed precision computes in 16
            bits where that is safe, and where the processor has instructions for it.
        accelerator: Lightning's accelerator: auto takes a GPU if there is one.
        deterministic: Lightning's deterministic: the same seed gives the same bits on a GPU too.
    """

    max_epochs: int = 4
    max_steps: int | None = None
    limit_minutes: float | None = None
    limit_batches: int | None = None
    batch_nodes: int = 2048
    batch_size: int | None = None
    pool: int = 50
    num_workers: int = 1
    threads: int | None = None
    devices: Literal["auto"] | int = "auto"
    lanes: int | None = None
    timeout_minutes: float = 30
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 0.004
    weight_decay: float = 0.01
    schedule: ScheduleName = "cosine"
    average: Literal["none", "triggered"] = "none"
    average_wait: int = 5
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    patience: int | None = None
    keep: Literal["best", "last"] = "best"
    calibrate: bool = True
    save_minutes: float | None = None
    save_steps: int | None = None
    diagnose: int | None = None
    illustrate: int | None = 1
    logger: LoggerName | None = None
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    deterministic: bool = False

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if type(value) not in (int, float):
                continue
            least = "at least 0" if name in MAY_BE_ZERO else "above 0"
            if not 0 <= value < math.inf or (value == 0 and name not in MAY_BE_ZERO):
                raise ValueError(
                    f"option {name!r} of trainer must be {least} and finite, got {value}"
                )

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "TrainerOptions":
        """The options in a checked configuration."""
        return cls(**{name: value for name, value in config["trainer"].items() if name != "name"})
