"""Gated recurrent units: n = tanh(n_x + s(r) (n_h + b)), h = n + s(u) (sum_k h_k - n)."""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

# Within kernels literals are constexpr.
# pyright: reportArgumentType=false
import triton
import triton.language as tl

from structnet.plugins.triton.launch import FIXED
from structnet.plugins.triton.tile import (
    after,
    before,
    feeds,
    read,
    recur_back,
    recur_three,
    tanh,
    write,
)


@triton.jit(do_not_specialize=FIXED)
def gru_forward(
    start, count, slots, offset, row, size,
    z, rows, h, weight, bias, gates, pooled,
    ORDERED: tl.constexpr, KEEP: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """`gates` are, one beside the other, r, u, n and n_h + b, `pooled` sum_k h_k."""
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    rank = start + node
    place = offset + node.to(tl.int64) * slots
    r = read(z, 3 * size, rank, is_node, unit, is_unit).to(TOTAL)
    u = read(z, 3 * size, rank, is_node, size + unit, is_unit).to(TOTAL)
    n_x = read(z, 3 * size, rank, is_node, 2 * size + unit, is_unit).to(TOTAL)
    n_h = tl.load(bias + unit, mask=is_unit, other=0.0).to(TOTAL)[None, :] + tl.zeros_like(n_x)
    r, u, n_h = recur_three(
        r, u, n_h, h, size, rows, place, slots, is_node, weight, 3 * size, unit, is_unit,
        ORDERED, PRECISION, DEPTH,
    )  # fmt: skip
    r, u = tl.sigmoid(r), tl.sigmoid(u)
    n = tanh(n_x + r * n_h)
    old = before(h, size, rows, place, slots, is_node, unit, is_unit, TOTAL)
    write(h, size, row + node, is_node, unit, is_unit, n + u * (old - n))
    if KEEP:
        write(gates, 4 * size, rank, is_node, unit, is_unit, r)
        write(gates, 4 * size, rank, is_node, size + unit, is_unit, u)
        write(gates, 4 * size, rank, is_node, 2 * size + unit, is_unit, n)
        write(gates, 4 * size, rank, is_node, 3 * size + unit, is_unit, n_h)
        write(pooled, size, rank, is_node, unit, is_unit, old)


@triton.jit(do_not_specialize=FIXED)
def gru_backward(
    start, count, slots, offset, row, size,
    weight, gates, pooled, first, places, readers, grad_h, carried, grad_z, grad_n_h,
    GATES: tl.constexpr, KEYS: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """`carried` is `grad_h` of the nodes: of one that is done, what passes by the weights."""
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    rank = start + node
    grad = read(grad_h, size, row + node, is_node, unit, is_unit).to(TOTAL)
    for slot in range(KEYS):
        low, high, most = feeds(first, (row + node) * KEYS + slot, 1, is_node)
        of_slot = slot * size + unit
        grad = recur_back(
            grad, grad_z, 3 * size, 2 * size, 0, places, readers, low, high, most,
            weight, 3 * size, 0, of_slot, is_unit, False, PRECISION, DEPTH,
        )  # fmt: skip
        grad = recur_back(
            grad, grad_n_h, size, size, 0, places, readers, low, high, most,
            weight, 3 * size, 2 * size, of_slot, is_unit, False, PRECISION, DEPTH,
        )  # fmt: skip
    low, high, most = feeds(first, (row + node) * KEYS, KEYS, is_node)
    grad += after(carried, size, 0, places, readers, low, high, most, unit, is_unit, False, TOTAL)
    if GATES:
        r = read(gates, 4 * size, rank, is_node, unit, is_unit).to(TOTAL)
        u = read(gates, 4 * size, rank, is_node, size + unit, is_unit).to(TOTAL)
        n = read(gates, 4 * size, rank, is_node, 2 * size + unit, is_unit).to(TOTAL)
        n_h = read(gates, 4 * size, rank, is_node, 3 * size + unit, is_unit).to(TOTAL)
        old = read(pooled, size, rank, is_node, unit, is_unit).to(TOTAL)
        grad_n = grad * (1 - u) * (1 - n * n)
        grad_r = grad_n * n_h * r * (1 - r)
        grad_u = grad * (old - n) * u * (1 - u)
        write(grad_z, 3 * size, rank, is_node, unit, is_unit, grad_r)
        write(grad_z, 3 * size, rank, is_node, size + unit, is_unit, grad_u)
        write(grad_z, 3 * size, rank, is_node, 2 * size + unit, is_unit, grad_n)
        write(grad_n_h, size, rank, is_node, unit, is_unit, grad_n * r)
        grad *= u
    write(grad_h, size, row + node, is_node, unit, is_unit, grad)
