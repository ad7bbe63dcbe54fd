"""The operations of a program: forward, forward without the new states, and backward."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch

from structnet.execute.compiled.kernel import Kernel
from structnet.execute.compiled.making import making
from structnet.execute.compiled.operations import WIDTHS, Operand, Operations, Place
from structnet.execute.compiled.program import Program
from structnet.execute.compiled.recording import Size, Unknown


class Recipe:
    """The operations of a program; Unknown where its kernels are more than plain functions.

    Arguments:
        forward, again: with and without the new states.
    """

    def __init__(self, program: Program):
        self.program, self.trace = program, program.trace
        if self.trace.signature.device.type != "cpu":
            raise Unknown("it is not for the processor")
        dtypes = {self.trace.signature.state_dtype, *(one.dtype for one in program.products)}
        if not dtypes <= set(WIDTHS):
            raise Unknown("its numbers are neither float32 nor float64")
        self.width = WIDTHS[self.trace.signature.state_dtype]
        self.symbols = self._symbols()
        self.work = sum(
            one.inner * one.columns * (self.trace.slots if one.per_slot else 1)
            for one in program.products
        )
        self.again = self._forward(last=False)
        self.forward = self._forward(last=True)

    @cached_property
    def backward(self) -> Operations | None:
        """None where a kernel of the derivatives is more than a plain function."""
        with making():
            try:
                return self._make_backward()
            except Unknown:
                return None

    def _symbols(self) -> dict[Any, str]:
        sizes: list[tuple[Any, str]] = [(self.trace.z.shape[0], "nodes")]
        sizes.append((self.trace.rows.shape[1], "slots"))
        if self.trace.gathers:
            sizes += [(state.shape[0], "buffer_rows") for state in self.trace.states]
        return {size.node.expr: name for size, name in sizes if isinstance(size, torch.SymInt)}

    def _product_rows(self, name: str, j: int, columns: int, of_level: bool = False) -> Operand:
        product = self.program.products[j]
        if of_level:
            place = Place.READ_OF_LEVEL if product.per_slot else Place.NODE_OF_LEVEL
        else:
            place = Place.READ_OF_CHUNK if product.per_slot else Place.NODE_OF_CHUNK
        return Operand((name, j), place, columns * WIDTHS[product.dtype])

    def _ys(self, name: str) -> list[Operand]:
        columns = [one.columns for one in self.program.products]
        return [self._product_rows(name, j, wide) for j, wide in enumerate(columns)]

    def _inputs(self) -> list[Operand]:
        """Of every kernel: z, rows, states, the cell's tensors, y and counts."""
        trace, sizes = self.trace, self.trace.sizes
        states = [
            Operand(("state", s))
            if trace.gathers
            else Operand(("read", s), Place.READ_OF_LEVEL, size * self.width)
            for s, size in enumerate(sizes)
        ]
        return [
            self._z("z"),
            Operand(("rows",), Place.READ, 8),
            *states,
            *(Operand(("tensor", i)) for i in range(len(trace.tensors))),
            *self._ys("y"),
            *(Operand(("counts",), Place.READ, 1) for _ in trace.counts),
        ]

    def _z(self, name: str) -> Operand:
        z = self.trace.z
        return Operand((name,), Place.NODE_OF_CHUNK, z.shape[1] * z.element_size())

    def _states(self, name: str) -> list[Operand]:
        return [
            Operand((name, s), Place.NODE, size * self.width)
            for s, size in enumerate(self.trace.sizes)
        ]

    def _forward(self, last: bool) -> Operations:
        made, program = Operations(), self.program
        read = {one.state for one in program.products if one.state is not None}
        for state in sorted(read | set(program.reads)):
            made.gather(state, self.trace.sizes[state] * self.width)
        for j, product in enumerate(program.products):
            y = self._product_rows("y", j, product.columns)
            if product.state is None:
                x = self._product_rows("x", j, product.inner)
                kernel = program.factors[j]
                made.call(kernel, [*self._inputs(), *_pieces(kernel, [x])], self.symbols)
            else:
                x = Operand(("read", product.state))
            rows = Place.READS if product.per_slot else Place.NODES
            made.multiply(x, y, ("weight", "transposed", j), rows, product)
        if last:
            into = _pieces(program.last, self._states("new state"))
            made.call(program.last, [*self._inputs(), *into], self.symbols)
        return made

    def _make_backward(self) -> Operations:
        made, program, back = Operations(), self.program, self.program.backward
        for state in back.gathered:
            made.gather(state, self.trace.sizes[state] * self.width)
        for state in back.reads:
            made.rooms["grad read", state] = Size("reads", self.trace.sizes[state] * self.width)
        inputs, into = self._inputs(), [
            self._z("grad z"),
            *(
                Operand(("grad read", s), Place.READ_OF_LEVEL, size * self.width)
                for s, size in enumerate(self.trace.sizes)
            ),
            *(Operand(("grad tensor", i)) for i in range(len(self.trace.tensors))),
            *self._ys("grad y"),
        ]  # fmt: skip
        given = [*inputs, *self._states("new grad")]
        made.call(back.last, [*given, *_pieces(back.last, into)], self.symbols)
        for j in (j for j in reversed(range(len(program.products))) if not back.dead[j]):
            product = program.products[j]
            rows = Place.READS if product.per_slot else Place.NODES
            y, weight = self._product_rows("grad y", j, product.columns), ("weight", "plain", j)
            if product.state is not None:
                x = Operand(("grad read", product.state))
                made.multiply(y, x, weight, rows, product, back=True, adds=back.adds[j])
                continue
            x = self._product_rows("grad x", j, product.inner, of_level=True)
            kind = "reads" if product.per_slot else "nodes"
            made.rooms[x.name] = Size(kind, x.stride)
            made.multiply(y, Operand(x.name), weight, rows, product, back=True)
            kernel = back.factors[j]
            made.call(kernel, [*inputs, x, *_pieces(kernel, into)], self.symbols)
        for state in back.reads:
            made.add(state, self.trace.sizes[state], self.trace.signature.state_dtype)
        return made


def _pieces(kernel: Kernel, results: Sequence[Operand]) -> list[Operand]:
    """Where a kernel writes its results, which may be in pieces side by side."""
    found = []
    for index, pieces, widths, _ in kernel.targets:
        whole = results[index]
        if len(widths) < 2:
            found.append(whole)
            continue
        item, before = pieces[0].meta["val"].element_size(), 0
        for width in widths:
            found.append(whole._replace(offset=before * item))
            before += width
    return found
