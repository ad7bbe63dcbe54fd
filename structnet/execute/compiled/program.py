"""A cell's step as kernels around its products, forward and backward."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from structnet.execute.compiled.kernel import Kernel
from structnet.execute.compiled.making import making
from structnet.execute.compiled.signature import Signature
from structnet.execute.compiled.trace import Trace
from structnet.execute.compiled.trial import check


class Program:
    """The kernels of a step.

    Kernel inputs: z, row indices (n, K), state buffers (or the gathered states, if the trace's
    `gathers` is false), the cell's tensors, the y, and a mask (n, K) of the slots that count, if
    there is one. Kernels of derivatives also take the gradients of what they differentiate, and
    write the gradients of z, the gathered states, the cell's tensors and the y (from `first_y`).
    """

    def __init__(self, cell: nn.Module, signature: Signature):
        """ValueError for a cell that can't be traced."""
        self.trace = trace = Trace(cell, signature)
        check(trace, cell)
        trace.cut()
        self.products, self.num_states = trace.products, len(trace.sizes)
        self.inputs = (trace.z, trace.rows, *trace.states, *trace.tensors, *trace.ys, *trace.counts)
        self.first_y = 1 + self.num_states + len(trace.tensors)
        self.weights = trace.weights()
        self.last = Kernel(self._results, self.inputs, trace.fake)
        self.factors = {
            j: Kernel(self._factor(j), self.inputs, trace.fake)
            for j, product in enumerate(self.products)
            if product.state is None
        }
        self.reads = self.gathered([self.last, *self.factors.values()])
        self._backward: Backward | None = None
        # Its levels as operations of C++, where that was asked for; false if it has no such.
        self.recipe: Any = None
        # What its functions were compiled to, and whether for training and for evaluation.
        self.libraries: list[Any] = []
        self.prepared: set[bool] = set()

    def weigh(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The matrices of the products, computed from the cell's tensors."""
        nothing = [None] * (1 + self.num_states)
        return self.weights(*nothing, *tensors, *[None] * len(self.trace.counts))

    def gathered(self, kernels: Sequence[Kernel]) -> list[int]:
        """The states that have to be gathered for kernels that don't gather themselves."""
        if self.trace.gathers:
            return []
        return [state for state in range(self.num_states)
                if any(kernel.needs(2 + state) for kernel in kernels)]  # fmt: skip

    @property
    def backward(self) -> "Backward":
        if self._backward is None:
            with making():
                self._backward = self._backward or Backward(self)
        return self._backward

    def _part(self, given: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The y among a kernel's inputs, and the inputs of the trace."""
        z, rows, *others = given
        states = self.trace.read(z, rows, others[: self.num_states])
        first = self.first_y - 1
        last = first + len(self.products)
        tensors, ys, counts = others[self.num_states : first], others[first:last], others[last:]
        return ys, [z, *states, *tensors, *counts]

    def _results(self, *given: Tensor) -> tuple[Tensor, ...]:
        ys, others = self._part(given)
        return self.trace.evaluate(ys, *others)[1]

    def _factor(self, j: int) -> Callable:
        def factor(*given: Tensor) -> tuple[Tensor, ...]:
            ys, others = self._part(given)
            return (self.trace.evaluate(ys, *others)[0][j].contiguous(),)

        return factor

    def derivative(self, j: int | None) -> Callable:
        """The derivative of x_j, or of the new states where j is None."""

        def derivative(*given: Tensor) -> tuple[Tensor | None, ...]:
            inputs, grads = given[: len(self.inputs)], given[len(self.inputs) :]
            ys, others = self._part(inputs)
            learns = [True, *[not self.trace.signature.alone] * self.num_states]
            learns += [*self.trace.learns, *[False] * len(self.trace.counts), *[True] * len(ys)]
            leaves = [
                tensor.detach().requires_grad_(learn)
                for tensor, learn in zip((*others, *ys), learns, strict=True)
            ]
            others, ys = leaves[: len(others)], leaves[len(others) :]
            with torch.enable_grad():
                xs, out = self.trace.evaluate(ys, *others)
            leaves = [*others[: self.first_y], *ys]
            values = out if j is None else [xs[j]]
            pairs = [(v, g) for v, g in zip(values, grads, strict=True) if v.requires_grad]
            found = iter(_gradients(pairs, [leaf for leaf in leaves if leaf.requires_grad]))
            return tuple(next(found) if leaf.requires_grad else None for leaf in leaves)

        return derivative


def _gradients(
    pairs: Sequence[tuple[Tensor, Tensor]], leaves: Sequence[Tensor]
) -> Sequence[Tensor | None]:
    if not pairs:
        return [None] * len(leaves)
    values, grads = zip(*pairs, strict=True)
    grads = [grad.to(value.dtype) for value, grad in pairs]
    return torch.autograd.grad(values, leaves, grads, allow_unused=True)


class Backward:
    """The kernels of the backward pass, and which gradients they write.

    Arguments:
        last: the kernel of the new states' gradients.
        factors: by product, the kernels of the gradient of x_j, where that is computed; where it is
            a state as it was read there is none, and its gradient is added to that state's where
            `adds[j]`.
        dead: whether nothing depends on y_j.
        shared: the product whose y has the same gradient as z; None if there is none.
        reads: the states that gradients flow to.
        gathered: the states that have to be read.
        learns: the cell's tensors that kernels have gradients for.
    """

    def __init__(self, program: Program):
        trace, count = program.trace, program.num_states
        tensors = set(range(1 + count, program.first_y))
        with trace.fake:
            nodes, dtype = trace.z.shape[0], trace.signature.state_dtype
            like_states = [trace.z.new_empty(nodes, size, dtype=dtype) for size in trace.sizes]
        self.last = Kernel(
            program.derivative(None), (*program.inputs, *like_states), trace.fake, tensors
        )
        written = set(self.last.writes)
        self.factors: dict[int, Kernel] = {}
        self.adds, self.dead = ([False] * len(program.products) for _ in range(2))
        added: set[int] = set()
        for j in reversed(range(len(program.products))):
            product = program.products[j]
            self.dead[j] = program.first_y + j not in written
            if self.dead[j]:
                continue
            if product.state is not None:
                self.adds[j] = 1 + product.state in written
                written.add(1 + product.state)
                continue
            like_x = trace.like_rows(product, product.inner)
            self.factors[j] = kernel = Kernel(
                program.derivative(j), (*program.inputs, like_x), trace.fake, written | tensors
            )
            added.update(kernel.writes)
            written.update(kernel.writes)
        self.writes_z = 0 in written
        self.learns = {index - 1 - count for index in written & tensors}
        self.reads = [state for state in range(count) if 1 + state in written]
        self.shared = self._find_shared(program, added)
        self.gathered = program.gathered([self.last, *self.factors.values()])

    def _find_shared(self, program: Program, added: set[int]) -> int | None:
        for j in range(len(program.products)):
            index = program.first_y + j
            node = self.last.results[index]
            if node is not None and node is self.last.results[0] and not added & {0, index}:
                self.last.leave_out(index)
                return j
        return None
