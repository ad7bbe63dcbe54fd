"""The levels of a chunk as one call of C++ (levels.cpp), for kernels that are plain functions."""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from structnet.execute.compiled.finished import Finished, Lists
from structnet.execute.compiled.operations import Name, Operations
from structnet.execute.compiled.recording import Size
from structnet.execute.compiled.spans import Chunk
from structnet.execute.compiled.stepping import Bound, Gradients, Stepping

if TYPE_CHECKING:
    from structnet.execute.compiled.program import Program
    from structnet.execute.compiled.recipe import Recipe

# A level with fewer multiplications than this is computed by one thread.
ONE_THREAD = 2_000_000


class _Pass(ctypes.Structure):
    """`Pass` of levels.cpp."""

    _fields_ = [
        ("operations", ctypes.c_void_p),
        ("words", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("steps", "levels")),
        *((name, ctypes.c_int64) for name in ("first_level", "num_levels")),
        *((name, ctypes.c_void_p) for name in ("bases", "rows")),
        *((name, ctypes.c_int64) for name in ("buffer_rows", "first_node", "first_read")),
        *((name, ctypes.c_int64) for name in ("work", "most")),
        *((name, ctypes.c_void_p) for name in ("sgemm", "dgemm", "set_threads")),
    ]


class Blas(NamedTuple):
    """What levels.cpp is given of the libraries behind torch."""

    sgemm: int
    dgemm: int
    set_threads: int | None


@cache
def blas() -> Blas | None:
    """None where torch's library has no products to call."""
    library = ctypes.CDLL(str(Path(torch.__file__).with_name("lib") / "libtorch_cpu.so"))
    sgemm, dgemm = _address(library, "sgemm_"), _address(library, "dgemm_")
    if sgemm is None or dgemm is None:
        return None
    return Blas(sgemm, dgemm, _address(library, "MKL_Set_Num_Threads_Local"))


def _address(library: ctypes.CDLL, name: str) -> int | None:
    found = getattr(library, name, None)
    return None if found is None else ctypes.cast(found, ctypes.c_void_p).value


def recipe_of(program: "Program | Finished") -> "Recipe | Lists | None":
    """The operations of a program; None where its levels are run from Python."""
    return program.recipe or None


class Native:
    """What `Stepping` does, as one call for all levels of a chunk."""

    def __init__(self, bound: Bound, recipe: "Recipe | Lists"):
        self.bound, self.recipe = bound, recipe
        self.rooms: dict[Operations, list[Tensor]] = {}
        self.fixed = self._fixed()

    def _fixed(self) -> dict[Name, int]:
        """Where the operands are that are the same for all chunks."""
        plan, found = self.bound.plan, {}
        self.weights = []
        for j, weight in enumerate(self.bound.weights):
            weight = weight.detach()
            turned = not weight.is_contiguous() and weight.T.is_contiguous()
            self.weights.append(weight if turned else weight.contiguous())
            found["weight", j] = self.weights[j].data_ptr()
            found["transposed", j], found["plain", j] = int(turned), int(not turned)
        found |= _addresses("tensor", self.bound.tensors)
        # C++ says where the rows are that a level reads.
        found |= {("read", state): 0 for state in range(self.bound.program.num_states)}
        found["nothing",] = 0
        found["rows",] = plan.rows.data_ptr()
        if plan.counts is not None:
            found["counts",] = plan.counts.data_ptr()
        return found

    def forward(self, chunk: Chunk, z: Tensor, buffers: Sequence[Tensor], last: bool) -> None:
        operations = self.recipe.forward if last else self.recipe.again
        found = self._common(chunk, z, buffers) | self._nodes("new state", buffers)
        self._run(operations, chunk, found, len(buffers[0]), reverse=False)

    def _common(self, chunk: Chunk, z: Tensor, buffers: Sequence[Tensor]) -> dict[Name, int]:
        xs = {("x", j): x.data_ptr() for j, x in chunk.xs.items()}
        states, ys = _addresses("state", buffers), _addresses("y", chunk.ys)
        return {**self.fixed, **xs, **states, **ys, ("z",): z.data_ptr()}

    def _nodes(self, name: str, buffers: Sequence[Tensor]) -> dict[Name, int]:
        """The rows of the node of rank 0 in buffers."""
        return _addresses(name, [one[self.bound.plan.first_row :] for one in buffers])

    def backward(
        self, chunk: Chunk, z: Tensor, buffers: Sequence[Tensor], grads: Gradients
    ) -> None:
        operations = self.recipe.backward
        if operations is None:
            return Stepping(self.bound).backward(chunk, z, buffers, grads)
        found = {
            **self._common(chunk, z, buffers),
            **_addresses("grad state", grads.states),
            **self._nodes("new grad", grads.states),
            **_addresses("grad tensor", grads.tensors),
            **_addresses("grad y", grads.ys),
            ("grad z",): grads.z.data_ptr(),
        }
        self._run(operations, chunk, found, len(buffers[0]), reverse=True)

    def _run(
        self,
        operations: Operations,
        chunk: Chunk,
        found: dict[Name, int],
        buffer_rows: int,
        reverse: bool,
    ) -> None:
        if operations not in self.rooms:
            self.rooms[operations] = self._rooms(operations)
        rooms = self.rooms[operations]
        found |= zip(operations.rooms, (one.data_ptr() for one in rooms), strict=True)
        bases = np.array([found[name] for name in operations.names], dtype=np.int64)
        table, words, lib = self.bound.table, operations.words, blas()
        assert words is not None and lib is not None
        given = _Pass(
            operations=words.ctypes.data,
            words=len(words),
            steps=table.steps.ctypes.data,
            levels=table.bounds.ctypes.data,
            first_level=chunk.of_part.start,
            num_levels=chunk.of_part.stop - chunk.of_part.start,
            bases=bases.ctypes.data,
            rows=self.bound.plan.rows.data_ptr(),
            buffer_rows=buffer_rows,
            first_node=chunk.nodes.start,
            first_read=chunk.reads.start,
            work=self.recipe.work,
            most=ONE_THREAD,
            sgemm=lib.sgemm,
            dgemm=lib.dgemm,
            set_threads=lib.set_threads,
        )
        if operations.run(ctypes.byref(given), reverse):
            raise RuntimeError("a compiled kernel reads outside of its tensors")

    def _rooms(self, operations: Operations) -> list[Tensor]:
        return [
            torch.empty(_bytes(size, self.bound.table.most), dtype=torch.uint8)
            for size in operations.rooms.values()
        ]


def _bytes(size: Size, most: dict[str, int]) -> int:
    return size.factor * (1 if size.name == "one" else most[size.name])


def _addresses(name: str, tensors: Sequence[Tensor | None]) -> dict[Name, int]:
    return {(name, i): one.data_ptr() for i, one in enumerate(tensors) if one is not None}
