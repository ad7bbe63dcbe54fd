"""The number of cores that this process may use."""

import math
import os
from pathlib import Path

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
