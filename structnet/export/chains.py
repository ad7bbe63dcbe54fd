"""A net of chains as one module over whole sequences, its loops as Scan.

B: sequences, T: steps of the longest, I: input size.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._higher_order_ops.scan import scan
from torch.nn import functional as F

from structnet.export.onnx import Part, quiet
from structnet.export.parts import Project, Scored, Step, rows_of
from structnet.nn import readout as readouts
from structnet.nn.apart import Apart
from structnet.nn.embedding import OneHot
from structnet.nn.input_layer import BesideNumbers
from structnet.nn.net import Net
from structnet.registry import readouts as known
from structnet.registry import topologies
from structnet.topology.base import Topology

# Readouts that read a row per node and its sample, however the rows are numbered.
FITTING = (
    readouts.Every,
    readouts.Root,
    readouts.Mean,
    readouts.Max,
    readouts.Attention,
    readouts.SelfAttentive,
)


def without_chain(net: Net, topology: Topology, ways: dict[str, str] | None) -> str | None:
    """Why a net is not exported as one file of chains; None where it is."""
    if ways is None:
        return f"{topologies.called(topology)} is not one of chains"
    if isinstance(net.input, BesideNumbers):
        return "nodes have tokens and numbers, which enter side by side"
    if net.condition is not None:
        return "samples have a condition, which joins the input of their nodes"
    if not isinstance(net.readout, FITTING):
        return f"{known.called(net.readout)} reads nodes by their numbers"
    return None


def chain_part(net: Net, ways: Sequence[str], scored: Scored) -> Part:
    """The part of the whole net.

    Its inputs are x (B, T, I), or ids (B, T) with a token per step, and lengths (B,); steps beyond
    a length may be anything. It gives scores of sequences (B, outputs) or of steps
    (B, T, outputs).
    """
    if isinstance(net.input, nn.Identity):
        inputs = {"x": torch.randn(3, 5, net.entering)}
    else:
        inputs = {"ids": torch.zeros(3, 5, dtype=torch.int64)}
    free = dict.fromkeys(inputs, (0, 1))
    module = Chained(net, ways, scored)
    return Part("chain", module, {**inputs, "lengths": torch.tensor([5, 2, 3])}, "chain.onnx", free)


class Chained(nn.Module):
    """What `chain_part` exports.

    Arguments:
        net: the net.
        ways: for every direction forward or backward.
        scored: its readout and head.
    """

    def __init__(self, net: Net, ways: Sequence[str], scored: Scored):
        super().__init__()
        self.input, self.scored, self.per_node = net.input, scored, net.readout.per_node
        self.ways = list(ways)
        self.stacks: Any = net.stack.stacks if isinstance(net.stack, Apart) else [net.stack]
        self.apart = isinstance(net.stack, Apart)
        self.steps = nn.ModuleDict(
            {
                str(id(cell)): _traced(Step(cell, layer.noise.zoneout, False), cell)
                for layer in net.layers
                for cell in layer.cells
            }
        )
        # Not eval(), which a traced step refuses.
        self.training = False

    def forward(self, given: Tensor, lengths: Tensor) -> Tensor:
        x = self._enter(given)
        at = torch.arange(x.shape[1])[None]
        last = lengths[:, None]
        # Every sequence in reverse, what lies beyond it left where it is.
        turned = torch.where(at < last, last - 1 - at, at)
        if self.apart:
            pairs = zip(self.stacks, self.ways, strict=True)
            h = torch.cat([self._stack(stack, [way], x, turned) for stack, way in pairs], dim=2)
        else:
            h = self._stack(self.stacks[0], self.ways, x, turned)
        return self._score(h, at, lengths)

    def _enter(self, given: Tensor) -> Tensor:
        layer: Any = self.input
        if isinstance(layer, nn.Identity):
            return given
        if isinstance(layer, OneHot):
            return F.one_hot(given, layer.size).to(layer.like.dtype)
        return F.embedding(given, layer.weight)

    def _stack(self, stack: Any, ways: Sequence[str], x: Tensor, turned: Tensor) -> Tensor:
        h, batch = x, x.shape[0]
        for depth, layer in enumerate(stack.layers):
            outs = [
                self._sweep(cell, way, h, turned)
                for cell, way in zip(layer.cells, ways, strict=True)
            ]
            rows = (one.flatten(0, 1) for one in (h, torch.cat(outs, dim=2), x))
            h = stack.leave(depth, *rows).unflatten(0, (batch, x.shape[1]))
        return h

    def _sweep(self, cell: Any, way: str, x: Tensor, turned: Tensor) -> Tensor:
        """The output (B, T, size) of a cell in one direction."""
        batch, steps = x.shape[0], x.shape[1]
        x = x if way == "forward" else _taken(x, turned)
        z = Project(cell)(x.transpose(0, 1).flatten(0, 1)).unflatten(0, (steps, batch))
        step = self.steps[str(id(cell))]

        def advance(states: Any, z: Tensor) -> Any:
            new = step(z, *[one.unsqueeze(1) for one in states])
            return tuple(new), tuple(one.clone() for one in new)

        start = tuple(z.new_zeros(batch, size) for size in cell.state_sizes)
        states = [one.flatten(0, 1) for one in scan(advance, start, z)[1]]  # pyright: ignore
        out = cell.output(z.flatten(0, 1), *states).unflatten(0, (steps, batch)).transpose(0, 1)
        return out if way == "forward" else _taken(out, turned)

    def _score(self, h: Tensor, at: Tensor, lengths: Tensor) -> Tensor:
        batch, steps = h.shape[0], h.shape[1]
        sequence = torch.arange(batch)
        # What lies beyond the ends belongs to a further sample, which is left out.
        sample = torch.where(at < lengths[:, None], sequence[:, None], batch).flatten()
        ends = {"forward": sequence * steps + lengths - 1, "backward": sequence * steps}
        rows = rows_of(sample, lengths, [ends[way] for way in self.ways], batch + 1)
        scores = self.scored.of(h.flatten(0, 1), rows)
        return scores.unflatten(0, (batch, steps)) if self.per_node else scores[:batch]


def _taken(x: Tensor, steps: Tensor) -> Tensor:
    """x (B, T, I) with the steps of every sequence in another order."""
    return x.gather(1, steps[:, :, None].expand(-1, -1, x.shape[2]))


def _traced(step: Step, cell: Any) -> Any:
    """A step as a graph: a loop can't be exported around the context of a call."""
    z = Project(cell)(torch.randn(3, cell.input_size))
    states = [torch.rand(3, 1, size) for size in cell.state_sizes]
    dims = {0: torch.export.Dim.DYNAMIC}
    with quiet(), torch.no_grad():
        shapes = (dims, tuple(dims for _ in states))
        program = torch.export.export(step.eval(), (z, *states), dynamic_shapes=shapes)
    return program.module(check_guards=False)
