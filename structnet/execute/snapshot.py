"""Forward calls that backward repeats."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.execute.cell_tensors import CellTensors


class Snapshot:
    """What lets backward repeat a forward call: random state, autocast, train or eval mode.

    Arguments:
        own: the tensors of the module that `function` calls.
        function: what is called again.
        device: the device whose random state is restored, beside the CPU's.
    """

    def __init__(self, own: CellTensors, function: Callable, device: torch.device):
        self.own, self.function, self.device = own, function, device
        self.modes = [one.training for one in own.module.modules()]
        self.random = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        kind = device.type
        self.autocast = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    def repeat(self, tensors: Sequence[Tensor], *args: Any) -> Any:
        """Call the function with gradients enabled, with these in place of the module's tensors.

        Raises RuntimeError if the module's training mode has changed.
        """
        module = self.own.module
        if self.modes != [one.training for one in module.modules()]:
            raise RuntimeError(
                f"{type(module).__name__} was switched between training and evaluation before "
                "its backward pass, in which save='recompute' and 'windows' call it again; switch "
                "it after backward, or take save='gates'"
            )
        dtype, enabled = self.autocast
        others = zip(map(id, self.own.tensors), tensors, strict=True)
        with (
            torch.random.fork_rng([self.device] if self.cuda is not None else []),
            torch.enable_grad(),
            torch.autocast(self.device.type, dtype, enabled=enabled),
            self.own.replaced(dict(others)),
        ):
            torch.set_rng_state(self.random)
            if self.cuda is not None:
                torch.cuda.set_rng_state(self.cuda, self.device)
            return self.function(*args)
