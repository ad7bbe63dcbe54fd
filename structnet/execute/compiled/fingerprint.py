"""Which cells share a program: a key of class, attributes and shapes."""

from collections.abc import Hashable
from functools import cache
from typing import Any

import numpy as np
from torch import Tensor, nn

from structnet.cell.base import Cell


def fingerprint(value: Any, seen: dict[int, tuple[int, Any]] | None = None) -> Hashable:
    """Equal for modules that do the same to their tensors: type, attributes, shapes.

    Of a value that occurs again, such as a tied tensor, the position of its first occurrence.
    """
    if isinstance(value, Hashable) and not _is_looked_into(value):
        return value
    seen = {} if seen is None else seen
    if id(value) in seen:
        return seen[id(value)][0]
    # Held, so that nothing else comes to have its id.
    seen[id(value)] = len(seen), value
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device, value.requires_grad
    if isinstance(value, dict):
        return tuple((key, fingerprint(one, seen)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return tuple(fingerprint(one, seen) for one in value)
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, value.tobytes()
    if not hasattr(value, "__dict__"):
        return repr(value)
    kind = type(value)
    constants = tuple((name, fingerprint(getattr(kind, name), seen)) for name in _constants(kind))
    # What it was made with is in its attributes as far as it matters.
    own = {name: one for name, one in vars(value).items() if name != "_made_with"}
    return kind, constants, fingerprint(own, seen)


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
