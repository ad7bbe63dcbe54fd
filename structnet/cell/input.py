"""The input layer of a cell."""

import torch
from torch import nn


class Input(nn.Linear):
    """The input's half of all gates, whose start is its cell's.

    So where every module of a net is reset, one after the other, the cell finds the random state
    that a new one finds.
    """

    def __init__(self, input_size: int, size: int, bias: bool = True):
        super().__init__(input_size, size, bias)
        self.is_made = True

    def reset_parameters(self) -> None:
        """Start as nn.Linear does, and leave the random state as it was."""
        devices = [self.weight.device] if self.weight.is_cuda else []
        with torch.random.fork_rng(devices, enabled=hasattr(self, "is_made")):
            super().reset_parameters()
