"""Whether the code of a user's cell depends on nothing that may change without being seen.

What is compiled is what a cell did when it was traced. Its attributes and tensors are watched
(fingerprint.py); here its code is read, for what else it reads or changes: globals, closures, other
functions, counters. A cell whose code is all known may be compiled without being asked.
"""

import builtins
import dis
import math
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import cache, partial
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import torch
from torch import nn
from torch.overrides import get_overridable_functions

# The modules whose classes are the library's own or torch's layers.
OURS = ("structnet.", "torch.nn.")
FRAMEWORK = (*OURS, "builtins", "abc", "typing")
# Not called by a pass.
APART = frozenset(["__init__", "reset_parameters", "extra_repr"])
# Methods and attributes of modules that change them, or that reach what nobody watches.
CHANGING = frozenset(
    name
    for name in dir(nn.Module())
    if name.startswith(("_", "register_", "add_", "set_", "load_")) and name != "__init__"
) | {"train", "eval", "requires_grad_", "zero_grad", "apply", "__globals__", "__code__"}
# What of a tensor depends on autograd, or acts in it.
OF_AUTOGRAD = frozenset(
    ["grad", "grad_fn", "requires_grad", "is_leaf", "register_hook", "retain_grad", "retains_grad"]
)
# fmt: off
BUILTINS = frozenset([
    abs, all, any, bool, dict, divmod, enumerate, float, int, isinstance, len, list, max, min,
    range, reversed, round, set, slice, sorted, sum, super, tuple, zip,
])
# fmt: on
FIXED = (bool, int, float, str, type(None), torch.dtype, torch.device)
# Functions that make tensors of constants, beside those that take tensors.
MAKERS = (torch.zeros, torch.ones, torch.full, torch.arange, torch.eye, torch.tensor)
ATTRIBUTES = frozenset(["LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"])
# Of local variables.
LOCAL = ("STORE_FAST", "STORE_DEREF")
WRITES = ("STORE_", "DELETE_GLOBAL", "DELETE_ATTR", "DELETE_SUBSCR", "IMPORT_")


class _Open(Exception):
    """What in the code of a cell is not known."""


