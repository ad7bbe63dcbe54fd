"""What is done at each level of a plan, as a list of operations that levels.cpp runs.

Operands are known by name, and an array says where each of them is in memory; this array is all
that is made anew for a chunk.
"""

import ctypes
from collections.abc import Mapping, Sequence
from enum import IntEnum
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import torch

from structnet.execute.compiled.inductor import Code
from structnet.execute.compiled.kernel import Kernel
from structnet.execute.compiled.recording import Given, Scratch, Size, Unknown, record
from structnet.execute.compiled.signature import Product

# The most arguments of a kernel that levels.cpp calls.
MOST_ARGUMENTS = 128
WIDTHS = {torch.float32: 4, torch.float64: 8}

Name = tuple[str | int, ...]


class Place(IntEnum):
    """Where a step is, as in levels.cpp."""

    NOWHERE = 0
    NODE = 1
    NODE_OF_CHUNK = 2
    NODE_OF_LEVEL = 3
    READ = 4
    READ_OF_CHUNK = 5
    READ_OF_LEVEL = 6
    NODES = 7
    SLOTS = 8
    READS = 9
    BUFFER_ROWS = 10


class Kind(IntEnum):
    """The operations of levels.cpp."""

    GATHER = 0
    CALL = 1
    MULTIPLY = 2
    ADD = 3


SIZES = {
    "nodes": Place.NODES,
    "slots": Place.SLOTS,
    "reads": Place.READS,
    "buffer_rows": Place.BUFFER_ROWS,
}


class Operand(NamedTuple):
    """The rows of a tensor: which tensor, the step's first row in it, and the bytes of a row."""

    name: Name
    place: Place = Place.NOWHERE
    stride: int = 0
    offset: int = 0


class Operations:
    """A list of operations, and which memory they need.

    Arguments:
        words: the operations as levels.cpp reads them, once `link` has put functions in.
        calls: where functions belong in `words`, and the names of these.
        sources: the functions' texts by name.
        names: the position of each operand in the array of addresses.
        rooms: memory that is needed for a level, by the operand's name.
    """

    def __init__(self) -> None:
        self._words: list[int] = []
        self.words: np.ndarray | None = None
        self.run: Any = None
        self.calls: list[tuple[int, str]] = []
        self.sources: dict[str, str] = {}
        # The first is nothing: what counts from it is a number.
        self.names: dict[Name, int] = {("nothing",): 0}
        self.rooms: dict[Name, Size] = {}

    def link(self, libraries: Sequence[ctypes.CDLL]) -> None:
        """Take functions from libraries; KeyError where they lack one."""
        words = np.array(self._words, dtype=np.int64)
        for position, name in self.calls:
            words[position] = _address(name, libraries)
        self.run = libraries[-1]["run_levels"]
        self.run.argtypes, self.run.restype = (ctypes.c_void_p, ctypes.c_int), ctypes.c_int
        self.words = words

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        rooms = [[name, *size] for name, size in self.rooms.items()]
        return {"words": self._words, "calls": self.calls, "names": [*self.names], "rooms": rooms}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Operations":
        """KeyError, TypeError or ValueError where something else was stored."""
        made = cls()
        made._words = [int(word) for word in found["words"]]
        made.calls = [(int(position), str(name)) for position, name in found["calls"]]
        made.names = {tuple(name): position for position, name in enumerate(found["names"])}
        made.rooms = {tuple(name): Size(kind, factor) for name, kind, factor in found["rooms"]}
        return made

    def base(self, *name: str | int) -> int:
        return self.names.setdefault(name, len(self.names))

    def _argument(self, operand: Operand) -> list[int]:
        return [self.base(*operand.name), operand.place, operand.stride, operand.offset]

    def _append(self, kind: Kind, words: Sequence[int]) -> None:
        self._words += [kind, len(words), *words]

    def gather(self, state: int, row: int) -> None:
        self.rooms["room", state] = Size("reads", row)
        bases = [self.base("read", state), self.base("room", state), self.base("state", state)]
        self._append(Kind.GATHER, [*bases, row])

    def multiply(
        self, x: Operand, y: Operand, weight: tuple[str, str, int], rows: Place, product: Product,
        back: bool = False, adds: bool = False,
    ) -> None:  # fmt: skip
        inner, columns = product.inner, product.columns
        sizes = (columns, inner) if back else (inner, columns)
        matrix, flag, j = weight
        bases = [self.base(matrix, j), self.base(flag, j)]
        self._append(
            Kind.MULTIPLY,
            [*self._argument(x), *self._argument(y), *bases, rows, *sizes, adds,
             WIDTHS[product.dtype]],
        )  # fmt: skip

    def add(self, state: int, columns: int, dtype: torch.dtype) -> None:
        bases = [self.base("grad read", state), self.base("grad state", state)]
        self._append(Kind.ADD, [*bases, columns, WIDTHS[dtype]])

    def call(self, kernel: Kernel, given: Sequence[Operand], symbols: Mapping[Any, str]) -> None:
        """The functions of a kernel; `given` are its inputs and its outputs in pieces."""
        used, code = kernel.make()
        if not isinstance(code, Code):
            raise Unknown("it was not compiled")
        found = record(code.code, code.inputs, symbols)
        operands = [given[index] for index in used] + list(given[len(kernel.inputs) :])
        first = sum(name[0] == "scratch" for name in self.rooms)
        for number, size in enumerate(found.scratch):
            self.rooms["scratch", first + number] = size

        def argument(one: Given | Scratch | Size) -> list[int]:
            match one:
                case Given(index, offset):
                    operand = operands[index]
                    return self._argument(operand._replace(offset=operand.offset + offset))
                case Scratch(index, size):
                    return self._argument(_number(("scratch", first + index), size))
                case Size():
                    return self._argument(_number(("nothing",), one))

        for invocation in found.invocations:
            if len(invocation.arguments) > MOST_ARGUMENTS:
                raise Unknown(f"a kernel has {len(invocation.arguments)} arguments")
            words = [word for one in invocation.arguments for word in argument(one)]
            name = f"call_{sha256(invocation.function.encode()).hexdigest()[:32]}"
            self.sources[name] = invocation.function
            self.calls.append((len(self._words) + 2, name))
            self._append(Kind.CALL, [0, len(invocation.arguments), *words])


def _number(name: Name, size: Size) -> Operand:
    """So many from an address, or from 0."""
    if size.name == "one":
        return Operand(name, offset=size.factor)
    return Operand(name, SIZES[size.name], size.factor)


def _address(name: str, libraries: Sequence[ctypes.CDLL]) -> int:
    for library in libraries:
        if hasattr(library, name):
            return ctypes.cast(library[name], ctypes.c_void_p).value or 0
    raise KeyError(name)
