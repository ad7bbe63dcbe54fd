"""A pass over a plan with a backward of its own, as one node of autograd's graph."""

import abc
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from structnet.cell.call import States
from structnet.execute.executor import Pass
from structnet.execute.transform import WAY_OUT, keeps_graph, refuse_batches

# The multiplications of a level up to which a second thread gains little alone (0 to 20 % where it
# was measured), and loses where other processes are at work.
SMALL = 40_000_000


class Sweep(abc.ABC):
    """One forward pass over a plan and its backward, for executors that don't use autograd inside.

    A subclass implements `forward`, `backward` and `parameters`; `run` calls them.
    """

    # Tensors beside z and the initial states that may need gradients.
    learning: Sequence[Tensor] = ()
    # Other tensors that must not be changed in place before `backward`.
    constants: tuple[Tensor, ...] = ()
    is_small = False

    def __init__(self, p: Pass):
        self.plan, self.sizes, self.dtype = p.plan, p.cell.state_sizes, p.dtype
        self.has_initial = p.initial is not None

    @property
    @abc.abstractmethod
    def parameters(self) -> tuple[Tensor, ...]:
        """The tensors that `backward` returns gradients of; read after `forward`."""

    @abc.abstractmethod
    def forward(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> States:
        """The states by rank; `keep`: whether `backward` will be called."""

    @abc.abstractmethod
    def backward(self, grads: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """The gradients of z, the initial states and the parameters, in this order."""

    def run(self, z: Tensor, initial: States | None) -> States:
        """The states by rank, differentiable in z, the initial states and the parameters."""
        given, keep = (z, *(initial or ())), self.keeps(z, initial)
        work = len(self.plan.rows) * z.shape[1] * self.sizes[0]
        self.is_small = not z.is_cuda and work < SMALL * (len(self.plan.levels) - 1)
        with torch.no_grad(), self._threads():
            found = self.forward(z, initial or (), keep)
        return _Autograd.apply(self, found, *given, *self.parameters) if keep else found

    def keeps(self, z: Tensor, initial: States | None) -> bool:
        """Whether `backward` will be called, as far as can be known."""
        given = (z, *(initial or ()), *self.learning)
        return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)

    def _threads(self) -> AbstractContextManager[None]:
        # Whoever follows a pass need not read how the number of threads is set.
        from structnet.system.cores import one_thread

        return one_thread(self.is_small)

    def state_buffers(self, initial: Sequence[Tensor], like: Tensor) -> list[Tensor]:
        """One buffer per state: the null state, the initial states, the nodes by rank."""
        first, count = self.plan.first_row, self.plan.first_row + self.plan.num_nodes
        buffers = [like.new_empty(count, size, dtype=self.dtype) for size in self.sizes]
        for buffer in buffers:
            buffer[:first] = 0
        for buffer, state in zip(buffers, initial, strict=False):
            buffer[1:first] = state
        return buffers

    def gradient_buffers(self, grads: Sequence[Tensor | None]) -> list[Tensor]:
        """The gradients of the nodes' states, in the layout of the state buffers."""
        plan, device = self.plan, self.plan.rows.device
        count = plan.first_row + plan.num_nodes
        buffers = [torch.zeros(count, k, dtype=self.dtype, device=device) for k in self.sizes]
        for buffer, grad in zip(buffers, grads, strict=True):
            if grad is not None:
                buffer[plan.first_row :] = grad
        return buffers

    def initial_of(self, buffers: Sequence[Tensor]) -> list[Tensor]:
        """The rows of the initial states in buffers, if they were given."""
        return [one[1 : self.plan.first_row] for one in buffers] if self.has_initial else []

    @staticmethod
    def retains_graph() -> bool:
        """Whether the running backward pass was asked to retain the graph."""
        return keeps_graph()

    @staticmethod
    def released() -> RuntimeError:
        """The error for a second backward pass."""
        return RuntimeError(
            "second backward through a recurrence whose graph is released; "
            "pass retain_graph=True to the first"
        )


class _Autograd(torch.autograd.Function):
    """A sweep as one node of the autograd graph."""

    @staticmethod
    def forward(ctx: Any, sweep: Sweep, found: States, *given: Tensor) -> States:
        """The states that the sweep has computed already, of these tensors."""
        ctx.sweep = sweep
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given, *sweep.constants)
        return found

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        refuse_batches(grads)
        # Raises an error if one has been changed in place.
        given = ctx.saved_tensors
        with ctx.sweep._threads():
            grads_of_given = ctx.sweep.backward(grads)
        found = tuple(
            # Hooks are called in any case, and expect a tensor.
            torch.zeros_like(one) if grad is None and one._backward_hooks else grad
            for one, grad in zip(given, grads_of_given, strict=False)
        )
        if torch.is_grad_enabled():
            present = [grad for grad in found if grad is not None]
            sources = (*given, *(grad for grad in grads if grad is not None))
            refusing = iter(_NoSecondDerivative.apply(len(present), *present, *sources))
            found = tuple(None if grad is None else next(refusing) for grad in found)
        return None, None, *found


class _NoSecondDerivative(torch.autograd.Function):
    """The identity on the first `count` tensors; its backward raises RuntimeError."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.view_as(tensor) for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        raise RuntimeError(
            f"this executor has no second derivatives; {WAY_OUT} where you need them"
        )
