"""A pass over a plan that owns its way back, as one node of autograd's graph."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from structnet.execute.transform import WAY_OUT, refuse_batches
from structnet.topology.plan import Plan

States = tuple[Tensor, ...]
Step = tuple[int, int, int, int]


class Sweep(Protocol):
    """One pass over a plan and the way back.

    `learning` are tensors that it may have gradients for beside z and the initial states. When it
    has gone forward, `parameters` are those that it does have gradients for, and `constants` what
    else must not change until it goes back.
    """

    learning: Sequence[Tensor]
    constants: tuple[Tensor, ...]

    @property
    def parameters(self) -> tuple[Tensor, ...]: ...

    def forward(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> States:
        """The states by rank; `keep` what the way back needs."""
        ...

    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        """Gradients of z, the initial states and the parameters, in this order."""
        ...


def run_sweep(sweep: Sweep, z: Tensor, initial: States | None) -> States:
    given = (z, *(initial or ()))
    learns = any(tensor.requires_grad for tensor in (*given, *sweep.learning))
    keep = torch.is_grad_enabled() and learns
    with torch.no_grad():
        found = sweep.forward(z, initial or (), keep)
    # What it has gradients for is known now.
    return _Autograd.apply(sweep, found, *given, *sweep.parameters) if keep else found


def state_buffers(
    plan: Plan, sizes: Sequence[int], dtype: torch.dtype, initial: Sequence[Tensor], like: Tensor
) -> list[Tensor]:
    """One buffer a state: the null row, the initial states, the nodes by rank."""
    first = 1 + plan.num_initial
    buffers = [like.new_empty(first + plan.num_nodes, size, dtype=dtype) for size in sizes]
    for buffer in buffers:
        buffer[:first] = 0
    for buffer, state in zip(buffers, initial, strict=False):
        buffer[1:first] = state
    return buffers


def gradient_buffers(
    plan: Plan, sizes: Sequence[int], dtype: torch.dtype, grads: Sequence[Tensor | None]
) -> list[Tensor]:
    """The gradients of the nodes' states, where those of the states' buffers are summed."""
    first = 1 + plan.num_initial
    shape = first + plan.num_nodes
    buffers = [torch.zeros(shape, k, dtype=dtype, device=plan.rows.device) for k in sizes]
    for buffer, grad in zip(buffers, grads, strict=True):
        if grad is not None:
            buffer[first:] = grad
    return buffers


def keep_graph() -> bool:
    """Whether the running backward pass was asked to retain the graph."""
    asked = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return asked is None or asked()


def released() -> RuntimeError:
    return RuntimeError(
        "second backward through a recurrence whose graph is released; "
        "pass retain_graph=True to the first"
    )


class _Autograd(torch.autograd.Function):
    """A sweep as one node of the autograd graph."""

    @staticmethod
    def forward(ctx: Any, sweep: Sweep, found: States, *given: Tensor) -> States:
        """What the sweep has found, given these."""
        ctx.sweep = sweep
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given, *sweep.constants)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        refuse_batches(grads)
        # Torch looks whether they have been changed in place.
        given = ctx.saved_tensors
        found = tuple(
            # Hooks are called in any case, and count on a tensor.
            torch.zeros_like(one) if grad is None and one._backward_hooks else grad
            for one, grad in zip(given, ctx.sweep.backward(grads), strict=False)
        )
        if torch.is_grad_enabled():
            present = [grad for grad in found if grad is not None]
            sources = (*given, *(grad for grad in grads if grad is not None))
            refusing = iter(_NoSecondDerivative.apply(len(present), *present, *sources))
            found = tuple(None if grad is None else next(refusing) for grad in found)
        return None, None, *found


class _NoSecondDerivative(torch.autograd.Function):
    """The identity on the first `count` tensors, whose derivative is refused."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise RuntimeError(
            f"this executor has no second derivatives; {WAY_OUT} where you need them"
        )
