"""Elman networks: h = g(z + sum_k U_k h_k)."""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

# Within kernels literals are constexpr.
# pyright: reportArgumentType=false
import triton
import triton.language as tl

from structnet.plugins.triton.launch import FIXED
from structnet.plugins.triton.tile import before, feeds, read, recur, recur_back, tanh, write


@triton.jit(do_not_specialize=FIXED)
def elman_forward(
    start, count, slots, offset, row, size,
    z, rows, h, weight, pooled,
    ORDERED: tl.constexpr, KEEP: tl.constexpr, TANH: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    place = offset + node.to(tl.int64) * slots
    new = read(z, size, start + node, is_node, unit, is_unit).to(TOTAL)
    new = recur(
        new, h, size, rows, place, slots, is_node, weight, size, unit, is_unit,
        ORDERED, PRECISION, DEPTH,
    )  # fmt: skip
    new = tanh(new) if TANH else tl.maximum(new, 0.0, tl.PropagateNan.ALL)
    write(h, size, row + node, is_node, unit, is_unit, new)
    if KEEP:
        read_here = before(h, size, rows, place, slots, is_node, unit, is_unit, TOTAL)
        write(pooled, size, start + node, is_node, unit, is_unit, read_here)


@triton.jit(do_not_specialize=FIXED)
def elman_backward(
    start, count, slots, offset, row, size,
    h, weight, first, places, readers, grad_h, grad_z,
    GATES: tl.constexpr, TANH: tl.constexpr, KEYS: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    grad = read(grad_h, size, row + node, is_node, unit, is_unit).to(TOTAL)
    for slot in range(KEYS):
        low, high, most = feeds(first, (row + node) * KEYS + slot, 1, is_node)
        grad = recur_back(
            grad, grad_z, size, size, 0, places, readers, low, high, most,
            weight, size, 0, slot * size + unit, is_unit, False, PRECISION, DEPTH,
        )  # fmt: skip
    if GATES:
        new = read(h, size, row + node, is_node, unit, is_unit).to(TOTAL)
        grad = grad * (1 - new * new) if TANH else tl.where(new > 0, grad, 0.0)
        write(grad_z, size, start + node, is_node, unit, is_unit, grad)
    else:
        write(grad_h, size, row + node, is_node, unit, is_unit, grad)
