"""The executors `fused` and `replayed`.

What is in this file does without Triton, which comes with torch for CUDA.
"""

import os
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.triton.record import RECORDERS

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
# Cells that have kernels, and what their attributes are where their equations are the kernels'.
KERNELS: dict[str, dict[str, Any]] = {
    "elman": {"aggregate": "sum"},
    "gru": {"aggregate": "sum", "reset": "after"},
    "lstm": {
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


@sn.executors.register("fused")
class Fused(sn.Executor):
    """Level by level with one Triton kernel per level, for LSTM, GRU and Elman networks."""

    takes = frozenset(["states", "weight_drop", "truncate", "windows"])
    reads_weights = True
    needs_gpu = True

    def refuses(self, spec: sn.Spec) -> str | None:
        """Why the kernels don't run; ImportError without Triton."""
        return _other_equations(self.name, spec.cell) or self._elsewhere(spec.x)

    def _elsewhere(self, x: Tensor | None) -> str | None:
        if find_spec("triton") is None:
            raise ImportError(
                f"executor {self.name!r} needs Triton, which is not installed; pip install triton, "
                "or take executor='compiled'"
            )
        if not self.runs_on(None if x is None else x.device):
            where = "there is none" if x is None else f"got x on {x.device}"
            return (
                f"executor {self.name!r} runs on a GPU, {where}; take executor='compiled', or "
                "start Python with TRITON_INTERPRET=1 and take 'fused' to have its kernels "
                "interpreted, slowly"
            )
        return None

    def runs_on(self, device: torch.device | None = None) -> bool:
        """Whether its kernels run on this device, or on any of this machine."""
        return _kind(device) == "cuda" or os.environ.get("TRITON_INTERPRET") == "1"

    def sweep(self, p: sn.Pass) -> sn.Sweep:
        from structnet.plugins.triton.sweep import sweep_of

        return sweep_of(p)

    def run(self, p: sn.Pass) -> tuple[Tensor, tuple[Tensor, ...]]:
        # Kernels are launched on the current GPU, wherever their tensors are.
        with torch.cuda.device_of(p.z):
            return p.with_output(self.sweep(p).run(p.z.contiguous(), p.initial))


@sn.executors.register("replayed")
class Replayed(Fused):
    """As `fused`; a pass over steps that came before is recorded as a CUDA graph and replayed."""

    # Weight drop makes new weights for every pass.
    takes = frozenset(["states", "truncate", "windows"])

    def runs_on(self, device: torch.device | None = None) -> bool:
        return _kind(device) in RECORDERS

    def sweep(self, p: sn.Pass) -> sn.Sweep:
        from structnet.plugins.triton.replay import ReplayedSweep

        return ReplayedSweep(p, RECORDERS[p.z.device.type])


def _kind(device: torch.device | None) -> str:
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device.type


def _other_equations(executor: str, cell: Any) -> str | None:
    """How a cell differs from those that have kernels."""
    name = type(cell).__name__
    known = {sn.cells[cell]: equations for cell, equations in KERNELS.items()}
    if type(cell) not in known:
        return (
            f"executor {executor!r} has kernels for LSTM, GRU and Elman without noise, not for "
            f"{name}; take executor='compiled', which runs any cell"
        )
    for option, value in known[type(cell)].items():
        if (own := getattr(cell, option)) != value:
            return (
                f"executor {executor!r} has a kernel for {name} with {option}={value!r}, got "
                f"{own!r}; take executor='compiled', which runs any cell"
            )
    if any(getattr(cell, hooks) for hooks in HOOKS):
        return (
            f"executor {executor!r} does not call the cell, and {name} has hooks; take "
            "executor='batched', or remove them"
        )
    return None
