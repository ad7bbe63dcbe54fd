"""What a benchmark measures: a case, and its contenders, which compute it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from structnet.nn.recurrence import Recurrence
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class Contender:
    """An implementation of a layer, on given inputs.

    Arguments:
        name: in the table.
        forward: computes the output.
        grad: the gradient of the output, from which backward starts.
        inputs: the tensors whose gradients are computed.
        nodes: the number of nodes that it computes.
        note: printed beside its figures.
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
    """A layer and a batch of structures for it.

    Arguments:
        topology: of the layer.
        structures: of the batch.
        plans: of the batch, one per direction.
        layer: the layer.
        x: its input (N, I).
        grad: the gradient of its output (N, D).
        cell: the name and the options of its cell; None if the cell is not registered.
        kernels: whether the layer is called as sn.RNN, which may use torch's own layer.
        precision: what products are computed in: float32, or bfloat16 by autocast.
    """

    topology: Topology
    structures: Sequence[Any]
    plans: tuple[Plan, ...]
    layer: Recurrence
    x: Tensor
    grad: Tensor
    cell: tuple[str, dict[str, Any]] | None = None
    kernels: bool = False
    precision: Precision = "float32"

    def in_precision(self, step: Callable[[], Any]) -> Callable[[], None]:
        """A step of a contender in the case's precision."""
        if self.precision == "float32":
            return step

        def run() -> None:
            # Casts that are kept from step to step would keep their graphs too.
            with torch.autocast(self.x.device.type, self.dtype, cache_enabled=False):
                step()

        return run

    @property
    def dtype(self) -> torch.dtype:
        """That of products."""
        return getattr(torch, self.precision)

    @property
    def device(self) -> str:
        return str(self.x.device)

    @property
    def parameters(self) -> list[Tensor]:
        return list(self.layer.parameters())

    @property
    def has_noise(self) -> bool:
        return bool(self.layer.noise.needs(training=True))
