"""A layer on a batch of structures: how it is built, and its figures beside those of rivals."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import torch

from structnet import registry
from structnet.bench.contender import Case, Contender, Precision
from structnet.bench.rivals import KINDS, Kind, ours, rivals
from structnet.bench.stopwatch import Time, measure, peak_bytes
from structnet.data.batch import Sample, collate
from structnet.data.synthetic import SizeRange, dependency_trees, draw
from structnet.nn.compiling import compile_now
from structnet.nn.floor import Floor
from structnet.nn.recurrence import Recurrence
from structnet.run.components import component, create
from structnet.topology.base import Topology

Figures = dict[str, Any]
OURS, FLOOR = "structnet", "floor"
TWENTY = SizeRange(20, 20)


@dataclass(frozen=True)
class Setting:
    """How to measure.

    Arguments:
        device: cpu, or cuda with or without a number.
        repeats: of every measurement.
        seed: of weights and structures.
        scale: multiplies the sizes of a suite's rows.
    """

    device: str = "cpu"
    repeats: int = 30
    seed: int = 0
    scale: float = 1.0


@dataclass(frozen=True)
class Work:
    """A composition and a batch for it.

    Arguments:
        topology: its name and options.
        cell: its name and options, or a function that creates a cell.
        sizes: of the random structures.
        batch: the number of structures.
        input_size: of the layer.
        hidden_size: of the layer.
        executor: of the layer; with auto, the layer is as after its first 50,000 levels.
        save: of the layer.
        zoneout: of the layer.
        dependency_nodes: take dependency trees with this many words instead of random ones.
        kernels: call the layer as sn.RNN, which may use torch's own layer.
        precision: what products are computed in: float32, or bfloat16 by autocast.
    """

    topology: Mapping[str, Any]
    cell: Mapping[str, Any] | Callable
    sizes: SizeRange = TWENTY
    batch: int = 64
    input_size: int = 128
    hidden_size: int = 128
    executor: str = "auto"
    save: Literal["auto", "gates", "recompute", "windows"] = "auto"
    zoneout: float = 0.0
    dependency_nodes: int | None = None
    kernels: bool = False
    precision: Precision = "float32"

    def scaled(self, scale: float) -> "Work":
        """The same with all sizes multiplied, but at least 2."""
        if scale == 1:
            return self

        def part(size: int, least: int = 2) -> int:
            return max(least, round(size * scale))

        return replace(
            self,
            sizes=SizeRange(part(self.sizes.low, 1), part(self.sizes.high)),
            batch=min(self.batch, part(self.batch)),
            input_size=part(self.input_size),
            hidden_size=part(self.hidden_size),
            dependency_nodes=self.dependency_nodes and part(self.dependency_nodes, 50),
        )

    def build(self, seed: int, device: str, structures: Sequence[Any] | None = None) -> Case:
        """The layer and its batch, of random structures unless some are given.

        ValueError for an unknown precision.
        """
        if self.precision not in get_args(Precision):
            known = " or ".join(get_args(Precision))
            raise ValueError(f"precision is {known}, got {self.precision!r}")
        torch.manual_seed(seed)
        topology = create(registry.topologies, self.topology)
        named = None
        cell = self.cell
        if isinstance(cell, Mapping):
            options = {name: value for name, value in cell.items() if name != "name"}
            named, cell = (cell["name"], options), component(registry.cells, cell)
        layer = Recurrence(
            topology,
            cell,
            self.input_size,
            self.hidden_size,
            executor=self.executor,
            save=self.save,
            zoneout=self.zoneout,
        ).to(device)
        compile_now(layer)
        if structures is None:
            structures = self._draw(topology, seed)
        plans = tuple(plan.to(device) for plan in topology.plan(structures))
        nodes = plans[0].num_nodes
        x = torch.randn(nodes, self.input_size, device=device, requires_grad=True)
        grad = torch.randn(nodes, layer.output_size, device=device)
        return Case(
            topology, structures, plans, layer, x, grad, named, self.kernels, self.precision
        )

    def _draw(self, topology: Topology, seed: int) -> Sequence[Any]:
        if self.dependency_nodes is not None:
            return dependency_trees(self.dependency_nodes)
        return draw(topology, self.sizes, self.batch, seed)


def measure_case(
    case: Case, setting: Setting, kinds: Collection[Kind] = KINDS, memory: bool = True
) -> Figures:
    """Time and peak memory of a step, its floor and its rivals, and the time of planning."""
    contenders = {one.name: one for one in (ours(case), *rivals(case, kinds))}
    floor = Floor(list(case.layer.cells), case.plans, case.layer.input_sizes)
    runs: dict[str, Callable[[], Any]] = {
        FLOOR: floor.prepare(case.x.detach().to(case.dtype)),
        **{name: case.in_precision(one.step) for name, one in contenders.items()},
    }
    times = measure(runs, setting.repeats, setting.device)
    found: Figures = {name: _figures(times[name], one) for name, one in contenders.items()}
    nodes = case.plans[0].num_nodes
    found = {FLOOR: {**times[FLOOR]._asdict(), "nodes": nodes, "note": "products alone"}, **found}
    for name, figures in found.items():
        # The time of a contender that computes only a part is scaled up.
        scale = nodes / figures["nodes"]
        figures["step_s"] = figures["median_s"] * scale
        figures["over_floor"] = figures["step_s"] / found[FLOOR]["step_s"]
        figures["nodes_per_s"] = nodes / figures["step_s"]
        if memory and scale == 1 and name != FLOOR:
            figures["peak_bytes"] = peak_bytes(runs[name], setting.device)
    return {
        "nodes": nodes,
        "samples": len(case.structures),
        "levels": [len(plan.levels) - 1 for plan in case.plans],
        "contenders": found,
        **_planning(case, found[OURS]["step_s"]),
    }


def _figures(time: Time, contender: Contender) -> Figures:
    return {**time._asdict(), "nodes": contender.nodes, "note": contender.note}


def _planning(case: Case, step_s: float) -> Figures:
    """Times of planning without the cache, and of collating, which plans with the cache."""
    samples = samples_of(case)
    times = measure(
        {
            "planning": lambda: case.topology._plan(case.structures),
            "collating": lambda: collate(samples, case.topology),
        },
        repeats=10,
        budget_s=1.0,
    )
    found: Figures = {}
    for name, time in times.items():
        found[name] = {**time._asdict(), "share_of_step": time.median_s / step_s}
    return found


def samples_of(case: Case) -> list[Sample]:
    """The case's batch as samples."""
    ends = case.plans[0].ptr.tolist()
    rows = case.x.detach().cpu().numpy()
    return [
        Sample(structure, rows[a:b], np.float32(0))
        for structure, a, b in zip(case.structures, ends, ends[1:], strict=False)
    ]
