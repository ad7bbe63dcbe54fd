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
from structnet.execute.sweep import States, run_sweep
from structnet.plan import Plan

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
    check_fused(cell)
    if find_spec("triton") is None:
        raise ImportError(
            "executor 'fused' needs Triton, which is not installed; pip install triton, "
            "or take executor='compiled'"
        )
    if not z.is_cuda and os.environ.get("TRITON_INTERPRET") != "1":
        raise ValueError(
            f"executor 'fused' runs on a GPU, got x on {z.device}; take executor='compiled' here, "
            "or start Python with TRITON_INTERPRET=1 to have the kernels interpreted, slowly"
        )
    from structnet.execute.fused.replay import RECORDERS, ReplayedSweep
    from structnet.execute.fused.sweep import SWEEPS

    record = RECORDERS.get(z.device.type)
    if record is None:
        sweep = SWEEPS[type(cell)](cell, plan, initial is not None)
    else:
        sweep = ReplayedSweep(cell, plan, initial is not None, record)
    return run_sweep(sweep, z.contiguous(), initial)


def check_fused(cell: Any) -> None:
    """ValueError for a cell whose equations are not those of the kernels."""
    plain = KERNELS.get(type(cell))
    if plain is None:
        raise ValueError(
            f"executor 'fused' has kernels for LSTM, GRU and Elman without noise, not for "
            f"{type(cell).__name__}; take executor='compiled', which runs any cell"
        )
    for name, value in plain.items():
        if getattr(cell, name) != value:
            raise ValueError(
                f"executor 'fused' has a kernel for {type(cell).__name__} with {name}={value!r}, "
                f"got {getattr(cell, name)!r}; take executor='compiled', which runs any cell"
            )
