"""The gradient of a step: the mean over its lanes, by the numbers of their targets."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from structnet.distributed.tree_sum import TreeSum, share_of
from structnet.distributed.world import World

# The numbers that a lane adds to its gradients: those of `Counted`, and its targets.
COUNTS = 4


class Counted(NamedTuple):
    """What is known of a step once all lanes are done.

    Arguments:
        loss: the mean over the targets of all lanes, a number or a scalar tensor.
        nodes: the number of nodes of all lanes.
        wall_s: the seconds of training by the first process's clock.
    """

    loss: float | Tensor
    nodes: int
    wall_s: float


class StepGradient:
    """Takes the gradients of this process's lanes, and leaves that of the step in their place.

    A parameter that no lane has used is left without a gradient. The gradients of a lane, what it
    has used, and its counts are one vector, so that one exchange is enough for a step.

    Arguments:
        parameters: what the gradients are of.
        lanes: the number of lanes of all processes.
        busy: the lanes of this process that have a batch.
        world: the processes.
        wall_s: the seconds of training by this process's clock.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lanes: int,
        busy: Sequence[int],
        world: World,
        wall_s: float,
    ):
        self.parameters = [one for one in parameters if one.requires_grad]
        self.sizes = [one.numel() for one in self.parameters]
        self.wall_s, self.sum, self.has_several = wall_s, TreeSum(lanes, world), lanes > 1
        self.busy = list(busy)
        self.idle = [one for one in share_of(lanes, world.rank, world.size) if one not in busy]
        # The losses of this process's lanes, to name one that is not finite.
        self.losses: dict[int, float] = {}

    def add(self, loss: Tensor, targets: Tensor, nodes: int) -> None:
        """Take what the backward pass of the next lane has left.

        Arguments:
            loss: of the lane, a scalar.
            targets: the number of targets that it is the mean over, a scalar.
            nodes: the number of nodes of its batch.
        """
        lane = self.busy.pop(0)
        # The mean of a single lane is its gradient as it is, to the bit.
        weight = float(targets) if self.has_several else 1.0
        self.losses[lane] = float(loss)
        vector = self._empty()
        gradients, used, counts = self._parts(vector)
        for i, (one, place) in enumerate(
            zip(self.parameters, gradients.split(self.sizes), strict=True)
        ):
            if one.grad is not None:
                torch.mul(one.grad.flatten(), weight, out=place)
                used[i] = 1
                one.grad = None
        wall_s = self.wall_s if lane == 0 else 0.0
        counts[:] = counts.new_tensor([self.losses[lane] * weight, weight, nodes, wall_s])
        self.sum.add(lane, vector)

    def finish(self) -> Counted:
        """Wait for all lanes, and set the gradients of the parameters."""
        # Only the last lanes of the last step of an epoch have no batch.
        for lane in self.idle:
            self.sum.add(lane, self._empty())
        gradients, used, counts = self._parts(self.sum.total(self._empty()))
        loss, targets, nodes, wall_s = counts.tolist()
        # Without any known target all of it is 0.
        gradients.div_(targets or 1.0)
        places = gradients.split(self.sizes)
        for one, place, times in zip(self.parameters, places, used.tolist(), strict=True):
            one.grad = place.view_as(one).to(one.dtype) if times else None
        return Counted(loss / (targets or 1.0), round(nodes), wall_s)

    def _empty(self) -> Tensor:
        dtypes = [one.dtype for one in self.parameters]
        length = sum(self.sizes) + len(self.sizes) + COUNTS
        return torch.zeros(
            length,
            dtype=torch.float64 if torch.float64 in dtypes else torch.float32,
            device=self.parameters[0].device,
        )

    def _parts(self, vector: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of a vector: the gradients, how many lanes have used each parameter, and the counts."""
        gradients, used, counts = vector.split([sum(self.sizes), len(self.sizes), COUNTS])
        return gradients, used, counts
