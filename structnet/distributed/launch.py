"""What torchrun or Slurm says of this process, read from its environment."""

import os
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

# The variables by which a process, or Lightning, knows of others.
OF_OTHERS = (
    "WORLD_SIZE",
    "RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_NTASKS",
)


@dataclass(frozen=True)
class Launch:
    """The place of this process among those that were started together.

    Arguments:
        rank: its number among all, from 0.
        size: the number of all.
        local_rank: its number among those of this machine.
        local_size: the number of those of this machine.
        restarts: how often torchrun has started all of them again.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    @property
    def machines(self) -> int:
        return self.size // self.local_size


def launched(environment: Mapping[str, str] = os.environ) -> Launch:
    """This process's place, as torchrun says it, or Slurm's srun; alone where neither started it.

    Of Slurm, what srun sets for its own step is read: a script within a larger job is alone.

    ValueError for variables that are not numbers, and for machines with unequal numbers of
    processes.
    """
    if "WORLD_SIZE" in environment and "RANK" in environment:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
        rank, size, local_rank, local_size = (_number(environment, name) for name in names)
        restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", 0))
    elif int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:
        names = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
        rank, size, local_rank = (_number(environment, name) for name in names)
        local_size, restarts = _tasks_per_node(environment), 0
    else:
        return Launch()
    if size % local_size:
        raise ValueError(
            f"{size} processes with {local_size} of them on this machine: start as many on every "
            "machine"
        )
    return Launch(rank, size, local_rank, local_size, restarts)


def go_alone(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Whether this process is to do by itself what several were started for: the first one is.

    What torchrun or Slurm has said of the others is then removed from the environment, where
    Lightning reads it as well.
    """
    launch = launched(environment)
    if launch.size > 1 and launch.is_first:
        for name in OF_OTHERS:
            environment.pop(name, None)
    return launch.is_first


def divided(config: Mapping[str, Any], launch: Launch, resumed: bool = False) -> dict[str, Any]:
    """A configuration that says how many batches a step has, by default one for each process.

    ValueError for another number of processes on this machine than `trainer.devices` says.

    Arguments:
        config: a composed configuration.
        launch: the place of this process among others.
        resumed: whether a run goes on, whose steps stay as they were.
    """
    trainer = config["trainer"]
    devices = trainer.get("devices", "auto")
    if devices not in ("auto", launch.local_size):
        raise ValueError(
            f"trainer.devices={devices}, but {launch.local_size} of the processes were started on "
            f"this machine: start them with torchrun --nproc-per-node={devices} -m structnet train "
            "..., or take trainer.devices=auto"
        )
    if trainer.get("lanes") is not None or launch.size == 1:
        return dict(config)
    return {**config, "trainer": {**trainer, "lanes": 1 if resumed else launch.size}}


def refuse_several(launch: Launch, are_runs: bool) -> None:
    """ValueError where several processes were started for several runs.

    Arguments:
        launch: the place of this process among others.
        are_runs: whether there are several runs.
    """
    if are_runs and launch.size > 1:
        raise ValueError(
            f"{launch.size} processes train one run together; a sweep or a comparison of several "
            "is started without torchrun"
        )


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    if not value.isdecimal():
        raise ValueError(
            f"the environment has {name}={value!r}, expected a number: start the processes with "
            "torchrun, or unset WORLD_SIZE"
        )
    return int(value)


def _tasks_per_node(environment: Mapping[str, str]) -> int:
    """The tasks of every node, which Slurm writes as "4(x2)" or "4,3"."""
    given = environment.get("SLURM_STEP_TASKS_PER_NODE", "")
    counts = set(re.sub(r"\(x\d+\)", "", given).split(","))
    if len(counts) != 1 or not given[:1].isdecimal():
        raise ValueError(
            f"SLURM_STEP_TASKS_PER_NODE={given}: start as many processes on every machine, with "
            "--ntasks-per-node"
        )
    return int(counts.pop())
