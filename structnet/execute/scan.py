"""Linear recurrences on chains, in parallel over time.

h_t = a_t h_{t-1} + b_t. Chains of one length lie side by side, as their levels do; others stand
one after the other as one long sequence, in which a is zero at every head, so that nothing is
padded. A sequence is cut into chunks that are stepped through side by side, twice: from zero, for
what a chunk makes of the state before it, which is a shorter recurrence of the same kind from chunk
to chunk (Blelloch 1990, section 1.4); then from the state it finds. So every state is the very step
of a loop over time. Products of coefficients are formed as they are, never divided by: nothing
overflows that does not in such a loop, which is what the papers take logarithms for.

T: length of the sequence, S: size of the state, or of those side by side.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from structnet.cells.linear import LinearCell
from structnet.execute.order import reorder
from structnet.plan import Plan

CHUNK = 16


def can_scan(cell: Any, plan: Plan) -> bool:
    return is_scannable(cell) and plan.chains is not None


def is_scannable(cell: Any) -> bool:
    """Whether there are plans that the cell can be scanned over."""
    return isinstance(cell, LinearCell) and cell.is_linear and cell.arity in (1, None)


def run_scan(
    cell: LinearCell, plan: Plan, z: Tensor, initial: tuple[Tensor, ...] | None
) -> tuple[Tensor, ...]:
    """The states of every node, by rank; ValueError for another cell or plan."""
    if not can_scan(cell, plan):
        why = (
            f"nodes of this plan of {plan.num_nodes} have several slots or feed several nodes"
            if is_scannable(cell)
            else f"{type(cell).__name__} is not linear in its state, or has several slots"
        )
        raise ValueError(
            f"executor 'scan' runs linear cells on chains, and {why}; take executor='auto'"
        )
    order = plan.chains
    assert order is not None
    # Level 0, if there is a level.
    width = plan.levels[:2][-1]
    abreast = _abreast(plan)
    heads = torch.arange(width, device=order.device)
    if not abreast:
        position = torch.argsort(order)
        heads = position[:width]
        z = reorder(z, order, position)
    a, b = cell.checked_coefficients(z, 1)
    # Under autocast the coefficients are of lower precision than the states have to be.
    dtype = next(cell.parameters(), z).dtype
    b = b.to(dtype)
    a = a.to(dtype).squeeze(1).expand_as(b)
    if initial is not None:
        start = F.pad(initial[0], (0, 0, 1, 0))[plan.rows[:width]]
        b = b.index_add(0, heads, a[heads] * start)
    if abreast:
        wide = (len(plan.levels) - 1, width * b.shape[1])
        return (linear_recurrence(a.reshape(wide), b.reshape(wide)).view_as(b),)
    return (reorder(linear_recurrence(a.index_fill(0, heads, 0), b), position, order),)


def _abreast(plan: Plan) -> bool:
    """Whether every level continues the one before, node by node: chains of one length."""
    width, length = plan.levels[:2][-1], len(plan.levels) - 1
    first = 1 + plan.num_initial
    rows = torch.arange(first, first + plan.num_nodes - width, device=plan.rows.device)
    return width * length == plan.num_nodes and torch.equal(plan.rows[width:], rows)


def linear_recurrence(a: Tensor, b: Tensor, reverse: bool = False) -> Tensor:
    """h (T, S) with h_t = a_t h_{t-1} + b_t and h_{-1} = 0, differentiable any number of times.

    `reverse` is from the end: h_t = a_t h_{t+1} + b_t.
    """
    return _Recurrence.apply(a, b, reverse)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, reverse: bool) -> Tensor:
        h = _scan(a, b, reverse)
        ctx.reverse = reverse
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        a, h = ctx.saved_tensors
        # The gradient of b runs the other way: g_t = grad_t + a_{t+1} g_{t+1}.
        back = not ctx.reverse
        g = linear_recurrence(_shift(a, back), grad, back)
        return g * _shift(h, ctx.reverse), g, None


def _scan(a: Tensor, b: Tensor, reverse: bool) -> Tensor:
    h = torch.empty_like(b)
    length, chunks = len(b), len(b) // CHUNK
    start = b.new_zeros(b.shape[1:])
    if chunks < 2:
        _loop(a, b, h, start, _times(0, length, reverse))
        return h
    rest = length - chunks * CHUNK
    # What is left over comes last, in the order of time.
    whole = slice(rest, length) if reverse else slice(0, length - rest)
    left = (0, rest) if reverse else (length - rest, length)
    # (chunks, S) at every step of a chunk.
    parts = [x[whole].unflatten(0, (chunks, CHUNK)).unbind(1) for x in (a, b, h)]
    times = _times(0, CHUNK, reverse)
    gain, state = (x[times[0]].clone() for x in parts[:2])
    for t in times[1:]:
        torch.addcmul(parts[1][t], parts[0][t], state, out=state)
        gain *= parts[0][t]
    carry = _scan(gain, state, reverse)
    _loop(*parts, _shift(carry, reverse), times)
    _loop(a, b, h, carry[0 if reverse else -1], _times(*left, reverse))
    return h


def _loop(a: Any, b: Any, h: Any, state: Tensor, times: Iterable[int]) -> None:
    """Write h_t = a_t h_{t-1} + b_t."""
    for t in times:
        state = torch.addcmul(b[t], a[t], state, out=h[t])


def _times(start: int, stop: int, reverse: bool) -> range:
    return range(start, stop)[::-1] if reverse else range(start, stop)


def _shift(x: Tensor, reverse: bool) -> Tensor:
    """x_{t-1}, or x_{t+1} in reverse, zero where there is none."""
    zero = torch.zeros_like(x[:1])
    return torch.cat([x[1:], zero] if reverse else [zero, x[:-1]])
