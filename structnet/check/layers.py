"""Checks of a layer: a cell on a topology, in float64 unless they measure."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from structnet import registry
from structnet.cell.base import Cell
from structnet.check.card import Failed, NotFor
from structnet.check.refusals import refusals
from structnet.check.structures import awkward, deep, empty, single
from structnet.nn.compiling import compile_now
from structnet.nn.recurrence import Recurrence
from structnet.topology.base import Topology

INPUT, HIDDEN = 3, 4
# What executors may differ by, as a share of the largest entry.
TOLERANCE = 1e-9
# Added to the weights, so that none is zero and hides what reads it.
NOISE = 0.3
Maker = Callable[[int, int, int | None], Cell]
Values = dict[str, Tensor]


def make_layer(
    topology: Topology, cell: Maker, seed: int = 0, dtype: torch.dtype = torch.float64
) -> Recurrence:
    """A layer with random weights; NotFor where cell and topology do not go together."""
    torch.manual_seed(seed)
    with refusals():
        layer = Recurrence(topology, cell, INPUT, HIDDEN)
    layer = layer.to(dtype)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(NOISE * torch.randn_like(parameter))
    return layer.eval()


def features(plans: Sequence[Any], dtype: torch.dtype = torch.float64) -> Tensor:
    """Random inputs of the nodes of plans."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(plans[0].num_nodes, INPUT, generator=generator, dtype=torch.float64)
    return x.to(dtype).requires_grad_()


def computed(layer: Recurrence, x: Tensor, plans: Sequence[Any], executor: str) -> Values:
    """Output, states, and the gradients of a random function of them.

    NotFor where an executor other than the reference refuses, or is not installed.
    """
    try:
        with refusals() if executor != "reference" else nullcontext():
            h, states = layer(x, plans, return_states=True, executor=executor)
    except ImportError as error:
        if executor == "reference":
            raise
        raise NotFor(str(error)) from error
    values = {"output": h, **{f"state {at}": state for at, state in enumerate(states)}}
    inputs = {"the input": x, **dict(layer.named_parameters())}
    generator = torch.Generator().manual_seed(2)
    loss = torch.zeros((), dtype=h.dtype)
    for one in values.values():
        weight = torch.randn(one.shape, generator=generator, dtype=torch.float64)
        loss = loss + (one * weight.to(one)).sum()
    grads = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    return {name: one.detach() for name, one in values.items()} | {
        f"gradient of {name}": torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(inputs.items(), grads, strict=True)
    }


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> float:
    """The largest difference, as a share of the largest entry; Failed above TOLERANCE."""
    worst = 0.0
    for name, value in expected.items():
        if found[name].shape != value.shape:
            raise Failed(f"{what}: {name} is {tuple(found[name].shape)}, not {tuple(value.shape)}")
        if not value.numel():
            continue
        off = float((found[name] - value).abs().max() / value.abs().max().clamp(min=1.0))
        if not off <= TOLERANCE:
            raise Failed(f"{what}: {name} is off by {off:.1e} of its largest entry")
        worst = max(worst, off)
    return worst


def equals_reference(topology: Topology, cell: Maker, executors: Sequence[str]) -> str:
    """Whether outputs, states and gradients are those of one node at a time."""
    layer = make_layer(topology, cell)
    plans = topology.plan(awkward(topology))
    x = features(plans)
    expected = computed(layer, x, plans, "reference")
    worst, taken, refusals = 0.0, [], []
    for executor in executors:
        try:
            found = computed(layer, x, plans, executor)
        except NotFor as error:
            refusals.append(f"{executor} refuses: {error}")
            continue
        worst = max(worst, compare(found, expected, executor))
        taken.append(executor)
    if not taken:
        raise NotFor("; ".join(refusals))
    return f"{', '.join(taken)}: off by at most {worst:.0e}"


def passes_gradcheck(topology: Topology, cell: Maker) -> str:
    """Whether gradients are those of finite differences."""
    layer = make_layer(topology, cell)
    plans = topology.plan(awkward(topology, 2))
    inputs = (features(plans), *(one for one in layer.parameters() if one.requires_grad))
    try:
        # The weights are changed in place, where the layer reads them.
        torch.autograd.gradcheck(lambda x, *_: layer(x, plans), inputs, fast_mode=True)
    except RuntimeError as error:
        raise Failed(" ".join(str(error).split())[:300]) from error
    return f"{len(inputs) - 1} weights and the input"


