"""The row `train-default` of suite `cpu`: a step of `structnet train`, beside the step alone."""

import io
import sysconfig
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from structnet.bench.rows import Mark
from structnet.bench.workload import Figures, Setting
from structnet.config.composing import compose
from structnet.data.batch import Batch
from structnet.data.splits import Splits
from structnet.system.cores import threads

if TYPE_CHECKING:
    from structnet.run.run import Run

# The contenders take turns; the first steps of a turn wait for the loader's worker to start.
TURNS, WARM = 3, 3
# What is read of the standard library where `scale` makes the job smaller.
PART = Path(sysconfig.get_path("stdlib"), "asyncio")
# Samples of the other splits, which are not measured.
FEW = 20
TRAINER, BARE, LAYER = "trainer", "bare step", "layer alone"


@dataclass(frozen=True)
class Trained:
    """The job of `structnet train` with no arguments: its steps inside the trainer and alone.

    A step inside the trainer is all that happens from one batch to the next, with Lightning's loop
    and batches from the loader. The bare step is forward, loss, backward, clipping and optimizer
    on the same batches; that of the layer alone is its forward and backward.

    Arguments:
        hidden_sizes: those of the net.
        limit: of the time inside the trainer, divided by that of the bare step.
        outside: of the share of the time inside the trainer that the layer alone does not take.
    """

    hidden_sizes: Sequence[int] = (128, 256)
    limit: float = 1.3
    outside: float = 0.25

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        marks, figures = [], {}
        quiet = redirect_stdout(io.StringIO())
        # Training sets the number of threads.
        with TemporaryDirectory() as folder, quiet, threads(torch.get_num_threads()):
            run, splits = _job(folder, setting)
            for size in self.hidden_sizes:
                times = _times(_sized(run, size, setting), splits)
                middle = {name: median(some) for name, some in times.items()}
                marks += self._marks(row, size, middle)
                figures[str(size)] = {
                    name: {"median_s": middle[name], "times_s": times[name]} for name in times
                }
        return marks, {"hidden": figures}

    def _marks(self, row: str, size: int, middle: dict[str, float]) -> list[Mark]:
        whole, bare, layer = (middle[name] for name in (TRAINER, BARE, LAYER))
        return [
            Mark(
                row,
                f"hidden {size}, trainer / bare step",
                whole / bare,
                self.limit,
                f"{1e3 * whole:.0f} / {1e3 * bare:.0f} ms",
            ),
            Mark(
                row,
                f"hidden {size}, outside the layer",
                1 - layer / whole,
                self.outside,
                f"{1e3 * layer:.0f} ms in the layer",
            ),
        ]


def _job(folder: str, setting: Setting) -> tuple["Run", Splits]:
    """The default run, of which a turn is an epoch, and its samples."""
    # Imported here, as in the functions below: Lightning takes seconds.
    from structnet.run.run import Run
    from structnet.training.samples import load_samples

    words = [
        f"run={folder}/run",
        f"seed={setting.seed}",
        f"trainer.batch_nodes={max(16, round(2048 * setting.scale))}",
        f"trainer.max_steps={WARM + 1 + max(3, round(setting.repeats / TURNS))}",
        "trainer.accelerator=cpu",
        "trainer.calibrate=false",
    ]
    run = Run.new(compose([*words, f"task.root={PART}"] if setting.scale < 1 else words))
    splits = load_samples(run)
    few = {name: splits[name][:FEW] for name in ("validation", "test")}
    return run, Splits({**splits, **few})


def _sized(run: "Run", size: int, setting: Setting) -> "Run":
    net = {**run.config["net"], "hidden_size": max(1, round(size * setting.scale))}
    return replace(run, config={**run.config, "net": net})


def _times(run: "Run", splits: Splits) -> dict[str, list[float]]:
    """Seconds of the steps of every contender, which take turns."""
    from structnet.training.fit import fit
    from structnet.training.options import TrainerOptions

    options = TrainerOptions.of(run.config)
    inside, alone = run.build_net(), run.build_net()
    begun: list[tuple[float, Batch]] = []

    def note(net: Any, given: tuple[Batch]) -> None:
        if net.training:
            begun.append((time.perf_counter(), given[0]))

    inside.register_forward_pre_hook(note)
    steps = {BARE: _bare_step(alone, run.task, options), LAYER: _layer_alone(alone)}
    times: dict[str, list[float]] = {TRAINER: [], BARE: [], LAYER: []}
    for _ in range(TURNS):
        begun.clear()
        fit(run, inside, splits, options, None)
        began, batches = zip(*begun[WARM:], strict=True)
        times[TRAINER] += [after - before for before, after in pairwise(began)]
        for name, step in steps.items():
            # The first call warms up.
            times[name] += [_seconds(step, batch) for batch in (batches[-1], *batches[:-1])][1:]
    return times


def _seconds(step: Callable[[Batch], Any], batch: Batch) -> float:
    start = time.perf_counter()
    step(batch)
    return time.perf_counter() - start


def _bare_step(net: Any, task: Any, options: Any) -> Callable[[Batch], None]:
    from structnet.training.optimizing import OPTIMIZERS

    rates = {"lr": options.learning_rate, "weight_decay": options.weight_decay}
    optimizer = OPTIMIZERS[options.optimizer](net.parameters(), **rates, fused=True)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        task.loss(net(batch), batch).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), options.clip_norm)
        optimizer.step()

    return step


def _layer_alone(net: Any) -> Callable[[Batch], Any]:
    """Forward and backward of the layer on an input of the size that enters it."""
    (layer,) = net.layers

    def step(batch: Batch) -> Any:
        x = torch.randn(batch.num_nodes, net.entering, requires_grad=True)
        h = layer(x, batch.plans)
        return torch.autograd.grad(h, [x, *layer.parameters()], torch.ones_like(h))

    return step
