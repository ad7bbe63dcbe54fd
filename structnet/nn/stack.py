"""Recurrences on top of each other."""

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.call import States
from structnet.cell.reset import reset
from structnet.nn.recurrence import Recurrence
from structnet.registry.checked import Checked
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

# Deeper stacks are not trained, and building a million layers takes minutes.
MOST_LAYERS = 1000
Skip = Literal["none", "residual", "highway", "dense", "input"]


class Stack(nn.Module, metaclass=Checked):
    """Layers of recurrences, each on the outputs of the one below.

    Called with x (N, input_size) and plans it returns (N, output_size), in node order. On
    topologies with one initial state per node, the initial states of a layer are the node's states
    in the layer below; the first layer has none.

    Arguments:
        layer: makes a recurrence of a given input size.
        input_size: the size of a node's input.
        num_layers: the number of layers.
        skip: how what enters a layer goes past it. residual: it is added to what leaves (He et al.
            2016, eq. 1-2), after a projection if the sizes differ; highway: a gate of what enters
            mixes both (Srivastava et al. 2015, eq. 3); dense: every layer and the stack's output
            have all outputs below (Huang et al. 2017, eq. 2); input: every layer reads the stack's
            input as well (Graves 2013, section 2.1).
        dropout: the probability with which a feature is dropped that enters or leaves a layer.
    """

    def __init__(
        self,
        layer: Callable[[int], Recurrence],
        input_size: int,
        num_layers: int,
        *,
        skip: Skip = "none",
        dropout: float = 0.0,
    ):
        """ValueError for an option out of range."""
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"option 'num_layers' is at least 1, got {num_layers}")
        if num_layers > MOST_LAYERS:
            raise ValueError(f"option 'num_layers' is at most {MOST_LAYERS}, got {num_layers}")
        if not 0 <= dropout < 1:
            raise ValueError(f"option 'dropout' is from 0 to below 1, got {dropout}")
        self.skip, self.dropout = skip, dropout
        self.layers: Any = nn.ModuleList()
        self.carries, self.transforms = nn.ModuleList(), nn.ModuleList()
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
        """Reset all weights to those of a new stack, given the same random state."""
        for depth, layer in enumerate(self.layers):
            reset(layer)
            if self.carries:
                reset(self.carries[depth])
            if self.transforms:
                reset(self.transforms[depth])
                _start_gate(self.transforms[depth])

    def forward(self, x: Tensor, plans: Sequence[Plan], edge_x: Tensor | None = None) -> Tensor:
        x = self._drop(x)

        def between(depth: int, h: Tensor, out: Tensor) -> Tensor:
            out = self._drop(out)
            if self.skip == "input" and depth < len(self.layers) - 1:
                return torch.cat([out, x], dim=1)
            return self._combine(depth, h, out)

        return run_layers(self.layers, x, plans, between, edge_x=edge_x)[0]

    def _drop(self, h: Tensor) -> Tensor:
        return F.dropout(h, self.dropout, self.training)

    def _combine(self, depth: int, h: Tensor, out: Tensor) -> Tensor:
        if self.skip == "dense":
            return torch.cat([out, h], dim=1)
        if self.skip == "residual":
            return out + self.carries[depth](h)
        if self.skip == "highway":
            return torch.lerp(self.carries[depth](h), out, self.transforms[depth](h).sigmoid())
        return out


def run_layers(
    layers: Iterable[Any],
    h: Tensor,
    plans: Sequence[Plan],
    between: Callable[[int, Tensor, Tensor], Tensor],
    *,
    edge_x: Tensor | None = None,
    initial: Iterable[Sequence[Tensor] | None] | None = None,
    keep: Callable[[States], Any] | None = None,
) -> tuple[Tensor, list[Any]]:
    """The output of layers on top of each other, and what is kept of the states of each.

    Arguments:
        layers: the recurrences, from the input up.
        h: what enters the first layer, (N, input_size).
        plans: one per direction.
        between: (depth, what entered a layer, its output) -> what enters the next one, or leaves
            the last one: skip connections and dropout.
        edge_x: the features of the edges, (E, edge_size).
        initial: the initial states of every layer; zeros where None. On topologies with one initial
            state per node, layers above the first start from the states of the one below.
        keep: what is kept of a layer's states (N, directions * size); nothing where None.
    """
    below: Any = None
    kept = []
    starts = repeat(None) if initial is None else initial
    for depth, (layer, start) in enumerate(zip(layers, starts, strict=False)):
        hands_on = layer.topology.num_initial is None
        out = layer(
            h,
            plans,
            edge_x=edge_x,
            initial=below if hands_on and depth else start,
            return_states=hands_on or keep is not None,
        )
        if hands_on or keep is not None:
            out, below = out
        if keep is not None:
            kept.append(keep(below))
        h = between(depth, h, out)
    return h, kept


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
    """

    def __init__(self, stack: Callable[[Topology], Stack], topology: Topology):
        super().__init__()
        count = len(topology.directions)
        stacks = [stack(Direction(topology, index)) for index in range(count)]
        self.stacks = nn.ModuleList(stacks)
        self.layers = [layer for stack in stacks for layer in stack.layers]
        self.output_size = sum(stack.output_size for stack in stacks)

    def reset_parameters(self) -> None:
        """Reset all weights to those of new stacks, given the same random state."""
        reset(self.stacks)

    def forward(self, x: Tensor, plans: Sequence[Plan], edge_x: Tensor | None = None) -> Tensor:
        pairs = zip(self.stacks, plans, strict=True)
        return torch.cat([stack(x, (plan,), edge_x) for stack, plan in pairs], dim=1)


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


def _projection(size: int, output_size: int) -> nn.Module:
    return nn.Identity() if size == output_size else nn.Linear(size, output_size, bias=False)


def _transform_gate(size: int, output_size: int) -> nn.Linear:
    return _start_gate(nn.Linear(size, output_size))


def _start_gate(gate: Any) -> Any:
    # A negative bias carries the input at first (Srivastava et al. 2015, section 2.2).
    nn.init.constant_(gate.bias, -1.0)
    return gate
