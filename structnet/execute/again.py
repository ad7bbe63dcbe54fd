"""What surrounds a call that is made again on the way back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Surroundings:
    """The random state and the autocast that a call found."""

    def __init__(self, device: torch.device):
        self.device = device
        self.random = torch.get_rng_state()
        self.own = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        kind = device.type
        self.autocast = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """As it was, with gradients."""
        dtype, enabled = self.autocast
        devices = [self.device] if self.own is not None else []
        with (
            torch.random.fork_rng(devices),
            torch.enable_grad(),
            torch.autocast(self.device.type, dtype, enabled=enabled),
        ):
            torch.set_rng_state(self.random)
            if self.own is not None:
                torch.cuda.set_rng_state(self.own, self.device)
            yield
