"""Hooks of a cell, where it is used without being called.

A call runs them first, and those of pruning and weight norm then set the weights that the cell
works with. Its `project`, `output` and `coefficients` read these weights outside of calls.
"""

from typing import Any

from torch import nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

COMPUTING = (BasePruningMethod, WeightNorm, SpectralNorm)
KINDS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")


def compute_weights(cell: Any) -> None:
    """Have pruning, weight norm and spectral norm set the weights, as a call of the cell would."""
    for hook in vars(cell).get("_forward_pre_hooks", {}).values():
        if isinstance(hook, COMPUTING):
            hook(cell, ())


def has_hooks(cell: nn.Module) -> bool:
    """Whether a call does anything that `compute_weights` and the cell's own code do not."""
    return any(
        not isinstance(hook, COMPUTING) for kind in KINDS for hook in vars(cell)[kind].values()
    )
