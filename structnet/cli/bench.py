"""bench: time and memory, next to rivals."""

import os

from structnet.system.words import take_flag, take_values


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    devices = take_values(words, "--device")
    # Read by torch's profiler as it is loaded: no lines of its own among ours.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from structnet.bench.command import bench
    from structnet.system.memory import keep_memory

    keep_memory()
    bench(words, devices[-1] if devices else "cpu", as_json)
    return 0
