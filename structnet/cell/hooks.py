"""Hooks of a cell whose methods are used outside of calls.

A call runs the hooks of pruning and weight norm, which set weights; `project`, `output` and
`coefficients` read these weights without a call.
"""

from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

COMPUTING = (BasePruningMethod, WeightNorm, SpectralNorm)
KINDS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def compute_weights(cell: Any) -> None:
    """Let pruning, weight norm and spectral norm set the weights, as a call of the cell does."""
    for hook in vars(cell).get("_forward_pre_hooks", {}).values():
        if isinstance(hook, COMPUTING):
            hook(cell, ())


def has_hooks(cell: nn.Module) -> bool:
    """Whether a call runs any other hooks than those that `compute_weights` runs."""
    return has_global_hooks() or any(
        not isinstance(hook, COMPUTING) for kind in KINDS for hook in vars(cell)[kind].values()
    )


def replaced_methods(cell: nn.Module) -> list[str]:
    """The methods of its class that the cell has others for, as attributes of its own."""
    return [name for name in vars(cell) if callable(getattr(type(cell), name, None))]


def has_global_hooks() -> bool:
    """Whether there are hooks of all modules."""
    return any(getattr(nn.modules.module, f"_global{kind}", None) for kind in KINDS)
