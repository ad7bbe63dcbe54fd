"""Linear recurrences in parallel over time.

h_t = a_t h_{t-1} + b_t. Chains of equal length are processed side by side; others are concatenated
into one sequence in which a is zero at every head, so that nothing is padded. A sequence is cut
into chunks that are stepped through in parallel, twice: first from zero, which gives a shorter
recurrence of the same kind from chunk to chunk (Blelloch 1990, section 1.4); then from the state
before each chunk. So every state is computed by the same step as in a loop over time. Products of
coefficients are never divided by, so that no logarithms are needed. Values that are not finite
remain so to the end of their sequence: where an end is not finite, the states are computed again by
a loop over separate sequences, as zero times infinity or NaN would reach the next one.

T: length of the sequence, S: size of the state, times the number of chains side by side.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from structnet.execute.transform import refuse_batches

CHUNK = 16
# Fewer chunks take longer than a loop over their steps.
LEAST_CHUNKS = 8


def linear_recurrence(
    a: Tensor, b: Tensor, reverse: bool = False, starts: Tensor | None = None
) -> Tensor:
    """h (T, S) with h_t = a_t h_{t-1} + b_t and h_{-1} = 0, differentiable any number of times.

    With `reverse`, h_t = a_t h_{t+1} + b_t. Sequences begin at the rows `starts`, ascending from 0;
    a has to be zero between them.
    """
    return _Recurrence.apply(a, b, reverse, starts)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, reverse: bool, starts: Tensor | None) -> Tensor:
        h = torch.empty_like(b, memory_format=torch.contiguous_format)
        recur(lambda: h.copy_(b), a[:-1] if reverse else a[1:], h, starts, reverse)
        ctx.reverse, ctx.starts = reverse, starts
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        refuse_batches([grad])
        a, h = ctx.saved_tensors
        # The gradient of b runs the other way: g_t = grad_t + a_{t+1} g_{t+1}.
        back = not ctx.reverse
        g = linear_recurrence(_shift(a, back), grad, back, ctx.starts)
        return g * _shift(h, ctx.reverse), g, None, None


def recur(
    fill: Callable[[], Any], a: Tensor, h: Tensor, starts: Tensor | None, reverse: bool = False
) -> None:
    """What `recur_` does to h (T + 1, S) that `fill` fills, with sequences kept apart.

    They begin at the rows `starts` of h, ascending from 0 on; a is zero between them.
    """
    fill()
    if not len(h):
        return
    recur_(a, h, reverse)
    if starts is None:
        ends = h[0] if reverse else h[-1]
    else:
        ends = h[starts] if reverse else torch.cat([h[starts[1:] - 1], h[-1:]])
    if ends.isfinite().all():
        return
    fill()
    if starts is None:
        _loop(a.unbind(), h.unbind(), reverse)
    else:
        _loop_apart(a, h, starts, reverse)


def _loop_apart(a: Tensor, h: Tensor, starts: Tensor, reverse: bool) -> None:
    """What `_loop` does, in all sequences at once; what would reach into another is left out."""
    stops = torch.cat([starts[1:], starts.new_tensor([len(h)])])
    length = stops - starts
    for step in range(1, int(length.max())):
        going = length > step
        if reverse:
            rows = stops[going] - 1 - step
            h[rows] += a[rows] * h[rows + 1]
        else:
            rows = starts[going] + step
            h[rows] += a[rows - 1] * h[rows - 1]


def recur_(a: Tensor, h: Tensor, reverse: bool = False) -> None:
    """Add a_t h_t to h_{t+1}, one t after the other, in place: a (T, S), h (T + 1, S).

    `reverse` is from the end: a_t h_{t+1} is added to h_t.
    """
    length, chunks = len(a), len(a) // CHUNK
    if chunks < LEAST_CHUNKS:
        _loop(a.unbind(), h.unbind(), reverse)
        return
    # What is left over comes last, in the order of time.
    rest = length - chunks * CHUNK
    if reverse:
        start, whole, left = h[-1:], (a[rest:], h[rest:-1]), (a[:rest], h[: rest + 1])
    else:
        stop = length - rest
        start, whole, left = h[:1], (a[:stop], h[1 : stop + 1]), (a[stop:], h[stop:])
    # (chunks, S) at every step of a chunk.
    gains, states = (x.unflatten(0, (chunks, CHUNK)).unbind(1) for x in whole)
    gain, state = _from_zero(gains, states, reverse)
    found = torch.cat([state, start] if reverse else [start, state])
    recur_(gain, found, reverse)
    before = found[1:] if reverse else found[:-1]
    _loop(gains, (*states, before) if reverse else (before, *states), reverse)
    _loop(left[0].unbind(), left[1].unbind(), reverse)


def _loop(a: Sequence[Tensor], h: Sequence[Tensor], reverse: bool) -> None:
    """What `recur_` does, step by step."""
    if reverse:
        a, h = a[::-1], h[::-1]
    for gain, before, state in zip(a, h, h[1:], strict=False):
        state.addcmul_(gain, before)


def _from_zero(a: Sequence[Tensor], b: Sequence[Tensor], reverse: bool) -> tuple[Tensor, Tensor]:
    """The product of a, and the last state of the recurrence from zero."""
    if reverse:
        a, b = a[::-1], b[::-1]
    gain, state = a[0].clone(), b[0].clone()
    for at, bt in zip(a[1:], b[1:], strict=True):
        torch.addcmul(bt, at, state, out=state)
        gain *= at
    return gain, state


def _shift(x: Tensor, reverse: bool) -> Tensor:
    """x_{t-1}, or x_{t+1} in reverse, zero where there is none."""
    zero = torch.zeros_like(x[:1])
    return torch.cat([x[1:], zero] if reverse else [zero, x[:-1]])
