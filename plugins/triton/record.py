"""Recording of what runs on a GPU, as a CUDA graph."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Function = Callable[[], Sequence[Tensor]]
# The results of a function, and what computes them again in place.
Recorded = tuple[Sequence[Tensor], Callable[[], Any]]
Record = Callable[[Function], Recorded]
# Torch records on one stream.
_lock = threading.Lock()


def record_cuda(function: Function) -> Recorded:
    """Record a CUDA graph, after a run that loads and compiles kernels."""
    with _lock:
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            function()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            found = function()
        return found, graph.replay


# By the kind of device.
RECORDERS: dict[str, Record] = {"cuda": record_cuda}
