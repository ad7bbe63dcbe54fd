"""What code made by Inductor does when it is called: which C++ functions, with which arguments.

A function over pointers and sizes is then called directly, without the Python around it. Its
arguments are found by running that Python on tensors of three different sizes, with recorders in
the place of the functions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from structnet.execute.compiled.graph import expression
from structnet.execute.compiled.inductor import Function

# Of the symbols for nodes, slots and rows of the state buffers; primes, so that a product of a
# size and a small number says which ones they are.
SIZES = ((7, 3, 29), (11, 5, 31), (13, 2, 37))
NAMES = ("nodes", "slots", "buffer_rows")


class Size(NamedTuple):
    """A number of `factor` for each of `name`: nodes, slots, reads, buffer_rows or one."""

    name: str
    factor: int


class Given(NamedTuple):
    """The tensor that is passed on, counted from the first, from this byte on."""

    index: int
    offset: int


class Scratch(NamedTuple):
    """Memory that the code allocates, counted from the first, from this byte on."""

    index: int
    offset: Size


# An argument in one run: kind, index and offset of a tensor, or a number.
Observed = tuple[str, int, int] | int


class Invocation(NamedTuple):
    """The text of a C++ function, and what it is called with."""

    function: str
    arguments: tuple[Given | Scratch | Size, ...]


@dataclass(frozen=True)
class Recording:
    """The functions that code calls, one after another, and the bytes of its scratch."""

    invocations: list[Invocation]
    scratch: list[Size]


class Unknown(Exception):
    """The code does what can't be recorded, such as a call of a function of torch."""


def record(code: Any, inputs: Sequence[Tensor], symbols: Mapping[Any, str]) -> Recording:
    """What compiled code does; Unknown where that is not known.

    Arguments:
        code: what Inductor made.
        inputs: the tensors without data that it was made for.
        symbols: symbol of a size -> nodes, slots or buffer_rows.
    """
    # Code without any kernel, such as that of a constant, is a plain function.
    current = getattr(code, "current_callable", None)
    call = getattr(current, "__func__", current)
    space = getattr(call, "__globals__", None)
    if call is None or space is None:
        raise Unknown("it is no Python function")
    if unknown := {"extern_kernels", "aten", "ops"} & set(call.__code__.co_names):
        raise Unknown(f"it uses {unknown.pop()}")
    try:
        seen = [_run(code, space, inputs, symbols, values) for values in SIZES]
    except (AttributeError, KeyError, TypeError) as error:
        # What Inductor makes has another form in this version of torch.
        raise Unknown(str(error)) from error
    return _merge(seen)


class _Seen:
    """One run: functions with pointers and numbers, and what was allocated."""

    def __init__(self, values: Sequence[int], given: Sequence[Tensor]):
        nodes, slots, buffer_rows = values
        self.sizes = {
            "reads": nodes * slots, "buffer_rows": buffer_rows, "nodes": nodes, "slots": slots,
        }  # fmt: skip
        self.given = given
        self.scratch: list[Tensor] = []
        self.calls: list[tuple[str, list[Observed]]] = []

    def allocate(self, *given: Any) -> Tensor:
        self.scratch.append(torch.empty_strided(given[0], given[1], dtype=given[2]))
        return self.scratch[-1]

    def called(self, function: str, given: Sequence[Any]) -> None:
        self.calls.append((function, [self._argument(one) for one in given]))

    def _argument(self, one: Any) -> Observed:
        if type(one) is int:
            return one
        if not isinstance(one, Tensor):
            raise Unknown(f"an argument is a {type(one).__name__}")
        for kind, tensors in (("given", self.given), ("scratch", self.scratch)):
            for index, tensor in enumerate(tensors):
                offset = one.data_ptr() - tensor.data_ptr()
                if offset == 0 or 0 < offset < tensor.untyped_storage().nbytes():
                    return kind, index, offset
        raise Unknown("an argument is neither given nor allocated")


def _run(
    code: Any,
    space: dict[str, Any],
    inputs: Sequence[Tensor],
    symbols: Mapping[Any, str],
    values: Sequence[int],
) -> _Seen:
    known: dict[str, int] = dict(zip(NAMES, values, strict=True))
    chosen = {symbol: known[name] for symbol, name in symbols.items()}

    def number(size: Any) -> int:
        found = expression(size)
        return int(found.subs(chosen)) if hasattr(found, "subs") else int(found)

    def real(like: Tensor) -> Tensor:
        shape, stride = map(number, like.shape), map(number, like.stride())
        return torch.empty_strided(tuple(shape), tuple(stride), dtype=like.dtype)

    seen = _Seen(values, [real(one) for one in inputs])
    replaced: dict[str, Any] = {
        name: _recorder(seen, one) for name, one in space.items() if name.startswith("cpp_fused")
    }
    replaced["empty_strided_cpu"] = seen.allocate
    before = {name: space[name] for name in replaced}
    space.update(replaced)
    try:
        code.current_callable(list(seen.given))
    finally:
        space.update(before)
    return seen


def _recorder(seen: _Seen, function: Any) -> Callable[..., None]:
    """In place of a C++ function."""
    if not isinstance(function, Function):
        raise Unknown("its functions are not C++ that is compiled later")
    return lambda *given: seen.called(function.source, given)


def _merge(seen: Sequence[_Seen]) -> Recording:
    first = seen[0]
    if any(len(one.calls) != len(first.calls) for one in seen):
        raise Unknown("it calls other functions for other sizes")
    invocations = []
    for together in zip(*(one.calls for one in seen), strict=True):
        functions, arguments = zip(*together, strict=True)
        if len(set(functions)) > 1:
            raise Unknown("it calls other functions for other sizes")
        found = tuple(_same(seen, several) for several in zip(*arguments, strict=True))
        invocations.append(Invocation(functions[0], found))
    sizes = [[one.untyped_storage().nbytes() for one in run.scratch] for run in seen]
    if len({len(one) for one in sizes}) > 1:
        raise Unknown("it allocates another number of tensors for other sizes")
    return Recording(invocations, [_size(seen, several) for several in zip(*sizes, strict=True)])


def _same(seen: Sequence[_Seen], several: Sequence[Any]) -> Given | Scratch | Size:
    """What an argument is in every run."""
    if all(type(one) is int for one in several):
        return _size(seen, several)
    if len({one[:2] for one in several}) > 1:
        raise Unknown("it passes on other tensors for other sizes")
    kind, index, _ = several[0]
    offset = _size(seen, [one[2] for one in several])
    if kind == "scratch":
        return Scratch(index, offset)
    if offset.name != "one":
        raise Unknown("it passes on a part of a tensor that depends on sizes")
    return Given(index, offset.factor)


def _size(seen: Sequence[_Seen], several: Sequence[int]) -> Size:
    if len(set(several)) == 1:
        return Size("one", several[0])
    for name in seen[0].sizes:
        factor = several[0] // seen[0].sizes[name]
        if all(one == factor * run.sizes[name] for one, run in zip(several, seen, strict=True)):
            return Size(name, factor)
    raise Unknown(
        "a kernel takes a size that does not grow in step with the number of nodes, slots or rows"
    )
