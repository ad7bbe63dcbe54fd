"""Training a run's net: the data is loaded, Lightning trains, and the figures are measured."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from torch import nn
from torch.utils.data import DataLoader

from structnet.data.filled import unfilled_slots, warn_of_slots
from structnet.distributed.dealing import deal, deal_evaluation
from structnet.distributed.world import World, current
from structnet.nn.head import Head
from structnet.registry import executors
from structnet.run.manifest import BEST
from structnet.run.resuming import Saved
from structnet.run.run import Run
from structnet.run.size import trains_on_gpu
from structnet.system.signals import Stopped
from structnet.system.words import command_line
from structnet.training.averaging import averaging
from structnet.training.calibrating import Calibration
from structnet.training.callbacks import diagnosis, early_stopping, illustration, progress
from structnet.training.compiling import Compile, executors_of
from structnet.training.keeping import Begin, CheckpointFiles, Keep, restored
from structnet.training.logging import check_logger, close, loggers
from structnet.training.module import Module
from structnet.training.options import TrainerOptions
from structnet.training.others import NOTHING, Others
from structnet.training.samples import SPLITS, Splits, load_samples
from structnet.training.shared import check_same_start, exchanged, say_how
from structnet.training.trainer import (
    check_machine,
    figures_of,
    quiet_trainer,
    share_cores,
)


def train_run(
    run: Run, resumed: Saved | None, others: Others = NOTHING
) -> tuple[nn.Module, dict[str, Any]]:
    """Load the data, train the run's net from the start or from a checkpoint, and test it."""
    options = TrainerOptions.of(run.config)
    world = current()
    world.wait_at_most(options.timeout_minutes)
    with world.together():
        check_machine(options)
        check_logger(options.logger)
        if resumed:
            run.load_learned()
        splits = _load(run)
        seed_everything(run.config["seed"], workers=True, verbose=False)
        net = run.build_net(**_executor_here(run) if resumed else {})
    if world.size > 1:
        check_same_start(world, run, net, splits, resumed)
    return net, fit(run, net, splits, options, resumed, others)


def fit(
    run: Run,
    net: nn.Module,
    splits: Splits,
    options: TrainerOptions,
    resumed: Saved | None,
    others: Others = NOTHING,
) -> dict[str, Any]:
    """Train the net, leave the weights to keep in it, and measure its figures.

    Checkpoints are saved in the run's directory after every epoch; a run that is resumed from one
    gives the same numbers as a run that was never stopped, whatever the number of processes.

    Raises FloatingPointError when the loss or a gradient is not finite; the last checkpoint is
    kept.
    """
    seed = run.config["seed"]
    world = current()
    seed_everything(seed, workers=True, verbose=False)
    share_cores(options.threads, world.launch.local_size)
    with world.together():
        loaders = _loaders(run, splits, options, world)
    module = Module(net, run.task, options, seed, loaders["train"], resumed)
    unfilled = unfilled_slots(run.topology, splits["train"])
    for name in ("validation", "test"):
        warn_of_slots(run.topology, unfilled, splits[name], f"the {name} split")
    say_how(module)
    if names := executors_of(net, module.steps):
        print(f"executor: {names}", flush=True)
    begin = Begin(run)
    alone = [begin] if world.is_first else []
    ours = [*alone, Compile(module.steps), *_callbacks(run, net, splits, options, resumed)]
    logged, files = loggers(run, options.logger), _files(run, module, resumed)
    added = [*ours, *others.callbacks]
    trainer = _trainer(run, options, added, [*logged, *others.loggers], files)
    _train(run, trainer, module, loaders["validation"])
    trained = _training_figures(trainer, module)
    if world.is_first:
        begin.save()
        if options.keep == "best" and (run.directory / BEST).is_file():
            run.load_checkpoint(net, "best.ckpt")
    world.take_first(net)
    if options.calibrate:
        trained |= _calibrate(trainer, module, loaders["validation"])
    # The test split last: the constant prediction's figures are then those of the test split.
    figures = {name: figures_of(trainer, module, loaders[name]) for name in ("validation", "test")}
    close(logged)
    return {
        "test": figures["test"],
        "validation": figures["validation"],
        "train": {**trained, **module.measuring.constant.figures()},
        **({"unfilled_slots": unfilled} if unfilled else {}),
    }


def _load(run: Run) -> Splits:
    """Load the splits, and print how many samples they have."""
    started, name = time.monotonic(), run.config["task"]["name"]
    print(f"reading {name} ...", flush=True)
    splits = load_samples(run)
    read_s = time.monotonic() - started
    order = dict.fromkeys((*SPLITS, *splits))
    counts = ", ".join(f"{len(splits[split]) // run.task.group:,} {split}" for split in order)
    print(f"{name}: {counts} samples, read in {read_s:.1f} s", flush=True)
    return splits


