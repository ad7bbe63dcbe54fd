"""The programs of cells, and what is known of a cell until it changes."""

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import nn

from structnet.execute.compiled.fingerprint import Unchanged, key_of
from structnet.execute.compiled.finished import Finished
from structnet.execute.compiled.making import making
from structnet.execute.compiled.self_contained import Code
from structnet.execute.compiled.signature import Signature, tensors_of
from structnet.execute.compiled.store import load, name_of, save

if TYPE_CHECKING:
    from structnet.execute.compiled.program import Program

_programs: dict[tuple[Hashable, ...], "Program | Finished"] = {}
# The largest number of programs of one class and signature.
MOST_ALIKE = 32


@dataclass
class Counts:
    """How many programs were made or read."""

    made: int = 0


counts = Counts()


class Known:
    """What is known of a cell, as long as it is unchanged: its tensors, code and programs."""

    def __init__(self, cell: nn.Module):
        self.unchanged = Unchanged(cell)
        self.tensors = tuple(tensors_of(cell).values())
        self._cell = ref(cell)
        self._programs: dict[Hashable, Program | Finished] = {}

    @cached_property
    def code(self) -> Code:
        cell = self._cell()
        assert cell is not None
        return Code(cell)

    def programs(
        self, cell: nn.Module, signatures: Sequence[Signature], learns: bool
    ) -> list["Program | Finished"]:
        """The programs of cells with this one's class, attributes and shapes.

        Arguments:
            cell: the cell.
            signatures: one for each program.
            learns: whether derivatives are needed.
        """
        kinds = [(type(cell), one, _autocast(one.device.type)) for one in signatures]
        if any((kind, learns) not in self._programs for kind in kinds):
            with making():
                for kind, program in zip(kinds, _find(cell, kinds, learns), strict=True):
                    self._programs[kind, learns] = program
        return [self._programs[kind, learns] for kind in kinds]


def known(cell: nn.Module) -> Known:
    """What is known of a cell as it is now."""
    found = _known.get(cell)
    if found is None or not found.unchanged():
        _known[cell] = found = Known(cell)
    return found


_known: "WeakKeyDictionary[nn.Module, Known]" = WeakKeyDictionary()


def _find(
    cell: nn.Module, kinds: Sequence[tuple[Any, Signature, Any]], learns: bool
) -> list["Program | Finished"]:
    """Programs in memory, on disk or, together, made anew."""
    named = [(name_of(cell, kind[1:]), kind) for kind in kinds]
    programs = [(name, _program(cell, kind, name, learns)) for name, kind in named]
    fresh = [
        (name, one)
        for name, one in programs
        if not isinstance(one, Finished) and learns not in one.prepared
    ]
    if fresh:
        # What traces and compiles takes a while to import.
        from structnet.execute.compiled.linking import prepare

        prepare([one for _, one in fresh], learns)
    for name, one in fresh:
        one.prepared.add(learns)
        if name is not None:
            save(name, one, learns)
    return [one for _, one in programs]


def _program(
    cell: nn.Module, kind: tuple[Any, Signature, Any], name: str | None, learns: bool
) -> "Program | Finished":
    key = *kind, key_of(cell), known(cell).code.read
    found = _programs.get(key)
    if found is None:
        _make_room(kind)
    # One that was read without its derivatives gives way to one with them.
    if found is None or (learns and isinstance(found, Finished) and not found.learns):
        _programs[key] = made = (name and load(name, learns)) or _trace(cell, kind[1])
        # One from disk counts too: what is done must not depend on what is there.
        counts.made += found is None
        return made
    return found


def _make_room(kind: tuple[Any, Signature, Any]) -> None:
    """For one more program of a class and signature."""
    like = [other for other in _programs if other[:3] == kind]
    if len(like) == MOST_ALIKE:
        warnings.warn(
            f"attributes of {kind[0].__name__} have changed {MOST_ALIKE} times, and "
            "executor 'compiled' compiles it anew for each; make a buffer of what changes "
            "from call to call, or take executor='batched'",
            stacklevel=4,
        )
    if len(like) >= MOST_ALIKE:
        del _programs[like[0]]


def _trace(cell: nn.Module, signature: Signature) -> "Program":
    from structnet.execute.compiled.program import Program

    return Program(cell, signature)


def _autocast(kind: str) -> torch.dtype | None:
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
