"""Level by level with one Triton kernel a level: gather, recurrent product, gates and write.

What is in this file does without Triton, which comes with torch for CUDA.
"""

import os
from importlib.util import find_spec
from typing import Any

from torch import Tensor

from structnet.cells.elman import Elman
from structnet.cells.gru import GRU
from structnet.cells.lstm import LSTM
from structnet.execute.fused.record import RECORDERS
from structnet.execute.sweep import States, run_sweep
from structnet.plan import Plan

# Executors that run them.
FUSED = ("fused", "replayed")
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
    """The states of every node, by rank; ValueError for a cell that has no kernels.

    ValueError where there is no GPU either, unless Triton interprets (TRITON_INTERPRET=1);
    ImportError without Triton.
    """
    _check_here("fused", cell, z)
    from structnet.execute.fused.sweep import SWEEPS

    sweep = SWEEPS[type(cell)](cell, plan, initial is not None)
    return run_sweep(sweep, z.contiguous(), initial)


def run_replayed(cell: Any, plan: Plan, z: Tensor, initial: States | None) -> States:
    """As `run_fused`, on a GPU alone; a pass over steps that came before is replayed."""
    _check_here("replayed", cell, z)
    if z.device.type not in RECORDERS:
        raise ValueError(
            f"executor 'replayed' records CUDA graphs, got x on {z.device}; take executor='fused'"
        )
    from structnet.execute.fused.replay import ReplayedSweep

    sweep = ReplayedSweep(cell, plan, initial is not None, RECORDERS[z.device.type])
    return run_sweep(sweep, z.contiguous(), initial)


def _check_here(executor: str, cell: Any, z: Tensor) -> None:
    check_fused(executor, cell)
    if find_spec("triton") is None:
        raise ImportError(
            f"executor {executor!r} needs Triton, which is not installed; pip install triton, "
            "or take executor='compiled'"
        )
    if not z.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            f"executor {executor!r} runs on a GPU, got x on {z.device}; take executor='compiled' "
            "here, or start Python with TRITON_INTERPRET=1 and take 'fused' to have its kernels "
            "interpreted, slowly"
        )


def check_fused(executor: str, cell: Any) -> None:
    """ValueError for a cell whose equations are not those of the kernels."""
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
