"""The largest hidden size that keeps to a number of parameters."""

from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import nn


def largest(count: Callable[[int], int], limit: int) -> int:
    """The largest hidden size with at most `limit` parameters, `count` of a hidden size."""
    # The nets that are only counted leave the random state as it was.
    with torch.random.fork_rng(devices=()):
        if (least := count(1)) > limit:
            raise ValueError(f"option 'parameters' is at least {least} for this net, got {limit}")
        above = 2
        while count(above) <= limit:
            above *= 2
        return bisect_right(range(above), limit, lo=above // 2, key=count) - 1


def count_parameters(*modules: nn.Module | None) -> int:
    return sum(one.numel() for module in modules if module for one in module.parameters())
