"""The rows of suites: what is measured of a composition, and the limits of its figures."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch

from structnet.bench.contender import Case
from structnet.bench.rivals import Kind, ours, rivals
from structnet.bench.stopwatch import measure, peak_bytes
from structnet.bench.workload import OURS, Figures, Setting, Work, measure_case, samples_of
from structnet.data.loader import loader
from structnet.data.synthetic import SizeRange


class Mark(NamedTuple):
    """A figure of a row beside its limit.

    Arguments:
        row: the name of the row.
        figure: what is measured.
        value: None if it could not be measured.
        limit: the largest value allowed; None for no limit.
        note: printed beside it.
    """

    row: str
    figure: str
    value: float | None
    limit: float | None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit


class Row(Protocol):
    """A row of a suite."""

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        """The marks of the row, whose name is `row`, and the figures that they come from."""
        ...


@dataclass(frozen=True)
class Ratios:
    """Our time divided by that of the floor and of rivals.

    Arguments:
        work: the composition.
        over: the floor or a rival -> the limit of the ratio, or None.
        kinds: of the rivals to measure.
    """

    work: Work
    over: Mapping[str, float | None]
    kinds: Sequence[Kind] = ()

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        work = self.work.scaled(setting.scale)
        try:
            case = work.build(setting.seed, setting.device)
        except FileNotFoundError as error:
            names = [Mark(row, f"time / {name}", None, self.over[name]) for name in self.over]
            return [mark._replace(note=f"not measured: {error}") for mark in names], {}
        figures = measure_case(case, setting, self.kinds, memory=False)
        found = figures["contenders"]
        step = found[OURS]["step_s"]
        marks = []
        for name, limit in self.over.items():
            other = found[name]
            note = f"{1e3 * step:.1f} / {1e3 * other['step_s']:.1f} ms"
            if other["note"] and name != "floor":
                note += f", {name} {other['note']}"
            marks.append(Mark(row, f"time / {name}", step / other["step_s"], limit, note))
        return marks, figures


@dataclass(frozen=True)
class Beside:
    """Our time divided by that of a rival of another composition."""

    work: Work
    other: Work
    rival: str
    limit: float

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        case, other = (
            work.scaled(setting.scale).build(setting.seed, setting.device)
            for work in (self.work, self.other)
        )
        found = {one.name: one for one in rivals(other, ("torch",))}[self.rival]
        runs = {OURS: ours(case).step, self.rival: found.step}
        times = measure(runs, setting.repeats, setting.device)
        step, beside = times[OURS].median_s, times[self.rival].median_s
        note = f"{1e3 * step:.1f} / {1e3 * beside:.1f} ms"
        mark = Mark(row, f"time / {self.rival}", step / beside, self.limit, note)
        return [mark], {"times": {name: one._asdict() for name, one in times.items()}}


@dataclass(frozen=True)
class PerSample:
    """Microseconds per sample."""

    work: Work
    limit: float | None

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        work = self.work.scaled(setting.scale)
        step = ours(work.build(setting.seed, setting.device)).step
        times = measure({OURS: step}, setting.repeats, setting.device)
        each = times[OURS].median_s / work.batch
        mark = Mark(row, "us per sample", 1e6 * each, self.limit, f"{1 / each:,.0f} a second")
        return [mark], {"times": {name: one._asdict() for name, one in times.items()}}


@dataclass(frozen=True)
class Growth:
    """Time per step of the longest sequence, divided by that of the shortest."""

    work: Work
    lengths: tuple[int, ...] = (1_000, 10_000, 100_000)
    limit: float = 1.1

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        lengths = [max(2, round(length * setting.scale)) for length in self.lengths]
        runs = {}
        for length in lengths:
            work = self.work.scaled(setting.scale)
            work = replace(work, sizes=SizeRange(length, length), batch=1)
            runs[str(length)] = ours(work.build(setting.seed, setting.device)).step
        times = measure(runs, setting.repeats, setting.device)
        each = [times[str(length)].median_s / length for length in lengths]
        note = ", ".join(
            f"T {length}: {1e6 * one:.2f} us per step"
            for length, one in zip(lengths, each, strict=True)
        )
        mark = Mark(row, f"time per step, T {lengths[-1]} / {lengths[0]}", each[-1] / each[0],
                    self.limit, note)  # fmt: skip
        return [mark], {"times": {name: one._asdict() for name, one in times.items()}}


@dataclass(frozen=True)
class Memory:
    """Peak memory of a training step, divided by the bytes of all states and gates."""

    work: Work
    limit: float = 1.5

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        size = max(2, round(self.work.sizes.high * setting.scale))
        # `scale` makes the graph smaller, not its states.
        work = replace(self.work, sizes=SizeRange(size, size))
        figure = "peak / (states + gates)"
        # For an LSTM of three predecessors per node.
        least = 4 * size * work.hidden_size * 8
        if note := too_large(3 * least):
            return [Mark(row, figure, None, self.limit, note)], {}
        case = work.build(setting.seed, setting.device)
        least = states_and_gates(case)
        step = ours(case).step
        # The first call compiles.
        step()
        start = time.perf_counter()
        peak = peak_bytes(step, setting.device)
        took = time.perf_counter() - start
        note = f"{peak / 1e9:.2f} GB over {least / 1e9:.2f} GB, {took:.1f} s under the profiler"
        figures = {"peak_bytes": peak, "states_and_gates_bytes": least, "profiled_step_s": took}
        return [Mark(row, figure, peak / least, self.limit, note)], figures


def states_and_gates(case: Case) -> int:
    """The bytes of all states and gates; edge gates count once per predecessor."""
    total = 0
    for cell, plan in zip(case.layer.cells, case.plans, strict=True):
        cell: Any
        gates = len(cell.node_gates) * plan.num_nodes + len(cell.edge_gates) * len(plan.rows)
        total += plan.num_nodes * sum(cell.state_sizes) + gates * cell.hidden_size
    return total * case.x.element_size()


@dataclass(frozen=True)
class Planning:
    """The time of planning and collating as a share of a step.

    Arguments:
        work: the composition.
        inline: the limit where they run in the main process.
        worker: the limit of the time that a step waits, where they run in a worker.
    """

    work: Work
    inline: float = 0.15
    worker: float = 0.05

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        case = self.work.scaled(setting.scale).build(setting.seed, setting.device)
        figures = measure_case(case, setting, (), memory=False)
        step, planning = figures["contenders"][OURS]["step_s"], figures["collating"]
        note = f"{1e3 * planning['median_s']:.1f} ms of a step of {1e3 * step:.1f} ms"
        waited, took = _waits(case, max(4, setting.repeats))
        share = waited / took
        waiting = f"{1e3 * waited:.1f} ms waited for a worker, a step beside it {1e3 * took:.1f} ms"
        figures["worker"] = {"waited_s": waited, "step_s": took, "share_of_step": share}
        return [
            Mark(row, "inline / step", planning["share_of_step"], self.inline, note),
            Mark(row, "waiting for a worker / step", share, self.worker, waiting),
        ], figures


def _waits(case: Case, count: int) -> tuple[float, float]:
    """Median seconds that a step waits for a batch from one worker, and that the step takes."""
    samples = samples_of(case)
    waits, steps = [], []
    batches = loader(samples * (count + 4), case.topology, batch_size=len(samples), num_workers=1)
    start = time.perf_counter()
    for batch in batches:
        ready = time.perf_counter()
        batch = batch.to(case.device)
        h = case.layer(batch.x.requires_grad_(), batch.plans)
        grad = torch.ones_like(h)
        torch.autograd.grad(h, [batch.x, *case.parameters], grad, allow_unused=True)
        waits.append(ready - start)
        start = time.perf_counter()
        steps.append(start - ready)
    # The first batches wait for the worker to start.
    waits, steps = sorted(waits[4:]), sorted(steps[4:])
    return waits[len(waits) // 2], steps[len(steps) // 2]


def too_large(needed: int) -> str:
    """Why a row that needs this many bytes is not measured; empty if there is enough memory."""
    free = _free_bytes()
    if free is None or needed <= free:
        return ""
    return f"not measured: needs about {needed / 1e9:.0f} GB, {free / 1e9:.0f} are free"


def _free_bytes() -> int | None:
    """The bytes of free memory; None if the system does not say."""
    if not os.path.exists("/proc/meminfo"):
        return None
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024
