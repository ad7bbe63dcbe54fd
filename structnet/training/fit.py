"""The adapter to Lightning: a plain net and a task become a training run."""

import sys
import time
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from torch import nn
from torch.utils.data import DataLoader

from structnet.data.batch import Sample
from structnet.data.filled import unfilled_slots, warn_of_slots
from structnet.data.loader import loader
from structnet.run.resuming import BEST, Saved
from structnet.run.run import Run
from structnet.system.signals import Stopped
from structnet.system.terminal import counted
from structnet.system.words import command_line
from structnet.training.callbacks import diagnosis, early_stopping, illustration, progress
from structnet.training.keeping import Begin, CheckpointFiles, Keep, restored
from structnet.training.module import Module
from structnet.training.ranges import check_ranges
from structnet.training.samples import load_samples
from structnet.training.trainer import figures_of, loggers, quiet_trainer, share_cores


def fit(
    run: Run,
    net: nn.Module,
    splits: dict[str, Sequence[Sample]],
    seed: int,
    resumed: Saved | None,
    *,
    max_epochs: int = 4,
    max_steps: int | None = None,
    limit_batches: int | None = None,
    batch_nodes: int = 2048,
    batch_size: int | None = None,
    pool: int = 50,
    num_workers: int = 1,
    optimizer: str = "adamw",
    learning_rate: float = 0.004,
    weight_decay: float = 0.01,
    schedule: str = "cosine",
    clip_norm: float | None = 1.0,
    clip_value: float | None = None,
    patience: int | None = None,
    keep: str = "best",
    save_minutes: float | None = None,
    save_steps: int | None = None,
    diagnose: int | None = None,
    illustrate: int | None = 1,
    precision: str = "32-true",
    accelerator: str = "auto",
    deterministic: bool = False,
) -> dict[str, Any]:
    """Train the net and leave its best weights in it; test, validation and training figures.

    What was learned is saved after every epoch, and a run goes on from there with the very numbers
    it would have had. There is one device. Raises FloatingPointError when the loss or a gradient is
    not finite; the last checkpoint is kept.

    Arguments:
        max_epochs: the number of passes over the training data.
        max_steps: the most steps of the optimizer; null is no bound.
        limit_batches: the batches taken of each split; null is all.
        batch_nodes: the most nodes of a batch.
        batch_size: the samples of a batch, in place of batch_nodes.
        pool: the batches' worth of samples that are sorted by size together; 1 sorts none, for
            targets that go with a sample's size.
        num_workers: the processes that make batches; 0 makes them in this one.
        optimizer: adamw, adam, adagrad or sgd.
        learning_rate: the step size at the start.
        weight_decay: the decay of weights, decoupled from the gradient.
        schedule: of the learning rate: cosine, which falls to 0, or constant.
        clip_norm: the largest norm of a step's gradient; null does not clip.
        clip_value: the largest entry of a gradient, in place of clip_norm.
        patience: the epochs without a better validation figure after which training stops; null is
            never.
        keep: the weights that count in the end: best on validation, or last, where the validation
            split is too small to choose by.
        save_minutes: within an epoch what was learned is saved every so many minutes; null is
            at its end alone.
        save_steps: the same every so many steps.
        diagnose: after every so many epochs the gradient that reaches each level is logged and
            saved in diagnose.json; null is never.
        illustrate: after every so many epochs pictures of what the net makes are saved in samples/.
        precision: Lightning's: 32-true, bf16-mixed and others.
        accelerator: Lightning's: auto, cpu or gpu.
        deterministic: Lightning's: whether the same seed gives the same bits on a GPU as well.
    """
    seed_everything(seed, workers=True, verbose=False)
    share_cores()
    options = {
        "batch_nodes": batch_nodes,
        "batch_size": batch_size,
        "pool": pool,
        "num_workers": num_workers,
        "group": run.task.group,
    }
    loaders = {
        name: loader(samples, run.topology, shuffle=name == "train", seed=seed, **options)
        for name, samples in splits.items()
    }
    loaders["train"].batch_sampler.take(0, limit_batches)
    steps = len(loaders["train"]) * max_epochs
    module = Module(
        net,
        run.task,
        optimizer,
        learning_rate,
        weight_decay,
        schedule,
        seed,
        steps if max_steps is None else min(steps, max_steps),
        max_steps,
        resumed,
    )
    unfilled = unfilled_slots(run.topology, splits["train"])
    for name in ("validation", "test"):
        warn_of_slots(run.topology, unfilled, splits[name], f"the {name} split")
    module.train_batches = loaders["train"]
    batches = len(loaders["train"].batch_sampler)
    print(f"{counted(batches, 'batch', 'batches')} an epoch", flush=True)
    begin = Begin(run)
    best, waited = (None, None) if resumed is None else (resumed.best_score, resumed.waited)
    trainer = quiet_trainer(
        # The number of batches is another one in every epoch.
        reload_dataloaders_every_n_epochs=1,
        max_epochs=max_epochs,
        limit_val_batches=limit_batches,
        limit_test_batches=limit_batches,
        gradient_clip_val=clip_norm if clip_value is None else clip_value,
        gradient_clip_algorithm="norm" if clip_value is None else "value",
        callbacks=[
            begin,
            progress(),
            *early_stopping(run.task, patience, waited),
            *diagnosis(run, net, splits, diagnose, batch_nodes),
            *illustration(run, splits, illustrate),
            Keep(run, save_minutes, save_steps, best),
        ],
        plugins=[CheckpointFiles(run, None if resumed is None else restored(run, module, resumed))],
        logger=loggers(run),
        enable_progress_bar=sys.stdout.isatty(),
        precision=precision,
        accelerator=accelerator,
        devices=1,
        deterministic=deterministic,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )
    _train(run, trainer, module, loaders["validation"])
    begin.save()
    if keep == "best" and (run.directory / BEST).is_file():
        run.load_checkpoint(net, "best.ckpt")
    # Validation first: what one answer would score is then known of the test.
    figures = {name: figures_of(trainer, module, loaders[name]) for name in ("validation", "test")}
    return {
        "test": figures["test"],
        "validation": figures["validation"],
        "train": {
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "seconds": round(module.wall_s, 1),
            "nodes_per_s": round(module.nodes / max(module.seconds, 1e-9)),
            "parameters": sum(parameter.numel() for parameter in net.parameters()),
            **module.constant.figures(),
        },
        **({"unfilled_slots": unfilled} if unfilled else {}),
    }


