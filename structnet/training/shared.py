"""What several processes that train one run check at its start, and what they tell of it."""

from typing import Any

from lightning.pytorch import Trainer
from torch import nn

from structnet.data.loader import Batches
from structnet.distributed.fingerprint import (
    check_alike,
    print_of_net,
    print_of_plain,
    print_of_samples,
    versions,
)
from structnet.distributed.world import World, described
from structnet.run.description import describe
from structnet.run.resuming import Saved
from structnet.run.run import Run
from structnet.system.terminal import counted
from structnet.training.module import Module
from structnet.training.samples import Splits


def check_same_start(
    world: World, run: Run, net: nn.Module, splits: Splits, resumed: Saved | None
) -> None:
    """ValueError that names a process with other data, options, versions or weights."""
    prints = {f"{name} split": print_of_samples(one) for name, one in splits.items()}
    prints["vocabulary or classes"] = print_of_plain(
        {name: describe(run)[name] for name in ("vocabulary", "learned")}
    )
    prints["configuration"] = print_of_plain(run.config)
    prints["version of structnet or torch"] = print_of_plain(versions())
    prints["net"] = print_of_net(net)
    prints["checkpoint"] = print_of_plain(resumed and [resumed.name, resumed.step])
    check_alike(world, prints)


def say_how(module: Module) -> None:
    """Print how many steps an epoch has, and how the processes share them."""
    if module.is_single:
        print(f"{counted(module.steps_per_epoch, 'batch', 'batches')} per epoch", flush=True)
        return
    lanes = counted(module.lanes, "batch", "batches")
    print(
        f"{counted(module.steps_per_epoch, 'step')} per epoch, each of {lanes} "
        f"(trainer.lanes={module.lanes}) shared by {described(module.world)}",
        flush=True,
    )
    batches = module.sampler.batches
    if isinstance(batches, Batches) and module.lanes > 1:
        print(
            f"by its nodes and levels, the largest batch of a step costs {batches.excess():.1%} "
            "more than the mean",
            flush=True,
        )
    if module.lanes < module.world.size:
        idle = counted(module.world.size - module.lanes, "process has", "processes have")
        print(f"{idle} no batches: take trainer.lanes={module.world.size} or more", flush=True)


def exchanged(trainer: Trainer, module: Module) -> dict[str, Any]:
    """How much the processes exchange: bytes that one sends a step, and the share of its time.

    The time is that of sending and of waiting for the others, validation included. Empty for one
    process.
    """
    world = module.world
    if world.size == 1:
        return {}
    return {
        "processes": world.size,
        "bytes_per_step": round(world.sent / max(1, trainer.global_step)),
        "exchange_share": round(world.waited_s / max(module.wall_s, 1e-9), 3),
    }
