"""Time and memory of contenders, which take turns so that noise affects all alike."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch

# A slow contender is run at least this often, and for about this many seconds in all.
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
    """The times of contenders, which take turns, after two warm-up runs each.

    Arguments:
        contenders: name -> a function to time.
        repeats: the number of runs of each; fewer for slow ones, spread evenly.
        device: to wait for after each run.
        budget_s: seconds for a contender, from which "slow" follows.
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
    """The peak of the bytes that torch allocates during a run.

    What was allocated before, as weights, inputs and plans, does not count. On a CPU the peak is
    from the profiler's record of torch's allocator, on a GPU from the caching allocator.
    """
    if device != "cpu":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        _wait(device)
        return torch.cuda.max_memory_allocated(device) - before
    # Garbage of earlier runs must not be freed while this run is recorded.
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