def _loaders(
    run: Run, splits: Splits, options: TrainerOptions, world: World
) -> dict[str, DataLoader]:
    """The batches of every split, dealt to processes and lanes."""
    lanes = options.lanes or 1
    loaders = {
        name: run.task.loader(
            samples,
            run.topology,
            batch_nodes=options.batch_nodes,
            batch_size=options.batch_size,
            pool=options.pool,
            shuffle=name == "train",
            seed=run.config["seed"],
            num_workers=options.num_workers,
            lanes=lanes if name == "train" else 1,
        )
        for name, samples in splits.items()
    }
    for loader in loaders.values():
        batches: Any = loader.batch_sampler
        batches.take(0, options.limit_batches)
    return {
        name: deal(loader, lanes, world) if name == "train" else deal_evaluation(loader, world)
        for name, loader in loaders.items()
    }


def _callbacks(
    run: Run, net: nn.Module, splits: Splits, options: TrainerOptions, resumed: Saved | None
) -> list[Callback]:
    best, waited = (None, None) if resumed is None else (resumed.best_score, resumed.waited)
    return [
        *([progress()] if current().is_first else []),
        *averaging(run.task, options.average, options.average_wait),
        *early_stopping(run.task, options.patience, waited),
        *(_shown(run, net, splits, options) if current().is_first else ()),
        Keep(run, options.save_minutes, options.save_steps, best),
    ]


def _shown(run: Run, net: nn.Module, splits: Splits, options: TrainerOptions) -> Iterator[Callback]:
    """What shows the net in training: pictures and diagnoses, of the first process alone."""
    yield from diagnosis(run, net, splits, options.diagnose, options.batch_nodes)
    yield from illustration(run, splits, options.illustrate)


def _files(run: Run, module: Module, resumed: Saved | None) -> CheckpointFiles:
    return CheckpointFiles(run, None if resumed is None else restored(run, module, resumed))


def _trainer(
    run: Run,
    options: TrainerOptions,
    callbacks: Sequence[Callback],
    logged: Sequence[Logger],
    files: CheckpointFiles,
) -> Trainer:
    by_value = options.clip_value is not None
    return quiet_trainer(
        options,
        # The number of batches differs from epoch to epoch.
        reload_dataloaders_every_n_epochs=1,
        max_epochs=options.max_epochs,
        gradient_clip_val=options.clip_value if by_value else options.clip_norm,
        gradient_clip_algorithm="value" if by_value else "norm",
        callbacks=list(callbacks),
        plugins=[files],
        logger=list(logged),
        enable_progress_bar=sys.stdout.isatty(),
        deterministic=options.deterministic,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )


def _train(run: Run, trainer: Trainer, module: Module, validation: DataLoader) -> None:
    """Lightning's `fit`, with errors that say what to do."""
    path = None if module.resumed is None else run.directory / module.resumed.name
    try:
        trainer.fit(module, val_dataloaders=validation, ckpt_path=path, weights_only=True)
    except SystemExit as error:
        # Lightning raises it for an interrupt from the keyboard, and for SIGTERM.
        raise Stopped(f"stopped; {_advice(run)}") from error
    except ConnectionError as error:
        raise ConnectionError(f"{error}; {_advice(run)}") from error
    except OSError as error:
        if error.filename is None and str(run.directory) not in str(error):
            raise OSError(f"cannot write below {run.directory}: {error}") from error
        raise
    except RuntimeError as error:
        if str(error).startswith("DataLoader worker"):
            raise ChildProcessError(f"{error}; {_advice(run)}") from error
        raise


def _advice(run: Run) -> str:
    """What to do after training has stopped before its end."""
    if (run.checkpoints / "last.ckpt").is_file():
        return f"go on with: {command_line('train', f'resume={run.directory}')}"
    if not current().is_first:
        return "go on from the checkpoint of the first process, if it has written one"
    return "nothing is kept, as the first epoch did not end: the same command starts it again"


def _training_figures(trainer: Trainer, module: Module) -> dict[str, Any]:
    return {
        "epochs": trainer.current_epoch,
        "steps": trainer.global_step,
        "seconds": round(module.wall_s, 1),
        "nodes_per_s": round(module.nodes_per_s),
        "parameters": sum(parameter.numel() for parameter in module.net.parameters()),
        **exchanged(trainer, module),
    }


def _calibrate(trainer: Trainer, module: Module, validation: DataLoader) -> dict[str, float]:
    """Divide the scores of classes by a temperature, in the head's weights; returned by its name.

    Nothing is changed for other tasks than those selected by accuracy, other heads than those with
    such weights, and where no temperature is best.
    """
    head = getattr(module.net, "head", None)
    if module.task.monitor != "accuracy" or not isinstance(head, Head) or not head.linear:
        return {}
    measuring = module.measuring
    measuring.calibration = Calibration()
    figures_of(trainer, module, validation)
    temperature, measuring.calibration = measuring.calibration.temperature(), None
    if temperature is None:
        return {}
    for name in head.linear:
        getattr(head, name).data.div_(temperature)
    print(f"probabilities calibrated: temperature {temperature:.3f}", flush=True)
    return {"temperature": temperature}


def _executor_here(run: Run) -> dict[str, Any]:
    """Options of the net for a resumed run, whose executor may need what this machine lacks."""
    is_known = run.executor in executors
    options = run.portable
    if is_known and trains_on_gpu(run.config):
        options.pop("executor", None)
    if "executor" in options:
        lacking = "no GPU for" if is_known else "there is no"
        print(f"{lacking} net.executor={run.executor}: going on with auto", flush=True)
    return options
