"""The part of a pass that one program runs, chunk by chunk.

The rows of a chunk of levels are contiguous in z, states, x and y; it has one product for the
gradient of a weight.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from structnet.execute.compiled.finished import Finished
from structnet.execute.compiled.native import Native, recipe_of
from structnet.execute.compiled.signature import Product
from structnet.execute.compiled.spans import Chunk, table_of
from structnet.execute.compiled.stepping import Bound, Gradients, Stepping
from structnet.topology.plan import Plan, Step

if TYPE_CHECKING:
    from structnet.execute.compiled.program import Program


class Source(Protocol):
    """z of the nodes of a chunk, and where its gradient goes."""

    def z(self, nodes: slice, again: bool = False) -> Tensor: ...

    def grad_z(self, nodes: slice) -> Tensor:
        """Room for the gradient."""
        ...

    def hand_back(self, nodes: slice, grad: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Takes the gradient of z; returns those of the parameters that z was computed with."""
        ...


class Part:
    """Steps of a plan that one program runs."""

    def __init__(
        self,
        program: "Program | Finished",
        plan: Plan,
        steps: Sequence[Step],
        tensors: Sequence[Tensor],
    ):
        self.program, self.products, self.tensors = program, program.products, tensors
        self.rows = plan.rows
        with torch.enable_grad():
            self.weights = program.weigh(tensors)
        table = table_of(plan, steps)
        self.chunks = [Chunk(steps, table.firsts, one, self.products) for one in table.chunks]
        bound = Bound(program, plan, table, tensors, self.weights)
        recipe = recipe_of(program)
        self.levels = Stepping(bound) if recipe is None else Native(bound, recipe)

    def forget(self) -> None:
        for chunk in self.chunks:
            chunk.forget()

    def forward(self, source: Source, buffers: Sequence[Tensor], save: bool) -> None:
        for chunk in self.chunks:
            z = source.z(chunk.nodes)
            self._make_room(chunk)
            self.levels.forward(chunk, z, buffers, last=True)
            if not save:
                chunk.forget()

    def _make_room(self, chunk: Chunk) -> None:
        chunk.xs = {
            j: self._room(chunk, one, one.inner)
            for j, one in enumerate(self.products)
            if one.state is None
        }
        chunk.ys = [self._room(chunk, one, one.columns) for one in self.products]

    def _room(self, chunk: Chunk, product: Product, columns: int) -> Tensor:
        rows = chunk.rows(product)
        shape = (rows.stop - rows.start, columns)
        return torch.empty(shape, dtype=product.dtype, device=self.rows.device)

    def backward(
        self, source: Source, buffers: Sequence[Tensor], grad_states: Sequence[Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Computes the gradients of the states; returns those of the cell's tensors."""
        back = self.program.backward
        grads = [
            # A parameter need not be contiguous, what a kernel writes is.
            torch.zeros(one.shape, dtype=one.dtype, device=one.device) if i in back.learns else None
            for i, one in enumerate(self.tensors)
        ]
        grad_weights = [torch.zeros_like(weight) for weight in self.weights]
        for chunk in reversed(self.chunks):
            saved = bool(chunk.ys)
            z = source.z(chunk.nodes, again=True)
            grad_z = source.grad_z(chunk.nodes)
            if not saved:
                self._make_room(chunk)
                self.levels.forward(chunk, z, buffers, last=False)
            if not back.writes_z:
                grad_z.zero_()
            grad_ys = [
                grad_z if j == back.shared else torch.empty_like(y) for j, y in enumerate(chunk.ys)
            ]
            self.levels.backward(chunk, z, buffers, Gradients(grad_states, grad_z, grads, grad_ys))
            for j in (j for j, dead in enumerate(back.dead) if not dead):
                grad_weights[j].addmm_(self._factor(chunk, j, buffers).T, grad_ys[j])
            if not saved:
                chunk.forget()
            yield from source.hand_back(chunk.nodes, grad_z)
        yield from ((t, g) for t, g in zip(self.tensors, grads, strict=True) if g is not None)
        yield from self._of_weights(grad_weights)

    def _factor(self, chunk: Chunk, j: int, buffers: Sequence[Tensor]) -> Tensor:
        state = self.products[j].state
        if state is None:
            return chunk.xs[j]
        read = buffers[state].index_select(0, self.rows[chunk.reads])
        return read.view(-1, self.products[j].inner)

    def _of_weights(self, grads: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Gradients of the tensors that weights are computed from."""
        dead = self.program.backward.dead
        pairs = [
            (weight, grad)
            for weight, grad, unused in zip(self.weights, grads, dead, strict=True)
            if weight.requires_grad and not unused
        ]
        if not pairs:
            return
        learning = [tensor for tensor in self.tensors if tensor.requires_grad]
        weights, grads = zip(*pairs, strict=True)
        found = torch.autograd.grad(weights, learning, grads, retain_graph=True, allow_unused=True)
        yield from ((t, grad) for t, grad in zip(learning, found, strict=True) if grad is not None)
