"""Dropout whose random bits cost little on a CPU."""

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.execute.transform import is_transformed

# Units of 16 random bits: the probability is rounded to a multiple of 1 / UNITS.
UNITS = 2**16


def dropout(h: Tensor, rate: float, training: bool) -> Tensor:
    """Drop entries with a probability, and scale the others up so that the mean stays the same.

    On a CPU it takes a quarter of the time of torch's `dropout`, which is used elsewhere, where
    torch.compile draws noise of its own, and in transformations of torch.func. What is dropped
    follows from torch's random state: four entries by each 64-bit number that is drawn, its lowest
    16 bits first.

    Arguments:
        h: of any shape.
        rate: the probability, from 0 to below 1.
        training: whether anything is dropped.
    """
    if not training or not rate:
        return h
    if h.device.type != "cpu" or torch.compiler.is_compiling() or is_transformed():
        return F.dropout(h, rate)
    dropped = min(round(rate * UNITS), UNITS - 1)
    drawn = torch.empty(-(-h.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    units = drawn.view(torch.int16)[: h.numel()].view(h.shape)
    # Compared as floats, which takes a quarter of the time that whole numbers take.
    kept = units.float().ge_(dropped - UNITS // 2)
    return h * kept.to(h.dtype).mul_(UNITS / (UNITS - dropped))
