"""How the kernel of a level is launched: its blocks, and how float32 is multiplied."""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import triton
import triton.language as tl

# (start, count, slots, offset, row): `count` nodes from rank `start` on, whose states are in rows
# from `row` on; each reads `slots` places, the first from place `offset` on.
Step = tuple[int, int, int, int, int]
# Columns that are multiplied at a time.
DEPTH = 32
# A kernel is compiled once, not for every size of a level.
FIXED = ["start", "count", "slots", "offset", "row"]


def launch(
    kernel: Any,
    step: Step,
    size: int,
    given: Sequence[Any],
    options: Mapping[str, Any],
) -> None:
    """Run a kernel over a level's tiles."""
    count = step[1]
    if not count:
        return
    side, like = _side(count), given[0]
    grid = triton.cdiv(count, side), triton.cdiv(size, side)
    kernel[grid](
        *step,
        size,
        *given,
        **options,
        TOTAL=tl.float64 if like.dtype == torch.float64 else tl.float32,
        PRECISION=precision(),
        SIDE=side,
        DEPTH=DEPTH,
    )


def _side(count: int) -> int:
    """The number of nodes, and of units, of a tile.

    Small levels have smaller tiles, so that more of the GPU is busy; with larger tiles than 32 the
    registers of an LSTM spill, compiled for compute capability 9.0.
    """
    return 16 if count <= 64 else 32


def precision() -> str:
    """How float32 is multiplied on a GPU, as set in torch: "ieee" or "tf32"."""
    matmul = torch.backends.cuda.matmul
    # Older versions have the one, newer ones may refuse it when the other was set.
    told = matmul.fp32_precision if hasattr(matmul, "fp32_precision") else matmul.allow_tf32
    return "tf32" if told in ("tf32", True) else "ieee"
