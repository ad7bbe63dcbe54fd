"""The C++ of programs, compiled by one call of the compiler: most of its time goes into headers."""

import ctypes
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from structnet.execute.compiled.inductor import compiling
from structnet.execute.compiled.making import making
from structnet.execute.compiled.native import blas
from structnet.execute.compiled.operations import Operations
from structnet.execute.compiled.program import Program
from structnet.execute.compiled.recipe import Recipe
from structnet.execute.compiled.recording import Unknown

LEVELS = Path(__file__).with_name("levels.cpp")


def prepare(programs: Sequence[Program], learns: bool) -> None:
    """Make the operations of programs, and with `learns` those of their derivatives.

    What can't be made is run from Python: `recipe` or its `backward` say so. NoCompiler without a
    C++ compiler.
    """
    with making():
        for program in programs:
            if program.recipe is None:
                program.recipe = _recipe(program)
        recipes = [program.recipe for program in programs if program.recipe]
        forward = _unlinked([one for recipe in recipes for one in (recipe.again, recipe.forward)])
        backward = _unlinked([_backward(recipe) for recipe in recipes if learns])
        try:
            library = _link([*forward, *backward])
        except Unknown:
            for program in programs:
                if program.recipe and program.recipe.forward in forward:
                    program.recipe = False
                elif program.recipe and program.recipe.backward in backward:
                    program.recipe.backward = None
            return
        for program in programs:
            if program.recipe and library is not None:
                program.libraries.append(library)


def _recipe(program: Program) -> Recipe | Literal[False]:
    if blas() is None:
        return False
    try:
        return Recipe(program)
    except Unknown:
        return False


def _backward(recipe: Recipe) -> Operations | None:
    try:
        return recipe.backward
    except Exception:
        # A step may have no derivative and none be asked for; where one is, the error comes again.
        return None


def _unlinked(lists: Sequence[Operations | None]) -> list[Operations]:
    return [one for one in lists if one is not None and one.words is None]


def _link(lists: Sequence[Operations]) -> ctypes.CDLL | None:
    if not lists:
        return None
    library = _load(_text({name: text for one in lists for name, text in one.sources.items()}))
    for one in lists:
        one.link([library])
    return library


def _text(sources: Mapping[str, str]) -> str:
    """levels.cpp, and functions that Inductor calls `kernel`, with a name for each."""
    parts = [LEVELS.read_text()]
    for name, source in sources.items():
        parts.append(
            f"#define kernel kernel_of_{name}\n{source}\n"
            f'extern "C" void {name}(const std::int64_t* given) {{ pass_on(kernel, given); }}\n'
            "#undef kernel\n"
        )
    return "".join(parts)


def _load(source: str) -> Any:
    """What the compiler makes of C++, which Inductor keeps on disk."""
    with compiling():
        from torch._inductor.codecache import CppCodeCache
        from torch._inductor.exc import CppCompileError

        try:
            try:
                return CppCodeCache.load(source)
            except OSError:
                # The file is damaged: another text is kept elsewhere.
                return CppCodeCache.load(f"{source}// compiled again\n")
        except (CppCompileError, OSError) as error:
            raise Unknown("its C++ can't be compiled") from error
