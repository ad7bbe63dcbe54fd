"""Recurrences on top of each other."""

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from structnet.cell.call import States
from structnet.cell.reset import reset
from structnet.nn.recurrence import Recurrence
from structnet.registry.checked import Checked
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
        input_dropout: that of features that enter the first layer; `dropout` where None.
        output_dropout: that of features that leave the last layer; `dropout` where None.
        variational: whether the same features are dropped at all nodes of a sample (Gal and
            Ghahramani 2016, section 4.2).
        ar: the factor of activation regularisation: the mean square of what leaves the last layer,
            after dropout, is part of `penalty` (Merity et al. 2018, section 4.6).
        tar: that of temporal activation regularisation: the mean square of the difference between
            the outputs of the last layer, before dropout, at nodes that follow each other in a
            sample.

    Attributes:
        shape: the number of layers, and the size of a layer's output.
        penalty: what the last pass in training adds to the loss; None for nothing.
    """

    penalty: Tensor | None = None

    def __init__(
        self,
        layer: Callable[[int], Recurrence],
        input_size: int,
        num_layers: int,
        *,
        skip: Skip = "none",
        dropout: float = 0.0,
        input_dropout: float | None = None,
        output_dropout: float | None = None,
        variational: bool = False,
        ar: float = 0.0,
        tar: float = 0.0,
    ):
        """ValueError for an option out of range."""
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"option 'num_layers' is at least 1, got {num_layers}")
        if num_layers > MOST_LAYERS:
            raise ValueError(f"option 'num_layers' is at most {MOST_LAYERS}, got {num_layers}")
        rates = {
            "dropout": dropout, "input_dropout": input_dropout, "output_dropout": output_dropout
        }  # fmt: skip
        for name, rate in rates.items():
            if rate is not None and not 0 <= rate < 1:
                raise ValueError(f"option {name!r} is from 0 to below 1, got {rate}")
        for name, factor in {"ar": ar, "tar": tar}.items():
            if not 0 <= factor < inf:
                raise ValueError(f"option {name!r} is at least 0 and finite, got {factor}")
        self.skip, self.dropout, self.variational = skip, dropout, variational
        self.input_dropout = dropout if input_dropout is None else input_dropout
        self.output_dropout = dropout if output_dropout is None else output_dropout
        self.ar, self.tar = ar, tar
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
        self.shape = num_layers, self.layers[0].output_size

    def reset_parameters(self) -> None:
        """Reset all weights to those of a new stack, given the same random state."""
        for depth, layer in enumerate(self.layers):
            reset(layer)
            if self.carries:
                reset(self.carries[depth])
            if self.transforms:
                reset(self.transforms[depth])
                _start_gate(self.transforms[depth])

    def forward(
        self,
        x: Tensor,
        plans: Sequence[Plan],
        edge_x: Tensor | None = None,
        initial: Sequence[States] | None = None,
    ) -> Tensor:
        return self._run(x, plans, edge_x=edge_x, initial=initial)[0]

    def outputs(
        self,
        x: Tensor,
        plans: Sequence[Plan],
        edge_x: Tensor | None = None,
        initial: Sequence[States] | None = None,
    ) -> list[Tensor]:
        """What leaves every layer, (N, `shape[1]`), with what is added to it on the way past."""
        found: list[Tensor] = []
        self._run(x, plans, edge_x=edge_x, initial=initial, found=found)
        return found

    def carry(
        self, x: Tensor, plans: Sequence[Plan], states: Sequence[States] | None = None
    ) -> tuple[Tensor, list[States]]:
        """The output (N, output_size), and the final states of every layer.

        Arguments:
            x: the input (N, input_size).
            plans: one per direction.
            states: the initial states of every layer, such as the final ones of another pass; zeros
                where None.
        """
        return self._run(x, plans, initial=states, final=True)

    def _run(
        self,
        x: Tensor,
        plans: Sequence[Plan],
        *,
        found: list[Tensor] | None = None,
        **given: Any,
    ) -> tuple[Tensor, list[Any]]:
        """`run_layers` with dropout and what goes past a layer; `found` gets the outputs."""
        x = self._drop(x, self.input_dropout, plans)
        last = len(self.layers) - 1

        def between(depth: int, h: Tensor, out: Tensor) -> Tensor:
            rate = self.output_dropout if depth == last else self.dropout
            dropped = self._drop(out, rate, plans)
            if depth == last and self.training and (self.ar or self.tar):
                self.penalty = self._regularise(out, dropped, plans[0])
            leaves = self.leave(depth, h, dropped, x)
            if found is not None:
                # What is dense comes with all that is below, what input with all that entered.
                found.append(leaves[:, : self.shape[1]])
            return leaves

        return run_layers(self.layers, x, plans, between, **given)

    def _drop(self, h: Tensor, rate: float, plans: Sequence[Plan]) -> Tensor:
        if not (self.variational and self.training and rate):
            return F.dropout(h, rate, self.training)
        ptr = plans[0].ptr
        kept = F.dropout(h.new_ones(len(ptr) - 1, h.shape[1]), rate)
        return h * kept.repeat_interleave(ptr.diff(), 0, output_size=len(h))

    def _regularise(self, out: Tensor, dropped: Tensor, plan: Plan) -> Tensor | None:
        """Activation regularisation of the last layer's output, before and after dropout."""
        step = out.diff(dim=0)
        # A sample's first node does not follow the one before it.
        inner = step.new_ones(len(out) + 1).index_fill(0, plan.ptr, 0)[1:-1]
        pairs = (inner.sum() * out.shape[1]).clamp(min=1)
        change = (step.square() * inner[:, None]).sum() / pairs
        return self.ar * dropped.square().mean() + self.tar * change

    def leave(self, depth: int, h: Tensor, out: Tensor, x: Tensor) -> Tensor:
        """What enters the layer above, or leaves the stack.

        Arguments:
            depth: the number of the layer.
            h: what entered it.
            out: its output.
            x: what entered the stack.
        """
        if self.skip == "input" and depth + 1 < len(self.layers):
            return torch.cat([out, x], dim=1)
        if self.skip == "dense":
            return torch.cat([out, h], dim=1)
        if self.skip == "residual":
            return out + self.carries[depth](h)
        if self.skip == "highway":
            return torch.lerp(self.carries[depth](h), out, self.transforms[depth](h).sigmoid())
        return out


