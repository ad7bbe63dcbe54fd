"""Times and memory of contenders, measured in turns so that a machine's noise hits all alike."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

# A contender that takes long is run at least so often, and for about so long in all.
LEAST_REPEATS = 3
BUDGET_S = 2.0


class Time(NamedTuple):
    """Median and quartiles of repeated runs, in seconds."""

    median_s: float
    low_s: float
    high_s: float
    repeats: int


def measure(
    contenders: Mapping[str, Callable[[], Any]],
    repeats: int,
    device: str = "cpu",
    budget_s: float = BUDGET_S,
) -> dict[str, Time]:
    """Times of the contenders, which take turns, after two runs each to warm up.

    Those that take long are run fewer times, spread over the others' turns.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    every = {}
    for name, run in contenders.items():
        _run(run, device)
        once = _run(run, device)
        fits = min(repeats, max(LEAST_REPEATS, int(budget_s / max(once, 1e-9))))
        every[name] = max(1, repeats // fits)
    for turn in range(repeats):
        for name, run in contenders.items():
            if turn % every[name] == 0:
                times[name].append(_run(run, device))
    return {name: _summary(some) for name, some in times.items()}


def _run(run: Callable[[], Any], device: str) -> float:
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _summary(times: list[float]) -> Time:
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive") if times[1:] else (
        times * 3
    )  # fmt: skip
    return Time(middle, low, high, len(times))


def peak_bytes(run: Callable[[], Any], device: str = "cpu") -> int:
    """The most that torch holds at one time of what it allocates during a run.

    Weights, inputs and plans that are there before are not in it. On a CPU it is counted from the
    profiler's record of torch's allocator, on a GPU it is that of the caching allocator.
    """
    if device != "cpu":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        _wait(device)
        return torch.cuda.max_memory_allocated(device) - before
    # What earlier runs left is not to be freed while this one is recorded.
    gc.collect()
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=cpu, profile_memory=True) as profiler:
        run()
    record: Any = profiler.profiler
    events = [event for event in record.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak
