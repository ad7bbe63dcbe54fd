"""The suite `scale`: time by the size of a graph and by the number of graphs in a batch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from structnet.bench.contender import Case
from structnet.bench.rivals import ours
from structnet.bench.rows import Mark, Row, too_large
from structnet.bench.stopwatch import measure
from structnet.bench.workload import Figures, Setting, Work
from structnet.data.synthetic import dag, layered
from structnet.topology.base import Edges

# With save=recompute only states are stored, so that a million nodes fit.
GRAPH = Work(
    {"name": "graph"},
    {"name": "lstm"},
    input_size=64,
    hidden_size=64,
    save="recompute",
)
PLANNING, FORWARD, STEP = "planning", "forward", "forward and backward"
PARTS = (PLANNING, FORWARD, STEP)
# Bytes per node in a step, rounded up from dag-1m of suite=cpu.
BYTES_OF_NODE = 6_000
WIDTH = 100
Batch = Sequence[Edges]


@dataclass(frozen=True)
class Large:
    """Seconds for one random graph with three edges per node on average.

    Arguments:
        nodes: the number of nodes.
        planning_s: the limit of planning.
    """

    nodes: int = 1_000_000
    planning_s: float = 2.0

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        nodes = max(2, round(self.nodes * setting.scale))
        limits = {PLANNING: self.planning_s, STEP: None}
        if note := too_large(nodes * BYTES_OF_NODE):
            return [Mark(row, f"{part}, s", None, limits[part], note) for part in limits], {}
        figures = _measure({"": [dag(nodes, np.random.default_rng(setting.seed))]}, setting, limits)
        (shape,) = figures["batches"].values()
        note = f"{nodes:,} nodes, {shape['edges']:,} edges, {shape['levels']:,} levels"
        marks = [
            Mark(row, f"{part}, s", figures["times"][part][""]["median_s"], limit, note)
            for part, limit in limits.items()
        ]
        return marks, figures


@dataclass(frozen=True)
class PerNode:
    """Time per node of the largest batch, divided by that of the smallest.

    Arguments:
        sizes: of the batches.
        batch: makes a batch of a size.
        limit: of the ratio.
        label: says what the sizes count.
    """

    sizes: Sequence[int]
    batch: Callable[[int, np.random.Generator], Batch]
    limit: float
    label: str

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        sizes = [max(2, round(size * setting.scale)) for size in self.sizes]
        random = np.random.default_rng(setting.seed)
        batches = {f"{size:,}": self.batch(size, random) for size in sizes}
        largest = max(sum(one.num_nodes for one in batch) for batch in batches.values())
        name = f"per node, {sizes[-1]:,} / {sizes[0]:,}"
        if note := too_large(largest * BYTES_OF_NODE):
            return [Mark(row, f"{part} {name}", None, self.limit, note) for part in PARTS], {}
        figures = _measure(batches, setting, PARTS)
        marks = []
        for part in PARTS:
            each = [one["us_per_node"] for one in figures["times"][part].values()]
            note = (
                f"{' '.join(f'{one:.2f}' for one in each)} us for {' '.join(batches)} {self.label}"
            )
            marks.append(Mark(row, f"{part} {name}", each[-1] / each[0], self.limit, note))
        return marks, {"label": self.label, **figures}


def _measure(batches: Mapping[str, Batch], setting: Setting, parts: Iterable[str]) -> Figures:
    """The sizes of the batches by name, and the times of planning, forward and a step."""
    runs: dict[str, Callable[[], Any]] = {}
    shapes: dict[str, dict[str, int]] = {}
    for name, batch in batches.items():
        case = GRAPH.build(setting.seed, setting.device, batch)
        runs |= {f"{part} {name}": run for part, run in _runs(case).items() if part in parts}
        shapes[name] = {
            "nodes": case.plans[0].num_nodes,
            "edges": sum(np.shape(one.index)[1] for one in batch),
            "levels": len(case.plans[0].level_sizes),
        }
    times = measure(runs, setting.repeats, setting.device)
    figures: Figures = {part: {} for part in parts}
    for part, (name, shape) in product(figures, shapes.items()):
        time = times[f"{part} {name}"]
        each = {"us_per_node": 1e6 * time.median_s / shape["nodes"]}
        figures[part][name] = {**time._asdict(), **each}
    return {"batches": shapes, "times": figures}


def _runs(case: Case) -> dict[str, Callable[[], Any]]:
    contender = ours(case)
    return {
        PLANNING: lambda: case.topology._plan(case.structures),
        FORWARD: torch.no_grad()(contender.forward),
        STEP: contender.step,
    }


def _small(count: int, random: np.random.Generator) -> Batch:
    return [dag(20, random) for _ in range(count)]


def _layered(size: int, random: np.random.Generator) -> Batch:
    return [layered(size, WIDTH, random)]


SCALE: dict[str, Row] = {
    "dag-1m": Large(),
    "small-dags": PerNode((100, 10_000), _small, 1.0, "graphs of 20 nodes"),
    "equal-width": PerNode(
        (1_000, 10_000, 100_000, 1_000_000), _layered, 1.1, f"nodes in levels of {WIDTH}"
    ),
}
