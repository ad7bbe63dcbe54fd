"""A run that is begun or gone on with, trained, tested and saved."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from structnet.config.composing import override, saved
from structnet.config.spelling import words_of
from structnet.distributed.launch import divided
from structnet.distributed.world import current
from structnet.run.card import write_card
from structnet.run.directories import directory_for, locked
from structnet.run.resuming import Saved, newest
from structnet.run.run import Run
from structnet.system.memory import keep_memory
from structnet.training.fit import train_run
from structnet.training.others import NOTHING, Others
from structnet.training.report import best_baseline, draw_curve
from structnet.training.resume import check_changes, checkpoint_of, is_finished, reason_it_ended
from structnet.training.samples import named

# Makes the run of a configuration in a directory.
Compose = Callable[[Mapping[str, Any], Path], Run]


def begin(config: Mapping[str, Any], compose: Compose = Run.compose) -> tuple[Run, Saved | None]:
    """A new run in a directory of its own, checked; the checkpoint of one that is started again.

    Processes that torchrun has started again go on with the run before.
    """
    world = current()
    with world.together():
        run = compose(config, Path())
        run.check()
    directory = world.kept("run") or world.from_first(lambda: str(directory_for(config)))
    world.keep("run", directory)
    run = replace(run, directory=Path(directory))
    with world.together():
        return run, newest(run.manifest)


def reopen(
    directory: str, words: Sequence[str], compose: Compose = Run.compose
) -> tuple[Run, Saved, str | None]:
    """A run to go on with, checked, its newest checkpoint, and why nothing is left to train.

    The reason is None where something is left.

    Arguments:
        directory: the run's.
        words: options of the trainer to change, as typed.
        compose: makes the run.
    """
    world = current()
    with world.together():
        run = compose(saved(directory), Path(directory))
        found = checkpoint_of(run)
        config = override(run.config, words)
        check_changes(found, run.directory / found.name, config["trainer"], run.config["trainer"])
        ended, finished = reason_it_ended(found, config["trainer"]), is_finished(run, found)
        changed = config != run.config
        if found.epochs > config["trainer"]["max_epochs"] or (ended and finished and changed):
            raise ValueError(f"{directory} has been trained {ended}")
    if ended and finished:
        return run, found, ended
    with world.together():
        resumed = compose(divided(config, world.launch, resumed=True), run.directory)
        resumed.check(resumed=True)
    return resumed, found, None


def finish(
    run: Run, resumed: Saved | None, others: Others = NOTHING
) -> tuple[nn.Module, dict[str, Any]]:
    """Train and test a run, saving each result as soon as it is there; its net and figures."""
    keep_memory()
    world = current()
    with world.within_first(locked(run.directory)):
        net, metrics = train_run(run, resumed, others)
        if not world.is_first:
            return net, metrics
        run.save_net(net)
        draw_curve(run)
        # Saved before the baselines, which may fail.
        run.save_metrics(metrics)
        name = run.config["task"]["name"]
        with named(run, f"task {name!r} failed to fit its baselines"):
            baselines = run.task.baselines()
        if baselines:
            metrics["baselines"] = baselines
        if best := best_baseline(baselines, run.task):
            metrics["baseline"] = best
        run.save_metrics(metrics)
        write_card(run, metrics, words_of(run.config))
    return net, metrics
