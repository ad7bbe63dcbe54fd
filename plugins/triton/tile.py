"""Tiles of a level in Triton: products of predecessors' states and successors' gradients.

A program computes a tile of nodes by units, (SIDE, SIDE), and multiplies DEPTH columns at a time
with weights. Sums are of type TOTAL, PRECISION says how float32 is multiplied. ORDERED predecessors
have rows of the weight per slot, unordered ones are summed.
"""

# Where Triton is not installed, nothing is known of it.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import triton
import triton.language as tl


@triton.jit
def tanh(x):
    """Near 0, where the difference below cancels, by its Pade approximant of degrees 7 and 6."""
    square = x * x
    top = 135135 + square * (17325 + square * (378 + square))
    bottom = 135135 + square * (62370 + square * (3150 + square * 28))
    return tl.where(square < 0.0625, x * top / bottom, 2 * tl.sigmoid(2 * x) - 1)


@triton.jit
def read(values, width, index, is_one, column, is_column):
    """Rows and columns of a matrix, zeros where there are none."""
    at = index.to(tl.int64)[:, None] * width + column[None, :]
    return tl.load(values + at, mask=is_one[:, None] & is_column[None, :], other=0.0)


@triton.jit
def write(values, width, index, is_one, column, is_column, tile):
    at = index.to(tl.int64)[:, None] * width + column[None, :]
    tile = tile.to(values.dtype.element_ty)
    tl.store(values + at, tile, mask=is_one[:, None] & is_column[None, :])


@triton.jit
def before(h, size, rows, place, slots, is_node, unit, is_unit, TOTAL: tl.constexpr):
    """The sum of the states read at `slots` consecutive places."""
    tile = tl.zeros((place.shape[0], unit.shape[0]), TOTAL)
    for slot in range(slots):
        row = tl.load(rows + place + slot, mask=is_node, other=0)
        tile += read(h, size, row, is_node, unit, is_unit).to(TOTAL)
    return tile


@triton.jit
def add_product(
    total, tile, weight, width, row, is_row, column, is_column, PRECISION: tl.constexpr
):
    """total + tile @ weight, of these rows and columns of the weight."""
    other = read(weight, width, row, is_row, column, is_column)
    return tl.dot(tile.to(other.dtype), other, total, input_precision=PRECISION,
                  out_dtype=total.dtype)  # fmt: skip


@triton.jit
def recur(
    total, h, size, rows, place, slots, is_node, weight, width, column, is_column,
    ORDERED: tl.constexpr, PRECISION: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """total + the predecessors' half of one gate, with these columns of the weight."""
    for slot in range(slots if ORDERED else tl.minimum(slots, 1)):
        for start in range(0, size, DEPTH):
            unit = start + tl.arange(0, DEPTH)
            is_unit = unit < size
            tile = before(
                h, size, rows, place + slot, 1 if ORDERED else slots, is_node, unit, is_unit,
                total.dtype,
            )  # fmt: skip
            total = add_product(
                total, tile, weight, width, slot * size + unit, is_unit, column, is_column,
                PRECISION,
            )  # fmt: skip
    return total


@triton.jit
def recur_three(
    first, second, third, h, size, rows, place, slots, is_node, weight, width, column, is_column,
    ORDERED: tl.constexpr, PRECISION: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """As `recur`, for three gates with consecutive columns; states are loaded once."""
    for slot in range(slots if ORDERED else tl.minimum(slots, 1)):
        for start in range(0, size, DEPTH):
            unit = start + tl.arange(0, DEPTH)
            is_unit = unit < size
            tile = before(
                h, size, rows, place + slot, 1 if ORDERED else slots, is_node, unit, is_unit,
                first.dtype,
            )  # fmt: skip
            row = slot * size + unit
            first = add_product(
                first, tile, weight, width, row, is_unit, column, is_column, PRECISION
            )
            second = add_product(
                second, tile, weight, width, row, is_unit, size + column, is_column, PRECISION
            )
            third = add_product(
                third, tile, weight, width, row, is_unit, 2 * size + column, is_column, PRECISION
            )
    return first, second, third


@triton.jit
def feeds(first, key, keys, is_node):
    """Begin and end of the places of `keys` keys, and the most that a node has."""
    low = tl.load(first + key, mask=is_node, other=0)
    high = tl.load(first + key + keys, mask=is_node, other=0)
    return low, high, tl.max(high - low)


@triton.jit
def after(
    grads, width, shift, places, readers, low, high, most, column, is_column,
    BY_PLACE: tl.constexpr, TOTAL: tl.constexpr,
):  # fmt: skip
    """The sum of gradients over the places that read a node.

    BY_PLACE: of the place at distance `shift` from each; otherwise of the node that reads there.
    """
    tile = tl.zeros((low.shape[0], column.shape[0]), TOTAL)
    for number in range(most):
        is_one = low + number < high
        place = tl.load(places + low + number, mask=is_one, other=0)
        index = place + shift if BY_PLACE else tl.load(readers + place, mask=is_one, other=0)
        tile += read(grads, width, index, is_one, column, is_column).to(TOTAL)
    return tile


@triton.jit
def recur_back(
    total, grads, stride, columns, shift, places, readers, low, high, most,
    weight, width, first_column, row, is_row,
    BY_PLACE: tl.constexpr, PRECISION: tl.constexpr, DEPTH: tl.constexpr,
):  # fmt: skip
    """total + the successors' gradients @ weight.T, for `columns` columns from the first on."""
    for start in range(0, tl.where(most > 0, columns, 0), DEPTH):
        column = start + tl.arange(0, DEPTH)
        is_column = column < columns
        tile = after(
            grads, stride, shift, places, readers, low, high, most, column, is_column,
            BY_PLACE, total.dtype,
        )  # fmt: skip
        at = row.to(tl.int64)[None, :] * width + (first_column + column)[:, None]
        other = tl.load(weight + at, mask=is_row[None, :] & is_column[:, None], other=0.0)
        total = tl.dot(tile.to(other.dtype), other, total, input_precision=PRECISION,
                       out_dtype=total.dtype)  # fmt: skip
    return total
