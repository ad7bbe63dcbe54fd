"""The programs of cells, and what is known of a cell until it changes."""

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import nn

from structnet.execute.compiled.fingerprint import Unchanged, fingerprint
from structnet.execute.compiled.kernel import making
from structnet.execute.compiled.program import Program
from structnet.execute.compiled.self_contained import Code
from structnet.execute.compiled.trace import Signature, tensors_of

_programs: dict[tuple[Hashable, ...], Program] = {}
# The largest number of programs of one class and signature.
MOST_ALIKE = 32


@dataclass
class Counts:
    """How many programs were made."""

    made: int = 0


counts = Counts()


class Known:
    """What is known of a cell, as long as it is unchanged: its tensors, code and programs."""

    def __init__(self, cell: nn.Module):
        self.unchanged = Unchanged(cell)
        self.tensors = tuple(tensors_of(cell).values())
        self._cell = ref(cell)
        self._programs: dict[Hashable, Program] = {}

    @cached_property
    def code(self) -> Code:
        cell = self._cell()
        assert cell is not None
        return Code(cell)

    def program(self, cell: nn.Module, signature: Signature) -> Program:
        """The program of cells with this one's class, attributes and shapes."""
        kind = type(cell), signature, _autocast(signature.device.type)
        if kind not in self._programs:
            with making():
                self._programs[kind] = _find(cell, kind)
        return self._programs[kind]


def known(cell: nn.Module) -> Known:
    """What is known of a cell as it is now."""
    found = _known.get(cell)
    if found is None or not found.unchanged():
        _known[cell] = found = Known(cell)
    return found


_known: "WeakKeyDictionary[nn.Module, Known]" = WeakKeyDictionary()


def _find(cell: nn.Module, kind: tuple[Any, Signature, Any]) -> Program:
    key = *kind, fingerprint(cell)
    if key not in _programs:
        like = [other for other in _programs if other[:3] == kind]
        if len(like) == MOST_ALIKE:
            warnings.warn(
                f"attributes of {type(cell).__name__} have changed {MOST_ALIKE} times, and "
                "executor 'compiled' compiles it anew for each; make a buffer of what changes "
                "from call to call, or take executor='batched'",
                stacklevel=3,
            )
        if len(like) >= MOST_ALIKE:
            del _programs[like[0]]
        _programs[key] = Program(cell, kind[1])
        counts.made += 1
    return _programs[key]


def _autocast(kind: str) -> torch.dtype | None:
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