def total_penalty(parts: Iterable[Any]) -> Tensor | None:
    """The sum of what modules add to the loss, `penalty`; None where none of them adds anything."""
    found = [one for part in parts if (one := getattr(part, "penalty", None)) is not None]
    return torch.stack(found).sum() if found else None


def run_layers(
    layers: Sequence[Any],
    h: Tensor,
    plans: Sequence[Plan],
    between: Callable[[int, Tensor, Tensor], Tensor],
    *,
    edge_x: Tensor | None = None,
    initial: Iterable[Sequence[Tensor] | None] | None = None,
    keep: Callable[[States], Any] | None = None,
    final: bool = False,
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
        final: whether the final states of every layer, (B, directions * size), are kept instead.

    ValueError for initial states of another number of layers.
    """
    below: Any = None
    kept = []
    starts = _starts(initial, len(layers))
    for depth, (layer, start) in enumerate(zip(layers, starts, strict=True)):
        hands_on = layer.topology.num_initial is None
        out = layer(
            h,
            plans,
            edge_x=edge_x,
            initial=below if hands_on and depth else start,
            return_states="final" if final else hands_on or keep is not None,
        )
        if final:
            out, states = out
            kept.append(states)
        elif hands_on or keep is not None:
            out, below = out
            if keep is not None:
                kept.append(keep(below))
        h = between(depth, h, out)
    return h, kept


def _starts(initial: Iterable[Any] | None, layers: int) -> list[Any]:
    """What every layer starts from; ValueError for states of another number of layers."""
    starts = [None] * layers if initial is None else list(initial)
    if len(starts) != layers:
        raise ValueError(f"initial states are of {layers} layers, got those of {len(starts)}")
    return starts


def _projection(size: int, output_size: int) -> nn.Module:
    return nn.Identity() if size == output_size else nn.Linear(size, output_size, bias=False)


def _transform_gate(size: int, output_size: int) -> nn.Linear:
    return _start_gate(nn.Linear(size, output_size))


def _start_gate(gate: Any) -> Any:
    # A negative bias carries the input at first (Srivastava et al. 2015, section 2.2).
    nn.init.constant_(gate.bias, -1.0)
    return gate
