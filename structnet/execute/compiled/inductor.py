"""What Inductor makes of functions: Python that calls C++, which is compiled where it is needed."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from structnet.execute.compiled.making import making
from structnet.execute.compiled.refusal import NoCompiler

# A kernel is for any number of threads; sizes were checked where the graph was made.
OPTIONS = {"cpp.dynamic_threads": True, "size_asserts": False}


class Code:
    """What Inductor makes of a function, and the tensors without data that it was made for."""

    def __init__(self, code: Any, inputs: Sequence[Tensor]):
        self.code, self.inputs = code, inputs

    def __call__(self, *given: Tensor) -> None:
        self.code(list(given))


class Function:
    """A C++ function `kernel` that Inductor has written; compiled by itself at its first call.

    Arguments:
        types: those of its arguments.
        source: its text.
    """

    def __init__(self, types: list[str], source: str):
        self.types, self.source = types, source
        self._compiled: Callable | None = None

    def __call__(self, *given: Any) -> None:
        if self._compiled is None:
            self._compiled = self._compile()
        self._compiled(*given)

    def _compile(self) -> Callable:
        from torch._inductor.codecache import CppPythonBindingsCodeCache

        with making(), compiling():
            return CppPythonBindingsCodeCache.load_pybinding(self.types, self.source)


@contextmanager
def compiling() -> Iterator[None]:
    """Inductor's settings; NoCompiler where it finds no compiler."""
    with warnings.catch_warnings():
        # What Inductor imports warns of itself.
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch._inductor import config
        from torch._inductor.exc import InductorError, InvalidCxxCompiler

    # Inductor would compile a program to see whether the compiler knows the processor's vectors.
    known = config.cpp.vec_isa_ok
    try:
        with config.patch({**OPTIONS, "cpp.vec_isa_ok": True if known is None else known}):
            yield
    except InvalidCxxCompiler as error:
        raise NoCompiler from error
    except InductorError as error:
        if not isinstance(error.inner_exception, InvalidCxxCompiler):
            raise
        raise NoCompiler from error


@contextmanager
def _writing() -> Iterator[None]:
    """Inductor writes C++ functions and does not compile them."""
    from torch._inductor.async_compile import AsyncCompile

    def write(self: AsyncCompile, argtypes: list[str], source_code: str) -> Any:
        return Function(argtypes, source_code)

    before = AsyncCompile.cpp_pybinding
    AsyncCompile.cpp_pybinding = write
    try:
        yield
    finally:
        AsyncCompile.cpp_pybinding = before


def compile_function(
    function: Callable, inputs: Sequence[Tensor], fake: FakeTensorMode
) -> Callable:
    """By Inductor; RuntimeError where it finds no compiler.

    Not by way of torch.compile or standalone_compile: what they put around every call, for graphs
    that allocate and may be differentiated, takes a tenth of a step with hundreds of small levels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # Only who compiles waits for it.
        from torch._guards import TracingContext, tracing
        from torch._inductor.compile_fx import compile_fx_inner
        from torch._inductor.decomposition import select_decomp_table

    with compiling(), _writing(), tracing(TracingContext(fake)), fake:
        graph = make_fx(function, decomposition_table=select_decomp_table())(*inputs)
        code = compile_fx_inner(graph, list(inputs))
    return Code(code, inputs)
