"""The machine's memory: its size, keeping freed memory, and messages when it runs out."""

import ctypes
import gc
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

# From glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1
# Messages of torch, C++ and drivers when memory runs out.
SHORTAGE = re.compile(
    r"can't allocate memory|not enough memory|out of memory|Cannot allocate memory|Unable to "
    r"allocate|bad_alloc|[Ss]torage size calculation overflowed|numel: integer multiplication "
    r"overflow|Caught MemoryError in DataLoader worker"
)


def keep_memory() -> bool:
    """Keep freed memory for the next step instead of returning it to the system.

    glibc returns blocks of more than 32 MiB when they are freed, and allocates them again in the
    next step, page by page and zeroed: on a CPU this takes as long as the arithmetic on them. From
    this call on, the process keeps the memory it once needed until it ends. Returns whether the C
    library supports it; others than glibc are left unchanged.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


@contextmanager
def uncollected() -> Iterator[None]:
    """A context that makes many objects to keep, which the garbage collector need not visit."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@cache
def total_memory() -> int:
    """The machine's memory in bytes, or the process's limit if that is lower."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        # Unknown: then nothing is rejected for its size.
        return sys.maxsize
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found = min(found, int(Path(file).read_text()))
    return found


def shortage(error: BaseException) -> str | None:
    """The message for an error caused by lack of memory; None for any other error.

    It may be a RuntimeError of torch's allocators, and Python's MemoryError has no text.
    """
    text = str(error)
    if not isinstance(error, MemoryError) and not SHORTAGE.search(text):
        return None
    if text.startswith("out of memory"):
        return text
    asked = re.search(r"allocate (\d+) bytes", text)
    sizes = re.search(r"allocate ([\d.]+ [KMGTPE]?i?B)\b", text)
    wanted = as_bytes(int(asked[1])) if asked else sizes[1] if sizes else ""
    what = f", allocating {wanted} at once" if wanted else ""
    return (
        f"out of memory{what}: use smaller batches (trainer.batch_nodes), fewer or smaller "
        "samples, or a smaller net"
    )


def as_bytes(count: int) -> str:
    """A size for people: `512 bytes`, `3.4 MB`, `2.0 TB`.

    >>> sn.as_bytes(3_400_000)
    '3.4 MB'
    """
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"
