"""The cross entropy of a net's output: scores (n, C), or `sn.Scores`."""

from typing import Any

import torch
from torch import Tensor, nn

from structnet.data.batch import Batch

# The target of a node or sample whose class is not known.
IGNORE = -100


def cross_entropy(output: Any, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """The mean over known targets y (n,), each with its class's weight; 0 if none is known."""
    known = y != IGNORE
    if isinstance(output, Tensor) and weights is not None:
        # torch takes scores and weights of one precision alone.
        precision = torch.promote_types(output.dtype, weights.dtype)
        output, weights = output.to(precision), weights.to(precision)
    counted = known if weights is None else weights[y.where(known, 0)] * known
    if isinstance(output, Tensor):
        summed = nn.functional.cross_entropy(
            output, y, weights, ignore_index=IGNORE, reduction="sum"
        )
    elif output.joint:
        summed = (output.cross_entropy(y) * counted).sum()
    else:
        summed = (output[known].cross_entropy(y[known]) * counted[known]).sum()
    total = counted.sum()
    return summed / total.where(total > 0, 1)


def check_targets(output: Any, batch: Batch, classes: int, name: str) -> None:
    """ValueError for targets that do not fit the output of a task of that name."""
    y = batch.y
    if y.is_floating_point() or y.ndim != 1:
        raise ValueError(
            f"{name} predicts classes: targets must be whole numbers (n,), got {y.dtype} of "
            f"shape {tuple(y.shape)}; inherit from sn.Regression to predict numbers"
        )
    if len(output) != len(y):
        raise ValueError(
            f"{name} has {len(y)} targets for {batch.num_samples} samples of "
            f"{batch.num_nodes} nodes, the net gives {len(output)} outputs: `scores_nodes` "
            "says whether every node has a target, readout=every gives an output per node, "
            "readout=root one per sample"
        )
    if len(y) and int(y.max()) >= classes:
        raise ValueError(
            f"{name} has the target {int(y.max())}, but its {classes} classes are numbered from 0"
        )
