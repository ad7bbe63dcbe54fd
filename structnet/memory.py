"""What a process does with memory that it has freed."""

import ctypes
import sys

# glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
LARGEST = 2**31 - 1


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