class Same:
    """Objects; equal to others that are the same ones."""

    def __init__(self, values: Sequence[Any]):
        # Held, so that nothing else comes to have their ids.
        self.values, self.ids = values, tuple(map(id, values))

    def __hash__(self) -> int:
        return hash(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.ids == other.ids


class Code:
    """The code that a cell runs outside of the library.

    Attributes:
        why_not: what in it may change unseen; None where all is known.
    """

    def __init__(self, cell: nn.Module):
        # How to look up what the code reads, and what was found.
        self._held: list[tuple[Callable[[], Any], Any]] = []
        self._seen: set[FunctionType] = set()
        self.why_not: str | None = None
        try:
            for one in cell.modules():
                self._read_module(one)
        except _Open as found:
            self.why_not = str(found)

    def is_unchanged(self) -> bool:
        """Whether every name stands for what it stood for."""
        return all(look() is value for look, value in self._held)

    @property
    def read(self) -> "Same":
        """What the names stood for, as a part of the key of a program."""
        return Same([value for _, value in self._held])

    def _read_module(self, module: nn.Module) -> None:
        kind = type(module)
        if is_ours(kind):
            return
        for name, value in vars(module).items():
            # Modules and tensors among them are not registered: neither is watched.
            if name not in OWN:
                self._read(value, f"{kind.__name__}.{name}")
        for one in kind.__mro__:
            if not one.__module__.startswith(FRAMEWORK):
                self._read_class(one)

    def _read_class(self, kind: type) -> None:
        # A method may be added later.
        self._hold(lambda: len(vars(kind)), len(vars(kind)))
        for name, value in vars(kind).items():
            where = f"{kind.__name__}.{name}"
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if name in APART or name in BARE or name.startswith("_abc"):
                continue
            self._hold(lambda name=name: vars(kind).get(name), value)
            self._read(function, where)

    def _read(self, value: Any, where: str) -> None:
        """Raises _Open for a value that may change, or do something unknown."""
        if isinstance(value, tuple):
            for one in value:
                self._read(one, where)
        elif isinstance(value, FunctionType) and not is_known(value):
            self._read_function(value)
        elif not (isinstance(value, FIXED) or is_known(value)):
            raise _Open(f"{where} is a {type(value).__name__}")

    def _read_function(self, function: FunctionType) -> None:
        if function in self._seen:
            return
        self._seen.add(function)
        where, code = function.__qualname__, function.__code__
        self._hold(lambda: function.__code__, code)
        self._hold(lambda: function.__defaults__, function.__defaults__)
        given = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._read(given, f"a default of {where}")
        closure = dict(zip(code.co_freevars, function.__closure__ or (), strict=True))
        closure.pop("__class__", None)
        for part in _with_nested(code):
            self._read_code(part, function.__globals__, closure, where)

    def _read_code(
        self, code: CodeType, names: Mapping[str, Any], closure: Mapping[str, CellType], where: str
    ) -> None:
        steps = list(dis.get_instructions(code))
        for at, step in enumerate(steps):
            name = step.argval
            is_local = step.opname.startswith(LOCAL) and name not in closure
            if step.opname.startswith(WRITES) and not is_local:
                raise _Open(f"{where} assigns or imports {name or 'an entry'}")
            # The end of an except clause: what is caught may be an error of tracing.
            if step.opname == "POP_EXCEPT":
                raise _Open(f"{where} catches errors")
            if step.opname in ATTRIBUTES and name in CHANGING | OF_AUTOGRAD:
                raise _Open(f"{where} uses {name}")
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                look = partial(_global, names, name)
                self._read_name(f"the global {name}", look, steps[at + 1 :], where)
            elif step.opname == "LOAD_DEREF" and name in closure:
                look = partial(_content, closure[name])
                self._read_name(name, look, steps[at + 1 :], where)

    def _read_name(
        self, name: str, look: Callable[[], Any], after: list[dis.Instruction], where: str
    ) -> None:
        """Read what a name stands for, or what the attributes after it find in a module."""
        value = look()
        self._hold(look, value)
        for step in after:
            if not isinstance(value, ModuleType) or step.opname not in ATTRIBUTES:
                break
            look = partial(getattr, value, step.argval, None)
            value, name = look(), f"{name}.{step.argval}"
            self._hold(look, value)
        self._read(value, f"{name}, which {where} reads,")

    def _hold(self, look: Callable[[], Any], value: Any) -> None:
        self._held.append((look, value))


def _global(names: Mapping[str, Any], name: str) -> Any:
    return names.get(name, getattr(builtins, name, None))


def _content(place: CellType) -> Any:
    try:
        return place.cell_contents
    except ValueError:
        return None


def is_ours(kind: type) -> bool:
    """Whether a class is the library's own or one of torch's layers."""
    return kind.__module__.startswith(OURS)


def is_known(value: Any) -> bool:
    """Whether a function or class does nothing but compute what it returns."""
    if not (callable(value) and isinstance(value, Hashable)):
        return False
    if value in BUILTINS or value in _of_tensors():
        return True
    if isinstance(value, type):
        return is_ours(value) or issubclass(value, Exception | torch.Size)
    return is_of_library(value) or getattr(math, getattr(value, "__name__", ""), None) is value


def is_of_library(value: Any) -> bool:
    """Whether a function is in the file of the library's module that it names.

    A decorator's, which takes over the name of the module, is not.
    """
    if not isinstance(value, FunctionType) or not value.__module__.startswith("structnet."):
        return False
    return getattr(sys.modules.get(value.__module__), "__file__", "") == value.__code__.co_filename


@cache
def _of_tensors() -> frozenset[Any]:
    """Torch's functions of tensors, and those that make constants."""
    names = get_overridable_functions()
    spaces = (torch, nn.functional, torch.linalg, torch.special)
    return frozenset(one for space in spaces for one in names[space]) | frozenset(MAKERS)


def _with_nested(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of those defined in it."""
    yield code
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _with_nested(one)


# The attributes of every module, and how it was made.
OWN = frozenset(vars(nn.Module())) | {"_made_with"}
# Those of every class, which are no code.
BARE = frozenset(vars(type("Bare", (), {}))) | {
    "__annotations__", "__abstractmethods__", "__parameters__", "__orig_bases__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__static_attributes__", "__firstlineno__",
}  # fmt: skip
