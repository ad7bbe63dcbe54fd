"""Level by level with one Triton kernel a level: gather, recurrent product, gates and write.

What is in this file does without Triton, which comes with torch for CUDA.
"""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from structnet.cell.library.elman import Elman
from structnet.cell.library.gru import GRU
from structnet.cell.library.lstm import LSTM
from structnet.execute.fused.record import RECORDERS
from structnet.execute.sweep import States, Sweep, run_sweep
from structnet.topology.plan import Plan

# Executors that run them.
FUSED = ("fused", "replayed")
HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# Cells that have kernels, and what their attributes are where their equations are the kernels'.
KERNELS: dict[type, dict[str, Any]] = {
    Elman: {"aggregate": "sum"},
    GRU: {"aggregate": "sum", "reset": "after"},
    LSTM: {
        "aggregate": "sum",
        "coupled": False,
        "diagonal": (),
        "forget": None,
        "layer_norm": False,
        "peephole": False,
        "projected": False,
        "node_gates": ("i", "o", "u"),
        "edge_gates": ("f",),
    },
}


def run_fused(cell: Any, plan: Plan, z: Tensor, initial: States | None) -> States:
    """The states of every node, by rank; errors as of `check_fused`."""
    check_fused("fused", cell, z.device)
    from structnet.execute.fused.sweep import SWEEPS

    sweep = SWEEPS[type(cell)](cell, plan, initial is not None)
    return _run(sweep, z, initial)


def run_replayed(cell: Any, plan: Plan, z: Tensor, initial: States | None) -> States:
    """As `run_fused`; a pass over steps that came before is replayed."""
    check_fused("replayed", cell, z.device)
    from structnet.execute.fused.replay import ReplayedSweep

    sweep = ReplayedSweep(cell, plan, initial is not None, RECORDERS[z.device.type])
    return _run(sweep, z, initial)


def _run(sweep: Sweep, z: Tensor, initial: States | None) -> States:
    # Kernels are launched on the current GPU, wherever their tensors are.
    with torch.cuda.device_of(z):
        return run_sweep(sweep, z.contiguous(), initial)


def check_fused_layer(executor: str, cells: Iterable[Any], noise: Any) -> None:
    """As `check_fused`, and ValueError for noise that the kernels don't have."""
    if noise.recurrent_dropout or noise.zoneout:
        raise ValueError(
            f"executor {executor!r} runs without recurrent_dropout and zoneout; take "
            "executor='compiled', or leave them out"
        )
    if executor == "replayed" and noise.weight_drop:
        raise ValueError(
            "executor 'replayed' runs without weight_drop, which makes new weights for every "
            "pass; take executor='fused'"
        )
    for cell in cells:
        check_fused(executor, cell)


def check_fused(executor: str, cell: Any, device: torch.device | None = None) -> None:
    """ValueError for a cell whose equations are not those of the kernels.

    ValueError as well where they don't run, on this device or on any of this machine, and
    ImportError without Triton.
    """
    plain = KERNELS.get(type(cell))
    if plain is None:
        raise ValueError(
            f"executor {executor!r} has kernels for LSTM, GRU and Elman without noise, not for "
            f"{type(cell).__name__}; take executor='compiled', which runs any cell"
        )
    for name, value in plain.items():
        if (own := getattr(cell, name)) != value:
            raise ValueError(
                f"executor {executor!r} has a kernel for {type(cell).__name__} with "
                f"{name}={value!r}, got {own!r}; take executor='compiled', which runs any cell"
            )
    if any(getattr(cell, hooks) for hooks in HOOKS):
        raise ValueError(
            f"executor {executor!r} does not call the cell, and {type(cell).__name__} has hooks; "
            "take executor='batched', or remove them"
        )
    if find_spec("triton") is None:
        raise ImportError(
            f"executor {executor!r} needs Triton, which is not installed; pip install triton, "
            "or take executor='compiled'"
        )
    if not runs_on(executor, device):
        where = "there is none" if device is None else f"got x on {device}"
        raise ValueError(
            f"executor {executor!r} runs on a GPU, {where}; take executor='compiled', or start "
            "Python with TRITON_INTERPRET=1 and take 'fused' to have its kernels interpreted, "
            "slowly"
        )


def runs_on(executor: str, device: torch.device | None = None) -> bool:
    """Whether its kernels run on this device, or on any of this machine."""
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if executor == "replayed":
        return device.type in RECORDERS
    return device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"
