"""Calls that are made again on the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.execute.held import Held


class Recalled:
    """A function that calls a module, to be called again as it is now.

    The module has the tensors then that it is given, for those that are `held` in their order; the
    random state and autocast are those of now.
    """

    def __init__(self, held: Held, function: Callable, device: torch.device):
        self.held, self.function, self.device = held, function, device
        self.modes = [one.training for one in held.module.modules()]
        self.random = torch.get_rng_state()
        self.own = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        kind = device.type
        self.autocast = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def again(self, tensors: Sequence[Tensor], *args: Any) -> Any:
        """What the function gives, with gradients.

        RuntimeError where the module trains no longer, or only now.
        """
        module = self.held.module
        if self.modes != [one.training for one in module.modules()]:
            raise RuntimeError(
                f"{type(module).__name__} was switched between training and evaluation before "
                "its backward pass, in which save='recompute' and 'windows' call it again; switch "
                "it after backward, or take save='gates'"
            )
        dtype, enabled = self.autocast
        others = zip(map(id, self.held.tensors), tensors, strict=True)
        with (
            torch.random.fork_rng([self.device] if self.own is not None else []),
            torch.enable_grad(),
            torch.autocast(self.device.type, dtype, enabled=enabled),
            self.held.replaced(dict(others)),
        ):
            torch.set_rng_state(self.random)
            if self.own is not None:
                torch.cuda.set_rng_state(self.own, self.device)
            return self.function(*args)
