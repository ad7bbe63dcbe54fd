"""Calls that are made again on the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class Recalled(nn.Module):
    """A function that calls a module, to be called again as it is now.

    The module has the tensors then that it is given, `names` in their order; the random state and
    autocast are those of now.
    """

    def __init__(self, module: nn.Module, function: Callable, device: torch.device):
        super().__init__()
        self.module, self.function, self.device = module, function, device
        self.modes = [one.training for one in module.modules()]
        self.names = [*dict(self.named_parameters()), *dict(self.named_buffers())]
        self.random = torch.get_rng_state()
        self.own = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        kind = device.type
        self.autocast = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def forward(self, *args: Any) -> Any:
        return self.function(*args)

    def again(self, tensors: Sequence[Tensor], *args: Any) -> Any:
        """What the function gives, with gradients.

        RuntimeError where the module trains no longer, or only now.
        """
        if self.modes != [one.training for one in self.module.modules()]:
            raise RuntimeError(
                f"{type(self.module).__name__} was switched between training and evaluation before "
                "its backward pass, in which save='recompute' and 'windows' call it again; switch "
                "it after backward, or take save='gates'"
            )
        dtype, enabled = self.autocast
        with (
            torch.random.fork_rng([self.device] if self.own is not None else []),
            torch.enable_grad(),
            torch.autocast(self.device.type, dtype, enabled=enabled),
        ):
            torch.set_rng_state(self.random)
            if self.own is not None:
                torch.cuda.set_rng_state(self.own, self.device)
            return torch.func.functional_call(
                self, dict(zip(self.names, tensors, strict=True)), args
            )