def ignores_order(topology: Topology, cell: Maker) -> str:
    """Whether a structure has the same output wherever it stands in a batch, and alone."""
    layer, structures = make_layer(topology, cell), awkward(topology)
    plans, turned = topology.plan(structures), topology.plan(structures[::-1])
    x = features(plans).detach()
    sizes = plans[0].ptr.diff().tolist()
    with torch.no_grad():
        expected = torch.cat(layer(x, plans).split(sizes)[::-1])
        found = layer(torch.cat(x.split(sizes)[::-1]), turned)
        alone = [
            layer(part, topology.plan([one]))
            for part, one in zip(x.split(sizes), structures, strict=True)
        ]
    compare({"output": found}, {"output": expected}, "batch turned round")
    compare({"output": torch.cat(alone[::-1])}, {"output": expected}, "each alone")
    return f"{len(structures)} structures, turned round and alone"


def takes_few_nodes(topology: Topology, cell: Maker) -> str:
    """Whether a structure of size one, and one without nodes, is computed or refused."""
    layer = make_layer(topology, cell)
    one = "one node"
    try:
        with refusals():
            plans = topology.plan(single(topology))
    except NotFor as error:
        one = f"one node is refused: {error}"
    else:
        x = features(plans)
        compare(computed(layer, x, plans, "auto"), computed(layer, x, plans, "reference"), one)
    try:
        with refusals():
            plans = topology.plan([empty(topology)])
    except NotFor as error:
        return f"{one}; none is refused: {error}"
    if plans[0].num_nodes:
        raise Failed(f"a structure without nodes is planned with {plans[0].num_nodes}")
    rows = len(layer(features(plans), plans))
    if rows:
        raise Failed(f"a structure without nodes has an output of {rows} rows")
    return f"{one}; and none"


def goes_deep(topology: Topology, cell: Maker, depth: int) -> str:
    """Whether a structure of many levels is planned, run and differentiated."""
    torch.manual_seed(0)
    with refusals():
        layer = Recurrence(topology, cell, INPUT, HIDDEN)
    # In float64 and evaluation, as it was compiled for when outputs were compared.
    layer = layer.to(torch.float64).eval()
    # As after its first levels in training.
    compile_now(layer)
    began = time.perf_counter()
    plans = topology.plan([deep(topology, depth)])
    h = layer(features(plans), plans)
    h.sum().backward()
    took, levels = time.perf_counter() - began, max(len(plan.levels) - 1 for plan in plans)
    if bool(h.isnan().any()):
        raise Failed(f"{levels:,} levels in {took:.1f} s: the output holds what is no number")
    finite = "finite" if bool(h.isfinite().all()) else "it grows beyond all numbers"
    return f"{levels:,} levels in {took:.1f} s, {finite}"


def repeats_itself(topology: Topology, cell: Maker) -> str:
    """Whether a seed gives the same weights, and a pass the same bits."""
    first, second = (make_layer(topology, cell, seed=5) for _ in range(2))
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        if not one.equal(other):
            raise Failed(f"{name} differs between two layers that are made with one seed")
    plans = topology.plan(awkward(topology))
    x = features(plans)
    expected = computed(first, x, plans, "auto")
    for layer in (first, second):
        for name, value in computed(layer, x, plans, "auto").items():
            if not value.equal(expected[name]):
                raise Failed(f"{name} differs between two passes")
    return "weights, outputs and gradients"


def is_saved(topology: Topology, cell: Maker) -> str:
    """Whether weights in safetensors make another layer the same."""
    from safetensors.torch import load, save

    layer, other = make_layer(topology, cell), make_layer(topology, cell, seed=7)
    stored = save({name: one.contiguous() for name, one in layer.state_dict().items()})
    other.load_state_dict(load(stored))
    plans = topology.plan(awkward(topology))
    x = features(plans).detach()
    with torch.no_grad():
        if not layer(x, plans).equal(other(x, plans)):
            raise Failed("the output differs after saving and loading: what is no weight is lost")
    return f"{len(stored):,} bytes of safetensors"


def floor_ratio(topology: Mapping[str, Any], cell: Mapping[str, Any]) -> str:
    """A training step's time over that of its matrix products alone."""
    from structnet.bench.workload import Setting, Work, measure_case

    with refusals():
        case = Work(topology, cell).build(0, "cpu")
    found = measure_case(case, Setting(repeats=10), kinds=(), memory=False)
    ours = found["contenders"]["structnet"]
    return f"{ours['over_floor']:.1f} x the floor, {1000 * ours['step_s']:.1f} ms a step"


def every_executor() -> list[str]:
    """The names of all executors but the reference."""
    return [name for name in registry.executors.names() if name != "reference"]
