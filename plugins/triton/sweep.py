"""A pass of an LSTM, GRU or Elman network over a plan, with one Triton kernel per level.

Where executor `batched` adds gradients to those of the predecessors, a node here gathers them from
its successors: no two programs add to one address, so results are bitwise reproducible.

N: nodes, R: length of the plan's rows, K: slots, H: hidden size. A place is an index of the rows.
"""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.triton.elman import elman_backward, elman_forward
from structnet.plugins.triton.gru import gru_backward, gru_forward
from structnet.plugins.triton.launch import Step, launch
from structnet.plugins.triton.lstm import lstm_backward, lstm_forward

# Kernel arguments beside its step: tensors and sizes, and compile-time options.
Arguments = tuple[Sequence[Tensor | int], dict[str, Any]]


class FusedSweep(sn.Sweep):
    """One forward pass of a cell over a plan, and its backward."""

    kernels: ClassVar[tuple[Any, Any]]
    # The gates in the order of their columns in z.
    gates: ClassVar[tuple[str, ...]]
    # The parameters of the recurrence.
    names: tuple[str, ...] = ("recurrent",)

    def __init__(self, p: sn.Pass):
        super().__init__(p)
        cell: Any = p.cell
        plan = p.plan
        self.size, self.slots = cell.hidden_size, cell.arity
        self.used = [getattr(cell, name) for name in self.names]
        self.learning = tuple(tensor for tensor in self.used if tensor.requires_grad)
        self.constants = tuple(tensor for tensor in self.used if not tensor.requires_grad)
        # The first node that reads anything, and the place where it does.
        self.first_node = 0 if self.has_initial or not plan.num_nodes else plan.levels[1]
        places = (step.offset for step in plan.steps if step.start >= self.first_node)
        self.first_place = next(places, len(plan.rows))
        # Compile-time options of the kernels.
        self.options: dict[str, Any] = {}
        self.buffers: list[Tensor] = []
        self.saved: tuple[Tensor, ...] = ()

    @property
    def parameters(self) -> tuple[Tensor, ...]:
        return tuple(self.learning)

    @abc.abstractmethod
    def forward_arguments(self, z: Tensor, keep: bool) -> Arguments:
        """Arguments of the forward kernel; what it stores for backward, if `keep`, is `saved`."""

    @abc.abstractmethod
    def backward_arguments(
        self, grad_z: Tensor, grads: Sequence[Tensor], links: Sequence[Tensor]
    ) -> Arguments:
        """Arguments of the backward kernel; `grads` are the states' gradients, updated in place."""

    @abc.abstractmethod
    def weight_gradients(self, grad_z: Tensor) -> Sequence[Tensor]:
        """The gradients of `names`, after all levels."""

    def forward(self, z: Tensor, initial: Sequence[Tensor], keep: bool) -> tuple[Tensor, ...]:
        # Under autocast z is of lower precision than the states have to be.
        self.weights = [weight.detach().to(z.dtype).contiguous() for weight in self.used]
        self.buffers = self.state_buffers(initial, z)
        given, options = self.forward_arguments(z, keep)
        options = {**options, "ORDERED": self.slots is not None}
        for step in self._steps():
            launch(self.kernels[0], step, self.size, given, options)
        return tuple(buffer[self.plan.first_row :] for buffer in self.buffers)

    def backward(self, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
        if not self.buffers:
            raise self.released()
        found = self.gradients(grads)
        if not self.retains_graph():
            self.buffers, self.saved = [], ()
        return found

    @torch.no_grad()
    def gradients(self, grads: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """The gradients of z, the initial states and the parameters, given those of the states."""
        with torch.autocast(self.plan.rows.device.type, enabled=False):
            return self._gradients(grads)

    def _gradients(self, grads: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        plan, keys = self.plan, self.slots or 1
        of_states = self.gradient_buffers(grads)
        grad_z = self.room(plan.num_nodes, len(self.gates))
        links = *_readers(plan.rows, keys, self.plan.first_row + plan.num_nodes), plan.readers
        given, options = self.backward_arguments(grad_z, of_states, links)
        options = {**options, "KEYS": keys}
        for step in reversed(self._steps()):
            launch(self.kernels[1], step, self.size, given, {**options, "GATES": True})
        initial = []
        if self.has_initial:
            step = 0, plan.num_initial, 0, 0, 1
            launch(self.kernels[1], step, self.size, given, {**options, "GATES": False})
            initial = self.initial_of(of_states)
        pairs = zip(self.used, self.weight_gradients(grad_z), strict=True)
        own = [grad.to(weight.dtype) for weight, grad in pairs if weight.requires_grad]
        return grad_z, *initial, *own

    def _steps(self) -> list[Step]:
        """(start, count, slots, offset, row); nodes without predecessors have no slots."""
        return [
            (
                start,
                stop - start,
                slots if start >= self.first_node else 0,
                offset,
                self.plan.first_row + start,
            )
            for start, stop, slots, offset in self.plan.steps
        ]

    def room(self, rows: int, gates: int) -> Tensor:
        """An uninitialised tensor (rows, gates * H)."""
        return self.weights[0].new_empty(rows, gates * self.size)

    def read(self) -> Tensor:
        """The predecessors' first state by place, (R', H)."""
        return self.buffers[0].index_select(0, self.plan.rows[self.first_place :])

    def by_slots(self, values: Tensor) -> Tensor:
        """Values by place (R', H) as (N', K * H), by node."""
        return values.view(-1, self.slots * self.size)

    def of_weight(self, pooled: Tensor, *grads: Tensor) -> Tensor:
        """x.T @ grads, concatenated; x: predecessor states by slot, or their sum `pooled`."""
        grads = tuple(grad[self.first_node :] for grad in grads)
        x = pooled[self.first_node :] if self.slots is None else self.by_slots(self.read())
        x = x.to(grads[0].dtype).T
        return torch.cat([x @ grad for grad in grads], dim=1)


class FusedElman(FusedSweep):
    """h = g(z + sum_k U_k h_k)."""

    kernels = elman_forward, elman_backward
    gates = ("h",)

    def __init__(self, p: sn.Pass):
        super().__init__(p)
        cell: Any = p.cell
        self.options = {"TANH": cell.nonlinearity == "tanh"}

    def forward_arguments(self, z: Tensor, keep: bool) -> Arguments:
        keep = keep and self.slots is None
        self.saved = (self.room(len(z) if keep else 0, 1),)
        given = z, self.plan.rows, *self.buffers, *self.weights, *self.saved
        return given, {"KEEP": keep, **self.options}

    def backward_arguments(
        self, grad_z: Tensor, grads: Sequence[Tensor], links: Sequence[Tensor]
    ) -> Arguments:
        return (*self.buffers, *self.weights, *links, *grads, grad_z), self.options

    def weight_gradients(self, grad_z: Tensor) -> Sequence[Tensor]:
        return (self.of_weight(*self.saved, grad_z),)


class FusedGRU(FusedSweep):
    """n = tanh(n_x + s(r) (n_h + b)), h = n + s(u) (sum_k h_k - n)."""

    kernels = gru_forward, gru_backward
    names = "recurrent", "candidate_bias"
    gates = "r", "u", "n"

    def forward_arguments(self, z: Tensor, keep: bool) -> Arguments:
        nodes = len(z) if keep else 0
        self.saved = self.room(nodes, 4), self.room(nodes, 1)
        return (z, self.plan.rows, *self.buffers, *self.weights, *self.saved), {"KEEP": keep}

    def backward_arguments(
        self, grad_z: Tensor, grads: Sequence[Tensor], links: Sequence[Tensor]
    ) -> Arguments:
        self.grad_n_h = self.room(len(grad_z), 1)
        carried = grads[0][self.plan.first_row :]
        given = self.weights[0], *self.saved, *links, *grads, carried, grad_z, self.grad_n_h
        return given, {}

    def weight_gradients(self, grad_z: Tensor) -> Sequence[Tensor]:
        grad_n_h = self.grad_n_h
        del self.grad_n_h
        of_weight = self.of_weight(self.saved[1], grad_z[:, : 2 * self.size], grad_n_h)
        return of_weight, grad_n_h.sum(0)


class FusedLSTM(FusedSweep):
    """c = s(i) tanh(u) + sum_k s(f_k) c_k, h = s(o) tanh(c)."""

    kernels = lstm_forward, lstm_backward
    gates = "i", "o", "u", "f"

    def __init__(self, p: sn.Pass):
        if p.cell.arity is None:
            self.names = "recurrent", "recurrent_edge"
        super().__init__(p)
        self.options = {"ORDERED": p.cell.arity is not None}

    def _both(self) -> tuple[Tensor, Tensor, int]:
        """The weights of node gates and of the forget gates, and the length of their rows."""
        weight = self.weights[0]
        edge = weight[:, 3 * self.size :] if self.slots else self.weights[1]
        return weight, edge, weight.shape[1]

    def forward_arguments(self, z: Tensor, keep: bool) -> Arguments:
        nodes, places = (len(z), len(self.plan.rows)) if keep else (0, 0)
        pooled = 0 if self.slots else nodes
        self.saved = self.room(nodes, 3), self.room(places, 1), self.room(pooled, 1)
        given = z, self.plan.rows, *self.buffers, *self._both(), *self.saved
        return given, {"KEEP": keep}

    def backward_arguments(
        self, grad_z: Tensor, grads: Sequence[Tensor], links: Sequence[Tensor]
    ) -> Arguments:
        self.grad_f = self.room(len(self.plan.rows), 1)
        carried, (gates, forgets, _) = grads[1][self.plan.first_row :], self.saved
        given = (
            self.buffers[1], self.plan.rows, *self._both(), gates, forgets, *links, *grads, carried,
            grad_z, self.grad_f,
        )  # fmt: skip
        return given, self.options

    def weight_gradients(self, grad_z: Tensor) -> Sequence[Tensor]:
        of_nodes, pooled, grad_f = grad_z[:, : 3 * self.size], self.saved[2], self.grad_f
        del self.grad_f
        if self.slots is not None:
            return (self.of_weight(pooled, of_nodes, self.by_slots(grad_f)),)
        of_edges = self.read().to(grad_f.dtype).T @ grad_f[self.first_place :]
        return self.of_weight(pooled, of_nodes), of_edges


SWEEPS: dict[str, type[FusedSweep]] = {"elman": FusedElman, "gru": FusedGRU, "lstm": FusedLSTM}


def sweep_of(p: sn.Pass) -> FusedSweep:
    """The sweep of a cell that has kernels."""
    kinds = {sn.cells[name]: sweep for name, sweep in SWEEPS.items()}
    return kinds[type(p.cell)](p)


def _readers(rows: Tensor, keys: int, num_rows: int) -> tuple[Tensor, Tensor]:
    """Places sorted by (row, slot) that they read, after their offsets (num_rows * keys + 1,)."""
    place = torch.arange(len(rows), device=rows.device)
    ordered, places = torch.sort(rows * keys + place % keys, stable=True)
    every = torch.arange(num_rows * keys + 1, device=rows.device)
    return torch.searchsorted(ordered, every), places
