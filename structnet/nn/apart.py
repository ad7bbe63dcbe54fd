"""Stacks on a topology: one over all directions, or one for each."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.call import States
from structnet.cell.reset import reset
from structnet.nn.recurrence import Recurrence
from structnet.nn.stack import Stack, total_penalty
from structnet.registry import topologies
from structnet.topology.base import Topology
from structnet.topology.plan import Plan


def stacked(
    layer: Callable[..., Recurrence],
    topology: Topology,
    input_size: int,
    num_layers: int,
    *,
    apart: bool = False,
    **options: Any,
) -> "Stack | Apart":
    """A stack on a topology, or one per direction if `apart`.

    Arguments:
        layer: makes a recurrence of a topology and a keyword `input_size`.
        topology, input_size, num_layers: what the stack is made for.
        apart: whether each direction has a stack of its own.
        options: the `Stack`'s.
    """

    def stack(topology: Topology) -> Stack:
        return Stack(
            lambda size: layer(topology, input_size=size), input_size, num_layers, **options
        )

    return Apart(stack, topology) if apart else stack(topology)


class Apart(nn.Module):
    """A stack of its own for every direction of a topology, which sees nothing of the others.

    So are the directions of DAGNN (Thost and Chen 2021) and of ELMo (Peters et al. 2018, section
    3.1). Called like a `Stack`, it returns their outputs side by side.

    Arguments:
        stack: makes the stack of a topology of one direction.
        topology: the topology of all directions.

    Attributes:
        shape: the number of layers, and the size of a layer's output in all directions.
    """

    def __init__(self, stack: Callable[[Topology], Stack], topology: Topology):
        """ValueError for directions that read each other's outputs."""
        super().__init__()
        if topology.in_turn:
            raise ValueError(
                f"net.apart=true keeps directions from each other, and those of "
                f"{topologies.called(topology)} read the outputs of the ones before: leave it out"
            )
        count = len(topology.directions)
        stacks = [stack(Direction(topology, index)) for index in range(count)]
        self.stacks = nn.ModuleList(stacks)
        self.layers = [layer for stack in stacks for layer in stack.layers]
        self.output_size = sum(stack.output_size for stack in stacks)
        self.shape = stacks[0].shape[0], sum(stack.shape[1] for stack in stacks)

    def reset_parameters(self) -> None:
        """Reset all weights to those of new stacks, given the same random state."""
        reset(self.stacks)

    def forward(
        self,
        x: Tensor,
        plans: Sequence[Plan],
        edge_x: Tensor | None = None,
        initial: Sequence[States] | None = None,
    ) -> Tensor:
        each = zip(self.stacks, plans, self._split(initial), strict=True)
        return torch.cat([stack(x, (plan,), edge_x, start) for stack, plan, start in each], dim=1)

    def outputs(
        self,
        x: Tensor,
        plans: Sequence[Plan],
        edge_x: Tensor | None = None,
        initial: Sequence[States] | None = None,
    ) -> list[Tensor]:
        """What leaves every layer, as of a `Stack`, the directions side by side."""
        each: Any = zip(self.stacks, plans, self._split(initial), strict=True)
        found = [stack.outputs(x, (plan,), edge_x, start) for stack, plan, start in each]
        return [torch.cat(layer, dim=1) for layer in zip(*found, strict=True)]

    def _split(self, initial: Sequence[States] | None) -> list[Sequence[States] | None]:
        """The initial states of all `layers`, by stack."""
        if initial is None:
            return [None] * len(self.stacks)
        depth = self.shape[0]
        return [initial[at : at + depth] for at in range(0, len(initial), depth)]

    @property
    def penalty(self) -> Tensor | None:
        """What the last pass in training adds to the loss; None for nothing."""
        return total_penalty(self.stacks)


class Direction(Topology):
    """One direction of a topology that may have several, by its index."""

    def __init__(self, topology: Topology, index: int):
        self.whole, self.index = topology, index
        self.directions = (topology.directions[index],)
        self.arity = topology.arities[index]
        self.num_initial = topology.num_initial

    def predecessors(self, structure: Any) -> Any:
        found = self.whole.predecessors(structure)
        return found[self.index] if len(self.whole.directions) > 1 else found

    def plan(self, structures: Any) -> tuple[Plan, ...]:
        return (self.whole.plan(structures)[self.index],)
