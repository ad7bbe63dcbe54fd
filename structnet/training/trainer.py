"""Lightning's Trainer as we use it: without its banners, with a core for loading."""

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import DataLoader

from structnet.data.batch import Sample
from structnet.distributed.dealing import deal_evaluation
from structnet.distributed.world import current
from structnet.run.run import Run
from structnet.system.cores import usable_cores
from structnet.training.module import Module
from structnet.training.options import TrainerOptions
from structnet.training.strategy import shared

# The instructions of processors for products in 16 bits.
UNITS = {
    "bf16-mixed": ("avx512_bf16", "amx_bf16"),
    "16-mixed": ("avx512_fp16", "amx_fp16"),
}


def quiet_trainer(options: TrainerOptions, **others: Any) -> Trainer:
    """Lightning's Trainer without its banners, on the device of each process.

    On a processor without instructions for its precision it computes in float32.

    ValueError where Lightning does not know the machine's accelerator or the precision on it.
    """
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    logging.getLogger("lightning.fabric").setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*`weights_only`.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*GPU available but not used.*",
        ".*isinstance.treespec, LeafSpec.*",
        # All processes have the same figures.
        ".*sync_dist=True.*",
        # A pretrained net within another.
        ".*module\\(s\\) in eval mode.*",
    ):
        warnings.filterwarnings("ignore", message)
    given: dict[str, Any] = {"accelerator": options.accelerator, "precision": options.precision}
    others |= {"enable_model_summary": False}
    launch, minutes = current().launch, options.timeout_minutes
    try:
        trainer = Trainer(**given, **others, **shared(launch, minutes))
        if trainer.strategy.root_device.type == "cpu" and not _multiplies(options.precision):
            given["precision"] = "32-true"
            trainer = Trainer(**given, **others, **shared(launch, minutes))
        return trainer
    except Exception as error:
        # Lightning raises errors of several types of its own for these.
        raise ValueError(f"no trainer for {given}: {error}") from error


def _multiplies(precision: str) -> bool:
    """Whether this processor has instructions for products in a precision, where torch can tell.

    Without them the default task took six times as long as in float32 on an EPYC with AVX2.
    """
    found = getattr(torch.cpu, "get_capabilities", dict)()
    needed = UNITS.get(precision) if found.get("architecture") == "x86_64" else None
    return needed is None or any(found.get(unit) for unit in needed)


def check_machine(options: TrainerOptions) -> None:
    """ValueError where this machine lacks the accelerator, or can't compute in the precision.

    Where it would take longer in the precision, it says that it computes in float32.
    """
    trainer = quiet_trainer(options, logger=False, enable_checkpointing=False)
    if trainer.precision != options.precision:
        print(
            f"trainer.precision={options.precision}: this processor has no instructions for it and "
            "would take longer; computing in float32",
            flush=True,
        )


def share_cores(threads: int | None, processes: int = 1) -> None:
    """Compute with the given number of threads, or leave one core to loading.

    Cores are those that the process may use: that it is bound to, and no more than its container's
    share of computing time. Threads that compete for a core wait for each other. The number does
    not depend on the number of workers, since another number of threads sums in another order. If
    none is given, it is never more than what torch was told, by OMP_NUM_THREADS for example.

    Arguments:
        threads: the number of threads, if given.
        processes: the number of processes that train on this machine.
    """
    if threads is not None:
        torch.set_num_threads(threads)
        return
    own = usable_cores() // processes
    torch.set_num_threads(min(torch.get_num_threads(), max(1, own - 1)))


def figures_of(trainer: Trainer, module: Module, batches: DataLoader) -> dict[str, float]:
    (figures,) = trainer.test(module, batches, verbose=False)
    return {name.removeprefix("test/"): float(value) for name, value in figures.items()}


def evaluate(run: Run, net: nn.Module, samples: Sequence[Sample]) -> dict[str, float]:
    """The task's metrics of a net on samples."""
    options = TrainerOptions.of(run.config)
    share_cores(options.threads)
    trainer = quiet_trainer(
        options,
        logger=False,
        enable_progress_bar=False,
        enable_checkpointing=False,
    )
    batches = run.task.loader(
        samples,
        run.topology,
        batch_nodes=options.batch_nodes,
        batch_size=options.batch_size,
        num_workers=options.num_workers,
    )
    sampler: Any = batches.batch_sampler
    sampler.take(0, options.limit_batches)
    dealt = deal_evaluation(batches, current())
    return figures_of(trainer, Module(net, run.task, options), dealt)
