"""Linear recurrences on chains, in parallel over time.

h_t = a_t h_{t-1} + b_t. Chains stand one after the other as one long sequence, in which a is zero
at every head, so that nothing is padded. It is cut into chunks that are stepped through side by
side; what each carries to the next is a shorter recurrence of the same kind (Blelloch 1990, 1.4).
Products of coefficients are formed as they are, never divided by: nothing overflows that does not
in a loop over time, which is what the papers take logarithms for.

T: length of all chains together, S: size of the state.
"""

from typing import Any

import torch
from torch import Tensor

from structnet.cells.linear import LinearCell
from structnet.plan import Plan

CHUNK = 32


def can_scan(cell: Any, plan: Plan) -> bool:
    linear = isinstance(cell, LinearCell) and cell.is_linear and cell.arity in (1, None)
    return linear and plan.chains is not None


def run_scan(
    cell: LinearCell, plan: Plan, z: Tensor, initial: tuple[Tensor, ...] | None
) -> tuple[Tensor, ...]:
    """The states of every node, by rank; ValueError for another cell or plan."""
    if not can_scan(cell, plan):
        raise ValueError(
            f"executor 'scan' runs linear cells on chains, not {type(cell).__name__} on a plan of "
            f"{plan.num_nodes} nodes where some have or feed several; take executor='auto'"
        )
    order = plan.chains
    assert order is not None
    # Under autocast the coefficients are of lower precision than the states have to be.
    dtype = next(cell.parameters(), z).dtype
    a, b = (coefficient.to(dtype) for coefficient in cell.coefficients(z))
    a = a.squeeze(1).expand_as(b)
    first = 1 + plan.num_initial
    heads = plan.rows < first
    if initial is not None:
        start = torch.cat([initial[0].new_zeros(1, b.shape[1]), initial[0]])
        b = b + a * start[plan.rows.where(heads, 0)]
    a = a.masked_fill(heads[:, None], 0)
    rank = torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))
    return (linear_recurrence(a[order], b[order])[rank],)


def linear_recurrence(a: Tensor, b: Tensor) -> Tensor:
    """h (T, S) with h_t = a_t h_{t-1} + b_t and h_{-1} = 0, differentiable any number of times."""
    return _Recurrence.apply(a, b)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        h = _scan(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        # The gradient of b runs the other way: g_t = grad_t + a_{t+1} g_{t+1}.
        following = torch.cat([a[1:], torch.zeros_like(a[:1])])
        g = linear_recurrence(following.flip(0), grad.flip(0)).flip(0)
        before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
        return g * before, g


def _scan(a: Tensor, b: Tensor) -> Tensor:
    length, size = b.shape
    chunks = -(-length // CHUNK)
    pad = (0, 0, 0, chunks * CHUNK - length)
    # (steps, chunks, S): what is done together is contiguous.
    a, h = (
        torch.nn.functional.pad(x, pad).view(chunks, CHUNK, size).transpose(0, 1).contiguous()
        for x in (a, b)
    )
    for step in range(1, CHUNK):
        h[step].addcmul_(a[step], h[step - 1])
        a[step].mul_(a[step - 1])
    if chunks > 1:
        carry = _scan(a[-1], h[-1])
        h[:, 1:].addcmul_(a[:, 1:], carry[:-1])
    return h.transpose(0, 1).reshape(-1, size)[:length]
