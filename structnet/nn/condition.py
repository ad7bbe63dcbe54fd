"""What a sample is given beside its nodes, as the layers of a net read it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from structnet.cell.call import States
from structnet.cell.reset import reset
from structnet.data.batch import Batch
from structnet.topology.base import Topology

Reads = Literal["input", "initial"]


class Condition(nn.Module):
    """A vector of numbers for every sample, joined to the input of nodes or to initial states.

    Arguments:
        size: the number of numbers.
        reads: input, every node of a sample has them beside its own; initial, the states that the
            layers start from are linear in them, of a topology with one initial state per sample.
        layers: the recurrences, from the input up; read for `initial` alone.
        topology: of the net.

    ValueError for initial states on a topology that has not one per sample.
    """

    def __init__(self, size: int, reads: Reads, layers: Sequence[Any], topology: Topology):
        super().__init__()
        self.size, self.reads = size, reads
        self.start: nn.Linear | None = None
        if reads == "initial":
            if topology.num_initial != 1:
                raise ValueError(
                    "net.condition=initial is for chains, which start from a state; take "
                    "net.condition=input"
                )
            self.sizes = [
                [len(layer.cells) * size for size in layer.cells[0].state_sizes] for layer in layers
            ]
            self.start = nn.Linear(size, sum(map(sum, self.sizes)))

    def reset_parameters(self) -> None:
        """Reset the weights to those of a new layer, given the same random state."""
        if self.start is not None:
            reset(self.start)

    def beside(self, h: Tensor, batch: Batch) -> Tensor:
        """The input (N, size) of nodes, with their sample's vector where `reads` is input."""
        given = self._given(batch)
        if self.reads != "input":
            return h
        return torch.cat([h, given[batch.sample_of_node()].to(h.dtype)], dim=1)

    def states(self, batch: Batch) -> list[States] | None:
        """The initial states of every layer, where `reads` is initial; else None."""
        if self.start is None:
            return None
        bounds = [0]
        flat = [size for sizes in self.sizes for size in sizes]
        for size in flat:
            bounds.append(bounds[-1] + size)
        made = self.start(self._given(batch).to(self.start.weight.dtype))
        parts = iter([made[:, a:b] for a, b in pairwise(bounds)])
        return [tuple(next(parts) for _ in sizes) for sizes in self.sizes]

    def _given(self, batch: Batch) -> Tensor:
        given = batch.condition
        if given is None or given.shape[1:] != (self.size,):
            shape = "none" if given is None else f"one of shape {tuple(given.shape[1:])}"
            raise ValueError(
                f"every sample has a condition of {self.size} numbers for this net, got {shape}"
            )
        return given
