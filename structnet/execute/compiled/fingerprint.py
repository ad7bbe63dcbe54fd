"""Which cells share a program: a key of class, attributes and shapes."""

from collections.abc import Hashable
from functools import cache
from operator import is_
from types import FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from structnet.cell.base import Cell

# What a module was made with is in its attributes as far as it matters.
_MADE = frozenset({"_made_with"})


def key_of(cell: nn.Module) -> Hashable:
    """The fingerprint of a cell, the same in training and evaluation where it does the same."""
    reads = any(_reads_mode(type(one)) for one in cell.modules())
    return fingerprint(cell, _MADE if reads else _MADE | {"training"})


@cache
def _reads_mode(kind: type[nn.Module]) -> bool:
    """Whether a module may do other things in training; of others' code nothing is known."""
    if not kind.__module__.startswith(("structnet.cell.", "torch.nn.modules.")):
        return True
    methods = [one for each in kind.__mro__ if each is not nn.Module for one in vars(each).values()]
    return any("training" in one.__code__.co_names for one in methods if hasattr(one, "__code__"))


def fingerprint(
    value: Any,
    skips: frozenset[str] = _MADE,
    seen: dict[int, tuple[int, Any]] | None = None,
) -> Hashable:
    """Equal for modules that do the same to their tensors: type, attributes, shapes.

    Of a value that occurs again, such as a tied tensor, the position of its first occurrence.

    Arguments:
        value: a module, or what one holds.
        skips: the attributes that are left out.
        seen: what has occurred, by id: its position and itself.
    """
    if isinstance(value, Hashable) and not _is_looked_into(value):
        return value
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)][0]
    # Held, so that nothing else comes to have its id.
    seen[id(value)] = len(seen), value
    if isinstance(value, Tensor):
        return _layout(value)
    if isinstance(value, dict):
        return tuple((key, fingerprint(one, skips, seen)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(fingerprint(one, skips, seen) for one in value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if not hasattr(value, "__dict__"):
        return repr(value)
    kind = type(value)
    constants = tuple(
        (name, fingerprint(getattr(kind, name), skips, seen)) for name in _constants(kind)
    )
    own = {name: one for name, one in vars(value).items() if name not in skips}
    return kind, constants, fingerprint(own, skips, seen)


def _layout(value: Tensor) -> tuple[Hashable, ...]:
    return value.shape, value.stride(), value.dtype, value.device, value.requires_grad


def _is_looked_into(value: Any) -> bool:
    """Whether two of the kind may be equal that are not one, or one may change."""
    if isinstance(value, Tensor | tuple):
        return True
    # What compares by identity, functions and classes aside, is known by what it holds.
    by_identity = type(value).__hash__ is object.__hash__ and not callable(value)
    return by_identity or isinstance(value, nn.Module)


@cache
def _constants(kind: type) -> tuple[str, ...]:
    """The names of a class's attributes that are not methods."""
    framework = {object, nn.Module, *Cell.__mro__}
    return tuple(
        name
        for one in kind.__mro__
        if one not in framework
        for name, value in vars(one).items()
        if not (name.startswith("__") or callable(value) or hasattr(value, "__get__"))
        and not name.startswith("_abc")
    )


# What can't change while it is the same object.
_FIXED = (bool, int, float, str, type(None), torch.dtype, torch.device, type, FunctionType)


class Unchanged:
    """Whether a module is as it was: the same objects, of which none has changed.

    Calling it takes a small part of the time of a fingerprint.
    """

    def __init__(self, module: nn.Module):
        # Containers with what they held, tensors with their layouts, and all that may change.
        self.held: list[tuple[dict[str, Any], tuple[str, ...], tuple[Any, ...]]] = []
        self.tensors: list[tuple[Tensor, Hashable]] = []
        self.others: list[tuple[Any, Hashable]] = []
        self.constants: list[tuple[type, str, Any]] = []
        for one in module.modules():
            self._hold(vars(one))
            kind = type(one)
            for name in _constants(kind):
                self.constants.append((kind, name, getattr(kind, name)))
                self._add(getattr(kind, name))

    def _hold(self, own: dict[str, Any]) -> None:
        self.held.append((own, tuple(own), tuple(own.values())))
        for name, value in own.items():
            if name in _OF_MODULES and isinstance(value, dict):
                self._hold(value)
            elif name != "_made_with":
                self._add(value)

    def _add(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self.tensors.append((value, _layout(value)))
        elif not _is_fixed(value):
            self.others.append((value, fingerprint(value)))

    def __call__(self) -> bool:
        return (
            all(
                tuple(own) == keys and all(map(is_, own.values(), values))
                for own, keys, values in self.held
            )
            and all(_layout(one) == layout for one, layout in self.tensors)
            and all(getattr(kind, name, None) is one for kind, name, one in self.constants)
            and all(fingerprint(one) == found for one, found in self.others)
        )


def _is_fixed(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_fixed, value))
    # Modules are looked into themselves.
    return isinstance(value, (*_FIXED, nn.Module))


# The attributes that every module has.
_OF_MODULES = frozenset(vars(nn.Module()))
