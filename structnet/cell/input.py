"""The input layer of a cell."""

import torch
from torch import nn


class Input(nn.Linear):
    """The input's half of all gates, which its cell initialises.

    Its own reset leaves the random state alone, so that where every module of a net is reset, one
    after the other, the cell draws the same numbers as a new one.
    """

    def __init__(self, input_size: int, size: int, bias: bool = True):
        super().__init__(input_size, size, bias)
        self.is_made = True

    def reset_parameters(self) -> None:
        """Initialise as nn.Linear does, and leave the random state as it was."""
        devices = [self.weight.device] if self.weight.is_cuda else []
        with torch.random.fork_rng(devices, enabled=hasattr(self, "is_made")):
            super().reset_parameters()
