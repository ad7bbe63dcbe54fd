"""Rows of suite `cpu`: a training step alone, and beside busy processes."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from structnet.bench.rivals import ours
from structnet.bench.rows import Mark
from structnet.bench.stopwatch import Time, measure
from structnet.bench.workload import OURS, Figures, Setting, Work


@dataclass(frozen=True)
class Neighbours:
    """The time of a step beside busy processes, divided by its time alone.

    Arguments:
        work: the composition.
        limits: the number of busy processes -> the limit of the ratio.
    """

    work: Work
    limits: Mapping[int, float]

    def measure(self, row: str, setting: Setting) -> tuple[list[Mark], Figures]:
        step = ours(self.work.scaled(setting.scale).build(setting.seed, setting.device)).step
        times: dict[int, Time] = {}
        for count in (0, *self.limits):
            with _busy(count):
                times[count] = measure({OURS: step}, setting.repeats, setting.device)[OURS]
        alone = times[0].median_s
        marks = []
        for count, limit in self.limits.items():
            beside = times[count].median_s
            note = f"{1e3 * beside:.0f} / {1e3 * alone:.0f} ms"
            figure = f"beside {count} busy processes / alone"
            marks.append(Mark(row, figure, beside / alone, limit, note))
        return marks, {"times": {str(count): one._asdict() for count, one in times.items()}}


@contextmanager
def _busy(count: int) -> Iterator[None]:
    """A context with processes that compute without end."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        # Until they have started up.
        time.sleep(0.5 if count else 0)
        yield
    finally:
        for one in started:
            one.kill()
            one.wait()