def _train(run: Run, trainer: Trainer, module: Module, validation: DataLoader) -> None:
    """Lightning's `fit`, with errors that say what to do."""
    path = None if module.resumed is None else run.directory / module.resumed.name
    try:
        trainer.fit(module, val_dataloaders=validation, ckpt_path=path, weights_only=True)
    except SystemExit as error:
        # Lightning's answer to an interrupt from the keyboard, and to SIGTERM.
        raise Stopped(f"stopped; {_advice(run)}") from error
    except OSError as error:
        if error.filename is None and str(run.directory) not in str(error):
            raise OSError(f"cannot write below {run.directory}: {error}") from error
        raise
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):
            raise ChildProcessError(f"{error}; {_advice(run)}") from error
        raise


def _advice(run: Run) -> str:
    """What to do where training has ended too early."""
    if (run.checkpoints / "last.ckpt").is_file():
        return f"go on with: {command_line('train', f'resume={run.directory}')}"
    return "nothing is kept, as the first epoch did not end: the same command starts it again"


def train_run(run: Run, resume: Saved | None) -> tuple[nn.Module, dict[str, Any]]:
    """Read the data, train the run's net from the start or a checkpoint, and test it."""
    started = time.monotonic()
    options = {name: value for name, value in run.config["trainer"].items() if name != "name"}
    check_ranges(options)
    # Lightning knows what this machine has.
    quiet_trainer(
        accelerator=options["accelerator"],
        precision=options["precision"],
        devices=1,
        logger=False,
        enable_checkpointing=False,
    )
    if resume:
        run.load_learned()
    print(f"reading {run.config['task']['name']} ...", flush=True)
    splits = load_samples(run)
    read_s = time.monotonic() - started
    counts = ", ".join(
        f"{len(samples) // run.task.group:,} {name}" for name, samples in splits.items()
    )
    print(f"{run.config['task']['name']}: {counts} samples, read in {read_s:.1f} s", flush=True)
    seed_everything(run.config["seed"], workers=True, verbose=False)
    net = run.build_net(**_other_executor(run) if resume else {})
    return net, fit(run, net, splits, run.config["seed"], resume or None, **options)


def _other_executor(run: Run) -> dict[str, str]:
    """For a run that goes on where its kernels don't run: any executor gives the same numbers."""
    has_gpu = torch.cuda.is_available() and run.config["trainer"]["accelerator"] != "cpu"
    if has_gpu or not run.is_fused:
        return {}
    name = run.config["net"]["executor"]
    print(f"no GPU for net.executor={name}: going on with auto", flush=True)
    return {"executor": "auto"}
