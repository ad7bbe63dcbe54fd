"""How the kernel of a level is launched: its blocks, and how float32 is multiplied."""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import triton
import triton.language as tl

# (start, count, slots, offset, row): nodes of so many ranks from `start` on, whose states are from
# `row` on, each of which reads so many places, from `offset` on.
Step = tuple[int, int, int, int, int]
# Columns of what is multiplied at a time.
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
    """Nodes, and as many units, of a tile.

    Of a small level there are more tiles, or most of a GPU would have nothing to do; in larger ones
    compiled for compute capability 9.0 registers of an LSTM spill.
    """
    return 16 if count <= 64 else 32


def precision() -> str:
    """How float32 is multiplied on a GPU: "ieee" or "tf32", as torch was told to."""
    matmul = torch.backends.cuda.matmul
    # Older versions have the one, newer ones may refuse it when the other was set.
    told = matmul.fp32_precision if hasattr(matmul, "fp32_precision") else matmul.allow_tf32
    return "tf32" if told in ("tf32", True) else "ieee"
