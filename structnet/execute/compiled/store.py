"""Finished programs on disk, so that another process need not trace and compile.

Kept are programs of the library's own cells: what another cell does may depend on code that is not
known. An entry is a JSON file, whose name says of what it is, and shared objects, whose names say
what is in them; one that is damaged or of other sources is made anew.
"""

import ctypes
import json
import os
import platform
import sys
import sysconfig
from collections.abc import Hashable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from structnet.cell.hooks import has_hooks, replaced_methods
from structnet.execute.compiled.fingerprint import key_of
from structnet.execute.compiled.finished import Finished, as_json
from structnet.execute.compiled.self_contained import APART, OURS, is_of_library
from structnet.system.cache import folder
from structnet.system.files import write_bytes

if TYPE_CHECKING:
    from structnet.execute.compiled.program import Program

# The modules whose functions a program is traced through or made by.
CALLED = ("structnet.cell.", "structnet.execute.")
# Where other functions that they use and are decorated by are from.
TRUSTED = (f"{Path(torch.__file__).parent}{os.sep}", f"{sysconfig.get_path('stdlib')}{os.sep}")
# What a program is made of besides the cell's own file.
SOURCES = Path(__file__).parents[2]


def name_of(cell: nn.Module, kind: Hashable) -> str | None:
    """What the program of a cell is called on disk; None where none is to be kept.

    Arguments:
        cell: the cell.
        kind: what it is traced for, besides.
    """
    if folder() is None or not _is_ours(cell):
        return None
    files = {sys.modules[type(one).__module__].__file__ for one in cell.modules()}
    parts = [_machine(), *map(_sources, sorted(filter(None, files)))]
    try:
        return sha256(repr([*parts, _plain(kind), _plain(key_of(cell))]).encode()).hexdigest()
    except TypeError:
        return None


def load(name: str, learns: bool) -> Finished | None:
    """The program of a name; None where there is none, or none that is whole.

    Arguments:
        name: from `name_of`.
        learns: whether it has to have its derivatives.
    """
    place = folder()
    if place is None:
        return None
    for path in (_entry(place, name, True), _entry(place, name, False))[: 1 if learns else 2]:
        try:
            digest, text = path.read_bytes().split(b"\n", 1)
            if digest.decode() != sha256(text).hexdigest():
                continue
            found = json.loads(text)
            return Finished(found["program"], [_library(place, one) for one in found["libraries"]])
        except (OSError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return None


def save(name: str, program: "Program", learns: bool) -> None:
    """Keep a program that has been prepared, if it can be; a disk that is full is no error."""
    place, found = folder(), as_json(program, learns)
    if place is None or found is None:
        return
    try:
        libraries = [_keep(place, Path(one._name)) for one in program.libraries]
        text = json.dumps({"libraries": libraries, "program": found}).encode()
        digest = sha256(text).hexdigest().encode()
        write_bytes(_entry(place, name, learns), digest + b"\n" + text)
    except OSError:
        return


def _entry(place: Path, name: str, learns: bool) -> Path:
    return place / f"{name}{'-learns' if learns else ''}.json"


def _keep(place: Path, library: Path) -> str:
    data = library.read_bytes()
    name = sha256(data).hexdigest()
    if not _is_whole(place / f"{name}.so", name):
        write_bytes(place / f"{name}.so", data)
    return name


def _library(place: Path, name: str) -> ctypes.CDLL:
    path = place / f"{name}.so"
    if not _is_whole(path, name):
        raise ValueError(f"{path} is damaged")
    return ctypes.CDLL(str(path))


def _is_whole(path: Path, name: str) -> bool:
    return path.is_file() and sha256(path.read_bytes()).hexdigest() == name


def _is_ours(cell: nn.Module) -> bool:
    """Whether all of a cell is the library's, with the functions that its files have."""
    for one in cell.modules():
        if has_hooks(one) or replaced_methods(one) or not _is_named(type(one)):
            return False
        if not all(map(_is_as_written, map(vars, type(one).__mro__[:-1]))):
            return False
    called = [name for name in sys.modules if name.startswith(CALLED) and name != __name__]
    modules = [sys.modules[name] for name in called]
    return all(map(_is_as_written, map(vars, modules)))


def _is_as_written(names: Mapping[str, Any]) -> bool:
    """Whether all functions of a class or a module are from files that nobody has put in place."""
    values = [
        getattr(one, "__func__", getattr(one, "fget", one))
        for name, one in names.items()
        if name not in APART
    ]
    return all(
        is_of_library(one) or _is_trusted(one.__code__.co_filename)
        for one in values
        if isinstance(one, FunctionType)
    )


def _is_trusted(file: str) -> bool:
    # Other packages may be below the standard library, and torch below these.
    return file.startswith(TRUSTED[0]) or (
        file.startswith(TRUSTED[1]) and "site-packages" not in file
    )


def _is_named(one: Any) -> bool:
    """Whether a class or function of the library is what its name stands for."""
    found: Any = sys.modules.get(one.__module__)
    for name in one.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is one and f"{one.__module__}.".startswith(OURS)


def _plain(value: Any) -> Any:
    """A key in terms that mean the same in another process; TypeError where that can't be."""
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return repr(value)
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, torch.dtype | torch.device):
        return repr(value)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        return [type(value).__qualname__, _plain(tuple(vars(value).values()))]
    if hasattr(value, "__qualname__") and hasattr(value, "__module__") and _is_named(value):
        return [value.__module__, value.__qualname__]
    raise TypeError(f"{value!r} may mean something else in another process")


@cache
def _sources(file: str) -> str:
    """What the files are that cells, programs and, if it lies elsewhere, a cell's file are of."""
    folders = {SOURCES / "cell", SOURCES / "execute", Path(file).parent}
    paths = {path for one in folders for kind in ("*.py", "*.cpp") for path in one.rglob(kind)}
    total = sha256()
    for path in sorted(paths):
        total.update(f"{path}\n".encode())
        total.update(sha256(path.read_bytes()).digest())
    return total.hexdigest()


@cache
def _machine() -> str:
    """What compiled code depends on: torch, processor and settings."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = sorted({one for one in lines if one.startswith(("model name", "flags"))})
    except OSError:
        processor = [platform.processor()]
    names = sorted(name for name in os.environ if name.startswith("TORCHINDUCTOR_"))
    names = [name for name in names if name != "TORCHINDUCTOR_CACHE_DIR"]
    settings = [(name, os.environ.get(name)) for name in (*names, "ATEN_CPU_CAPABILITY", "CXX")]
    version = torch.__version__, torch.version.git_version, sys.version, platform.machine()
    return repr((version, processor, settings))
