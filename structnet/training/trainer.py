"""Lightning's Trainer as nets are trained and tested with it: quiet, on so many threads."""

import logging
import os
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader

from structnet.data.batch import Sample
from structnet.data.loader import loader
from structnet.run.logs import next_stretch
from structnet.run.run import Run
from structnet.training.module import Module


def quiet_trainer(**options: Any) -> Trainer:
    """Lightning's Trainer without its banners."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*`weights_only`.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*GPU available but not used.*",
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message)
    try:
        return Trainer(enable_model_summary=False, **options)
    except Exception as error:
        # Lightning has several types of its own for a bad accelerator, precision or device.
        given = {name: options[name] for name in ("accelerator", "precision")}
        raise ValueError(f"no trainer for {given}: {error}") from error


def share_cores() -> None:
    """Leave a core to loading: threads that compete for cores wait for each other.

    So many threads whatever the number of workers, as another number sums in another order; never
    more than torch was told to take, by OMP_NUM_THREADS for example.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(min(torch.get_num_threads(), max(1, (cores or 1) - 1)))


def loggers(run: Run) -> list[Logger]:
    stretch = next_stretch(run.logs)
    loggers: list[Logger] = [CSVLogger(run.directory, name="logs", version=stretch)]
    # TensorBoard is an extra of its own.
    with suppress(ModuleNotFoundError):
        loggers.append(TensorBoardLogger(run.directory, name="tensorboard"))
    return loggers


def figures_of(trainer: Trainer, module: Module, batches: DataLoader) -> dict[str, float]:
    (figures,) = trainer.test(module, batches, verbose=False)
    return {name.removeprefix("test/"): float(value) for name, value in figures.items()}


def evaluate(run: Run, net: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
    """The task's metrics of a net on samples."""
    options = run.config["trainer"]
    share_cores()
    batches = {name: options[name] for name in ("batch_nodes", "batch_size", "num_workers")}
    trainer = quiet_trainer(
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
        limit_test_batches=options["limit_batches"],
        devices=1,
        **{name: options[name] for name in ("precision", "accelerator")},
    )
    module = Module(net, run.task)
    return figures_of(
        trainer, module, loader(samples, run.topology, group=run.task.group, **batches)
    )
