"""Diagnosis of a net's recurrences: how much gradient arrives where, and what its gates do."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from structnet.cell.adapt import adapt
from structnet.cell.call import States, as_states
from structnet.data.batch import Batch, Sample, collate
from structnet.data.loader import Batches
from structnet.diagnosis.saturation import Radius, Saturation, gate_saturation, spectral_radii
from structnet.execute.executor import Pass, find
from structnet.nn.pretrained import Contextual
from structnet.nn.recurrence import Recurrence
from structnet.registry import nets
from structnet.topology.base import Topology
from structnet.topology.plan import Plan


@dataclass(frozen=True)
class Diagnosis:
    """Measurements of one layer in one direction.

    `gradient[d]` is the gradient d levels before the last nodes, as a share of the gradient at
    these; see `gradient_by_distance`.
    """

    name: str
    gradient: list[float]
    saturation: dict[str, Saturation]
    radii: list[Radius]


def diagnose(net: nn.Module, batch: Batch) -> list[Diagnosis]:
    """Measure every recurrence of a net on a batch, in evaluation mode.

    The net is not changed. Raises ValueError if it has no recurrence.
    """
    # A pretrained net within is not trained.
    pretrained = [one for one in net.modules() if isinstance(one, Contextual)]
    inner = {id(module) for one in pretrained for module in one.modules()}
    layers = [one for one in net.modules() if isinstance(one, Recurrence) and id(one) not in inner]
    if not layers:
        raise ValueError(f"{nets.called(net)} has no recurrence to diagnose")
    with ExitStack() as stack, torch.no_grad():
        stack.enter_context(_evaluating(net))
        probes = [stack.enter_context(_probed(layer)) for layer in layers]
        net(batch)
    found = []
    for number, (layer, probe) in enumerate(zip(layers, probes, strict=True), start=1):
        several = len(layer.directions) > 1
        # A layer that the net calls again is measured at its first call.
        for direction, measured in zip(layer.directions, probe.measured, strict=False):
            name = f"layer {number}, {direction}" if several else f"layer {number}"
            found.append(Diagnosis(name, *measured))
    return found


def largest_batch(
    samples: Sequence[Sample], topology: Topology, batch_nodes: int, group: int = 1
) -> Batch:
    """The batch of the largest structures, with the longest paths of gradients.

    Raises ValueError if there are no samples.
    """
    batches = list(Batches([sample.num_nodes for sample in samples], batch_nodes, group=group))
    if not batches:
        raise ValueError("the validation split is empty; a diagnosis needs a sample")
    return collate([samples[index] for index in batches[-1]], topology)


@contextmanager
def _evaluating(net: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def _probed(layer: Recurrence) -> Iterator["_Probe"]:
    """The layer, with a probe that observes its passes."""
    before, probe = layer.observer, _Probe()
    layer.observer = probe
    try:
        yield probe
    finally:
        layer.observer = before


class _Probe:
    """Measures the pass of every direction."""

    def __init__(self) -> None:
        self.measured: list[tuple[list[float], dict[str, Saturation], list[Radius]]] = []

    def __call__(self, p: Pass) -> None:
        gradient, states = gradient_by_distance(p)
        saturation = gate_saturation(p.cell, p.plan, p.z, states, p.initial, p.edges)
        self.measured.append((gradient, saturation, spectral_radii(p.cell, saturation)))


def gradient_by_distance(p: Pass) -> tuple[list[float], States]:
    """The gradient of the last nodes' output with respect to states, by distance; and the states.

    The last nodes are those of a sample's highest level: the root of a tree, the last step of a
    chain, in direction down the deepest leaves. Their outputs y are weighted with random signs v,
    so that the expected squared norm of d(v y) / d(all states of a node) is that of the Jacobian
    (Hutchinson 1990). Returned is its root mean square over the nodes at each distance, relative to
    distance 0. Loss, readout and the layers above do not enter, so that it means the same for every
    task.

    The distance is the number of levels on the shortest path to a last node, not a difference of
    levels: for a leaf right below the root of a deep tree it is 1. Nodes without a path are left
    out.
    """
    distance = distances(p.plan)
    nudge = p.z.new_zeros(len(p.z), sum(p.cell.state_sizes), requires_grad=True)
    with torch.enable_grad():
        states = _run_nudged(p, nudge)
        output = p.cell.output(p.z.detach(), *states)[distance == 0]
        # A generator of its own: a diagnosis between epochs must not change their random numbers.
        random = torch.Generator().manual_seed(0)
        signs = torch.randint(2, output.shape, generator=random).to(output) * 2 - 1
        (gradient,) = torch.autograd.grad(output, nudge, signs)
    squared = gradient.double().square().sum(1)[distance >= 0]
    distance = distance[distance >= 0]
    total = squared.new_zeros(int(distance.max()) + 1).index_add(0, distance, squared)
    norm = (total / torch.bincount(distance)).sqrt()
    # All zero where the output depends on none of the states.
    relative = norm / norm[0] if norm[0] > 0 else norm
    return relative.tolist(), tuple(state.detach() for state in states)


def distances(plan: Plan) -> Tensor:
    """Levels on the shortest path to a last node of the sample, by rank (N,); -1 for none."""
    sizes = torch.tensor(plan.level_sizes, device=plan.rows.device)
    level = torch.repeat_interleave(sizes)
    sample = torch.bucketize(plan.order, plan.ptr[1:], right=True)
    highest = level.new_zeros(len(plan.ptr)).scatter_reduce(0, sample, level, "amax")
    first, none = plan.first_row, plan.num_nodes
    distance = level.new_full((first + plan.num_nodes,), none)
    distance[first:][level == highest[sample]] = 0
    for step in reversed(plan.steps):
        above = distance[first + step.start : first + step.stop] + 1
        through = above.repeat_interleave(step.slots)
        distance.scatter_reduce_(0, plan.rows[step.reads], through, "amin")
    return distance[first:].where(distance[first:] < none, -1)


def _run_nudged(p: Pass, nudge: Tensor) -> States:
    """The states, to each of which a nudge is added, for gradients with respect to states."""
    z = torch.cat([p.z.detach(), nudge], dim=1)
    nudged: Any = _Nudged(p.cell)
    # Whatever executor the layer uses: the numbers are the same, and batched takes any cell.
    _, states = find("batched").run(replace(p, cell=adapt(nudged, p.cell.arity), x=z))
    return states


class _Nudged(nn.Module):
    """A cell that adds to its states the columns behind those of z."""

    def __init__(self, cell: Any):
        super().__init__()
        self.cell, self.state_sizes = cell, cell.state_sizes

    def project(self, x: Tensor) -> Tensor:
        """z and the nudges as they are given."""
        return x

    def forward(self, z: Tensor, *states: Tensor) -> States:
        own = z.shape[1] - sum(self.state_sizes)
        z, *nudges = z.split((own, *self.state_sizes), dim=1)
        out = as_states(self.cell(z, *states))
        return tuple(state + nudge for state, nudge in zip(out, nudges, strict=True))
