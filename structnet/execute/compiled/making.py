"""One thread at a time traces and compiles."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Tracing is not for several threads.
_lock = threading.RLock()


@contextmanager
def making() -> Iterator[None]:
    """One thread at a time, and no inference mode, whose tensors can't be used in training."""
    with _lock, torch.inference_mode(False):
        yield
