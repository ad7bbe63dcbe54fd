"""The cores that this process may use, and the threads that torch computes with."""

import math
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

# A container's share of computing time and the period it is of, both in microseconds.
QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """The cores that the process is bound to, but no more than its container has time on."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        share, period = map(int, QUOTA.read_text().split())
    # Without a container there is no such file, and without a limit the share is "max".
    except (OSError, ValueError):
        return bound or 1
    return max(1, min(bound or 1, math.ceil(share / period)))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """A context in which torch computes with a number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """A context in which torch computes with one thread, if wanted, in the main thread.

    A thread that begins to compute takes over the number that was set last, by whichever thread, so
    that others than the main thread do not set it.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not wanted or torch.get_num_threads() == 1 or not is_main:
        yield
        return
    with threads(1):
        yield
