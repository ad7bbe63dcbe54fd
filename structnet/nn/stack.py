"""Recurrences on top of each other."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.renew import reset
from structnet.nn.recurrence import Recurrence
from structnet.registry.suggest import did_you_mean
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

# Deeper stacks are not trained, and building a million layers takes minutes.
MOST_LAYERS = 1000
SKIPS = ("none", "residual", "highway", "dense", "input")


class Stack(nn.Module):
    """Layers of recurrences, each on the outputs of the one below.

    `skip` adds what enters a layer to what leaves it ("residual", He et al. 2016, eq. 1-2, with a
    projection where the sizes differ), mixes both by a gate of what enters ("highway", Srivastava
    et al. 2015, eq. 3), gives every layer and the outside all outputs below ("dense", Huang et al.
    2017, eq. 2), or gives every layer the input as well ("input", Graves 2013, section 2.1).
    `dropout` acts on what enters and leaves every layer. On topologies with one initial state a
    node, these are its states in the layer below; the first layer has none.

    Called with x (N, input_size) and plans it gives (N, output_size), in node order.
    """

    def __init__(
        self,
        layer: Callable[[int], Recurrence],
        input_size: int,
        num_layers: int,
        *,
        skip: str = "none",
        dropout: float = 0.0,
    ):
        """`layer` makes a recurrence of an input size. ValueError for an option out of range."""
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"option 'num_layers' is at least 1, got {num_layers}")
        if num_layers > MOST_LAYERS:
            raise ValueError(f"option 'num_layers' is at most {MOST_LAYERS}, got {num_layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"option 'dropout' is from 0 to below 1, got {dropout}")
        if skip not in SKIPS:
            raise ValueError(f"no skip {skip!r} {did_you_mean(skip, SKIPS)}")
        self.skip, self.dropout = skip, nn.Dropout(dropout)
        self.layers, self.carries, self.transforms = (nn.ModuleList() for _ in range(3))
        size = input_size
        for depth in range(num_layers):
            made = layer(size + input_size * (skip == "input" and depth > 0))
            self.layers.append(made)
            if skip in ("residual", "highway"):
                self.carries.append(_projection(size, made.output_size))
            if skip == "highway":
                self.transforms.append(_transform_gate(size, made.output_size))
            size = made.output_size + size * (skip == "dense")
        self.output_size = size

    def reset_parameters(self) -> None:
        """Put all weights back to what a new stack has, given the same random state."""
        for depth, layer in enumerate(self.layers):
            reset(layer)
            if self.carries:
                reset(self.carries[depth])
            if self.transforms:
                reset(self.transforms[depth])
                _start_gate(self.transforms[depth])

    def forward(self, x: Tensor, plans: Sequence[Plan], edge_x: Tensor | None = None) -> Tensor:
        x = h = self.dropout(x)
        states = None
        for depth, layer in enumerate(self.layers):
            given = torch.cat([h, x], dim=1) if self.skip == "input" and depth else h
            if layer.topology.num_initial is None:
                out, states = layer(given, plans, edge_x=edge_x, initial=states, return_states=True)
            else:
                out = layer(given, plans, edge_x=edge_x)
            h = self._combine(depth, h, self.dropout(out))
        return h

    def _combine(self, depth: int, h: Tensor, out: Tensor) -> Tensor:
        if self.skip == "dense":
            return torch.cat([out, h], dim=1)
        if self.skip == "residual":
            return out + self.carries[depth](h)
        if self.skip == "highway":
            return torch.lerp(self.carries[depth](h), out, self.transforms[depth](h).sigmoid())
        return out


def stacked(
    layer: Callable[..., Recurrence],
    topology: Topology,
    input_size: int,
    num_layers: int,
    *,
    apart: bool = False,
    **options: Any,
) -> "Stack | Apart":
    """A stack on a topology, or `apart` one a direction; `layer` takes the topology first."""

    def stack(topology: Topology) -> Stack:
        return Stack(
            lambda size: layer(topology, input_size=size), input_size, num_layers, **options
        )

    return Apart(stack, topology) if apart else stack(topology)


class Apart(nn.Module):
    """A stack of its own for every direction of a topology, which sees nothing of the others.

    So are the directions of DAGNN (Thost and Chen 2021) and of ELMo (Peters et al. 2018, section
    3.1). Called as a `Stack` is, it gives their outputs side by side.
    """

    def __init__(self, stack: Callable[[Topology], Stack], topology: Topology):
        """`stack` makes the stack of a topology of one direction."""
        super().__init__()
        count = len(topology.directions)
        self.stacks = nn.ModuleList(stack(Side(topology, place)) for place in range(count))
        self.layers = [layer for stack in self.stacks for layer in stack.layers]
        self.output_size = sum(stack.output_size for stack in self.stacks)

    def reset_parameters(self) -> None:
        """Put all weights back to what new stacks have, given the same random state."""
        reset(self.stacks)

    def forward(self, x: Tensor, plans: Sequence[Plan], edge_x: Tensor | None = None) -> Tensor:
        pairs = zip(self.stacks, plans, strict=True)
        return torch.cat([stack(x, (plan,), edge_x) for stack, plan in pairs], dim=1)


class Side(Topology):
    """One direction of a topology that may have several."""

    def __init__(self, topology: Topology, place: int):
        self.whole, self.place = topology, place
        self.directions = (topology.directions[place],)
        self.arity = topology.arities[place]
        self.num_initial = topology.num_initial

    def predecessors(self, structure: Any) -> Any:
        found = self.whole.predecessors(structure)
        return found[self.place] if len(self.whole.directions) > 1 else found

    def plan(self, structures: Any) -> tuple[Plan, ...]:
        return (self.whole.plan(structures)[self.place],)


def _projection(size: int, output_size: int) -> nn.Module:
    return nn.Identity() if size == output_size else nn.Linear(size, output_size, bias=False)


def _transform_gate(size: int, output_size: int) -> nn.Linear:
    return _start_gate(nn.Linear(size, output_size))


def _start_gate(gate: Any) -> Any:
    # A negative bias carries the input at first (Srivastava et al. 2015, section 2.2).
    nn.init.constant_(gate.bias, -1.0)
    return gate
