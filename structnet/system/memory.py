"""How much memory there is, and what a process does with what it has freed."""

import ctypes
import os
import re
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

# glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1
# Messages of torch, C++ and the drivers when memory runs out.
SHORTAGE = re.compile(
    r"can't allocate memory|not enough memory|out of memory|Cannot allocate memory|Unable to "
    r"allocate|bad_alloc|[Ss]torage size calculation overflowed|numel: integer multiplication "
    r"overflow|Caught MemoryError in DataLoader worker"
)


def keep_memory() -> bool:
    """Keep freed memory for the next step instead of giving it back; whether the C library can.

    glibc gives blocks of more than 32 MiB back to the system as they are freed, and gets them anew
    in the next step, page by page and zeroed: on a CPU that takes as long as the arithmetic on
    them. The process holds what it has once needed until it ends. Other C libraries are left as
    they are.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


@cache
def total_memory() -> int:
    """The bytes of this machine's memory, at most what the process may have of it."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        # Where the system doesn't say, nothing is refused.
        return sys.maxsize
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):
            found = min(found, int(Path(file).read_text()))
    return found


def shortage(error: BaseException) -> str | None:
    """The message for an error caused by lack of memory; None for any other error.

    Torch's allocators raise RuntimeError, and Python's MemoryError has no text.
    """
    text = str(error)
    if not isinstance(error, MemoryError) and not SHORTAGE.search(text):
        return None
    if text.startswith("out of memory"):
        return text
    asked = re.search(r"allocate (\d+) bytes", text)
    sizes = re.search(r"allocate ([\d.]+ [KMGTPE]?i?B)\b", text)
    wanted = as_bytes(int(asked[1])) if asked else sizes[1] if sizes else ""
    what = f", as {wanted} were asked for at once" if wanted else ""
    return (
        f"out of memory{what}: take fewer or smaller samples, less at a time "
        "(trainer.batch_nodes), or a smaller net"
    )


def as_bytes(count: int) -> str:
    """`512 bytes`, `3.4 MB`, `2.0 TB`."""
    value, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB", "EB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:,.1f} {units[0]}"
