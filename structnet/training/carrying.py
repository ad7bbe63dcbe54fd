"""The states that a net ended with, for batches that follow each other: windows of texts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.data.batch import Batch
from structnet.distributed.world import World

# Layer by layer, the states of all samples (B, H).
States = Sequence[Sequence[Tensor]]


class Carried:
    """The states by lane in training, and those of evaluation, lane None.

    Arguments:
        saved: those of all lanes in a checkpoint within an epoch, the samples of one lane after the
            other; None where there are none.
        lanes: the number of lanes.
    """

    def __init__(self, saved: States | None, lanes: int):
        self.states: dict[int | None, States] = {}
        for lane in range(lanes if saved else 0):
            self.states[lane] = [[one.chunk(lanes)[lane] for one in some] for some in saved or ()]

    def before(self, batch: Batch, lane: int | None) -> Any:
        """The states that a batch goes on from, those of the lane's batch before; None for none."""
        states = self.states.get(lane) if batch.follows else None
        # Those of a checkpoint are on the CPU.
        return states and [[one.to(batch.ptr.device) for one in layer] for layer in states]

    def keep(self, lane: int | None, finals: States) -> None:
        """Keep what the net ended with."""
        self.states[lane] = [[one.detach() for one in states] for states in finals]

    def of_all_lanes(self, world: World) -> list[list[Tensor]]:
        """The states of all processes' lanes, as they are saved; empty where there are none."""
        own = {
            lane: [[one.cpu() if world.size > 1 else one for one in some] for some in states]
            for lane, states in self.states.items()
            if lane is not None
        }
        found = {lane: one for some in world.gather(own) for lane, one in some.items()}
        if not found:
            return []
        in_order = [found[lane] for lane in sorted(found)]
        layers = zip(*in_order, strict=True)
        return [[torch.cat(some) for some in zip(*layer, strict=True)] for layer in layers]
