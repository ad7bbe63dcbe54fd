"""Long short-term memory: c = s(i) tanh(u) + sum_k s(f_k) c_k, h = s(o) tanh(c)."""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

# Within kernels literals are constexpr.
# pyright: reportArgumentType=false
import triton
import triton.language as tl

from structnet.plugins.triton.launch import FIXED
from structnet.plugins.triton.tile import (
    before,
    feeds,
    read,
    recur,
    recur_back,
    recur_three,
    tanh,
    write,
)


@triton.jit(do_not_specialize=FIXED)
def lstm_forward(
    start, count, slots, offset, row, size,
    z, rows, h, c, weight, edge_weight, width, gates, forgets, pooled,
    ORDERED: tl.constexpr, KEEP: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """`gates` are, one beside the other, i, o and u, `forgets` f at every place.

    `pooled` is sum_k h_k, where the weight is of that.
    """
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    rank = start + node
    place = offset + node.to(tl.int64) * slots
    i = read(z, 4 * size, rank, is_node, unit, is_unit).to(TOTAL)
    o = read(z, 4 * size, rank, is_node, size + unit, is_unit).to(TOTAL)
    u = read(z, 4 * size, rank, is_node, 2 * size + unit, is_unit).to(TOTAL)
    f_x = read(z, 4 * size, rank, is_node, 3 * size + unit, is_unit).to(TOTAL)
    i, o, u = recur_three(
        i, o, u, h, size, rows, place, slots, is_node, weight, width, unit, is_unit,
        ORDERED, PRECISION, DEPTH,
    )  # fmt: skip
    i, o, u = tl.sigmoid(i), tl.sigmoid(o), tanh(u)
    memory = i * u
    for slot in range(slots):
        f = recur(
            f_x, h, size, rows, place if ORDERED else place + slot, slots if ORDERED else 1,
            is_node, edge_weight, width if ORDERED else size,
            slot * size + unit if ORDERED else unit, is_unit, ORDERED, PRECISION, DEPTH,
        )  # fmt: skip
        f = tl.sigmoid(f)
        at = tl.load(rows + place + slot, mask=is_node, other=0)
        memory += f * read(c, size, at, is_node, unit, is_unit).to(TOTAL)
        if KEEP:
            write(forgets, size, place + slot, is_node, unit, is_unit, f)
    write(c, size, row + node, is_node, unit, is_unit, memory)
    write(h, size, row + node, is_node, unit, is_unit, o * tanh(memory))
    if KEEP:
        write(gates, 3 * size, rank, is_node, unit, is_unit, i)
        write(gates, 3 * size, rank, is_node, size + unit, is_unit, o)
        write(gates, 3 * size, rank, is_node, 2 * size + unit, is_unit, u)
        if not ORDERED:
            summed = before(h, size, rows, place, slots, is_node, unit, is_unit, TOTAL)
            write(pooled, size, rank, is_node, unit, is_unit, summed)


@triton.jit(do_not_specialize=FIXED)
def lstm_backward(
    start, count, slots, offset, row, size,
    c, rows, weight, edge_weight, width, gates, forgets, first, places, readers,
    grad_h, grad_c, carried, grad_z, grad_f,
    GATES: tl.constexpr, KEYS: tl.constexpr, ORDERED: tl.constexpr,
    TOTAL: tl.constexpr, PRECISION: tl.constexpr, SIDE: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """`carried` is `grad_c` of the nodes; `grad_f`, at every place, that of f before its s."""
    node = tl.program_id(0) * SIDE + tl.arange(0, SIDE)
    unit = tl.program_id(1) * SIDE + tl.arange(0, SIDE)
    is_node, is_unit = node < count, unit < size
    rank = start + node
    of_h = read(grad_h, size, row + node, is_node, unit, is_unit).to(TOTAL)
    of_c = read(grad_c, size, row + node, is_node, unit, is_unit).to(TOTAL)
    for slot in range(KEYS):
        low, high, most = feeds(first, (row + node) * KEYS + slot, 1, is_node)
        of_slot = slot * size + unit
        of_h = recur_back(
            of_h, grad_z, 4 * size, 3 * size, 0, places, readers, low, high, most,
            weight, width, 0, of_slot, is_unit, False, PRECISION, DEPTH,
        )  # fmt: skip
        # Who reads the node in this slot has a forget gate for every slot.
        for other in range(KEYS):
            of_h = recur_back(
                of_h, grad_f, size, size, other - slot, places, readers, low, high, most,
                edge_weight, width if ORDERED else size, other * size, of_slot, is_unit,
                True, PRECISION, DEPTH,
            )  # fmt: skip
    low, high, most = feeds(first, (row + node) * KEYS, KEYS, is_node)
    for number in range(most):
        is_one = low + number < high
        place = tl.load(places + low + number, mask=is_one, other=0)
        reader = tl.load(readers + place, mask=is_one, other=0)
        f = read(forgets, size, place, is_one, unit, is_unit).to(TOTAL)
        of_c += f * read(carried, size, reader, is_one, unit, is_unit).to(TOTAL)
    if GATES:
        i = read(gates, 3 * size, rank, is_node, unit, is_unit).to(TOTAL)
        o = read(gates, 3 * size, rank, is_node, size + unit, is_unit).to(TOTAL)
        u = read(gates, 3 * size, rank, is_node, 2 * size + unit, is_unit).to(TOTAL)
        squashed = tanh(read(c, size, row + node, is_node, unit, is_unit).to(TOTAL))
        of_c += of_h * o * (1 - squashed * squashed)
        write(grad_z, 4 * size, rank, is_node, unit, is_unit, of_c * u * i * (1 - i))
        of_o = of_h * squashed * o * (1 - o)
        write(grad_z, 4 * size, rank, is_node, size + unit, is_unit, of_o)
        write(grad_z, 4 * size, rank, is_node, 2 * size + unit, is_unit, of_c * i * (1 - u * u))
        of_all = tl.zeros_like(of_c)
        for slot in range(slots):
            place = offset + node.to(tl.int64) * slots + slot
            f = read(forgets, size, place, is_node, unit, is_unit).to(TOTAL)
            at = tl.load(rows + place, mask=is_node, other=0)
            memory = read(c, size, at, is_node, unit, is_unit).to(TOTAL)
            of_f = of_c * memory * f * (1 - f)
            write(grad_f, size, place, is_node, unit, is_unit, of_f)
            of_all += of_f
        write(grad_z, 4 * size, rank, is_node, 3 * size + unit, is_unit, of_all)
    else:
        write(grad_h, size, row + node, is_node, unit, is_unit, of_h)
    write(grad_c, size, row + node, is_node, unit, is_unit, of_c)
