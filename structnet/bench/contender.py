"""What a benchmark times: a case, and the ways to compute it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from structnet.nn.recurrence import Recurrence
from structnet.topology.base import Topology
from structnet.topology.plan import Plan


@dataclass(frozen=True)
class Contender:
    """A way to compute a layer's output from its input.

    `forward` gives the output, `grad` is the output's gradient, where backward starts, `inputs`
    are the tensors whose gradients are wanted, `nodes` how many nodes it works on and `note` what
    should be said beside its figures.
    """

    name: str
    forward: Callable[[], Tensor]
    grad: Tensor
    inputs: Sequence[Tensor]
    nodes: int
    note: str = ""

    def step(self) -> None:
        """Forward and backward."""
        torch.autograd.grad(self.forward(), self.inputs, self.grad, allow_unused=True)


@dataclass(frozen=True)
class Case:
    """A layer, a batch of structures for it, and the gradient of its output (N, outputs).

    `cell` is the name and the options of the layer's cell, or None where it is not registered.
    """

    topology: Topology
    structures: Sequence[Any]
    plans: tuple[Plan, ...]
    layer: Recurrence
    x: Tensor
    grad: Tensor
    cell: tuple[str, dict[str, Any]] | None = None
    kernels: bool = False

    @property
    def device(self) -> str:
        return str(self.x.device)

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.layer.parameters())

    @property
    def has_noise(self) -> bool:
        return any(vars(self.layer.noise).values())
