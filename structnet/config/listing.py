"""What the command line knows of components without importing them: kept until plugins change.

A file in the cache's folder holds the descriptions of all components. It also has the name, time
and size of every file that was imported for them, and of the files in the same folders. If any of
these has changed, or a package was installed or removed, the file is written anew. What a plugin
reads elsewhere, such as the environment, is not noticed.
"""

import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import structnet
from structnet.registry import plugin
from structnet.system.cache import folder
from structnet.system.files import write_bytes

# Of the file's own form.
FORM = 2
ENTRY_POINTS = "entry_points.txt"
Listing = dict[str, dict[str, Any]]


def components() -> Listing:
    """Group -> component -> description, of all groups, executors among them.

    Read from the cache, unless plugins have been imported in this process already.
    """
    fresh = not plugin.imported()
    if fresh and (known := _read()) is not None:
        return known
    began = time.time_ns()
    # Imports torch, and all plugins.
    from structnet import registry
    from structnet.config.groups import executors, groups

    found = {**groups(), "executor": executors()}
    # Whoever lists a plugin that fails has to see why every time.
    if fresh and not registry.failures():
        _write(found, began)
    return found


def _file() -> Path | None:
    """The file of this installation; None where nothing is kept."""
    place = folder()
    if place is None:
        return None
    # A folder of the same name as a plugin hides it, where one is in it.
    path = [os.path.abspath(one) for one in sys.path]
    what = repr([FORM, sys.version, path, structnet.__version__, __file__])
    return place / f"components-{sha256(what.encode()).hexdigest()[:32]}.json"


def _read() -> Listing | None:
    path = _file()
    if path is None:
        return None
    try:
        known = json.loads(path.read_bytes()) if path.is_file() else {}
        if known["installed"] == _installed() and known["sources"] == _states(known["sources"]):
            return _checked(known["components"])
    # A file that is missing, damaged or not ours: it is made anew.
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return None


def _checked(found: Any) -> Listing:
    """Descriptions of components; KeyError or AttributeError for what is none."""
    for known in found.values():
        for about in known.values():
            _ = about["doc"], about["options"].values()
    if not found:
        raise KeyError("components")
    return found


def _write(found: Listing, began: int) -> None:
    """Write the file, unless a source has changed since a time, of which either may be imported."""
    if (path := _file()) is None:
        return
    sources = _states(_sources())
    if any(state and not isinstance(state[0], list) and state[0] >= began
           for state in sources.values()):  # fmt: skip
        return
    known = {"installed": _installed(), "sources": sources, "components": found}
    # A full disk, for example, does not keep anyone from reading a list.
    with suppress(OSError):
        write_bytes(path, json.dumps(known).encode())


def _installed() -> list[list[Any]]:
    """The distributions on the path, by name and time."""
    found = []
    for one in sys.path:
        try:
            with os.scandir(one or ".") as entries:
                of = [e for e in entries if e.name.endswith((".dist-info", ".egg-info"))]
            found += [
                [one, e.name, e.stat().st_mtime_ns, _state(os.path.join(e.path, ENTRY_POINTS))]
                for e in of
            ]
        except OSError:
            continue
    return sorted(found)


def _sources() -> list[str]:
    """The files of the library, of plugins and of what else is no package, and their folders."""
    tops = {"structnet", *(one.module.split(".")[0] for one in plugin.imported())}
    kept = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib"))
    files = set()
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        # A helper of a plugin may stand anywhere; packages change where they are installed anew.
        if file and (name.split(".")[0] in tops or not str(file).startswith(kept)):
            files.add(str(file))
    return sorted(files | {os.path.dirname(file) for file in files})


def _states(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """Of each file its time and size, of a folder those of what is in it; None where missing."""
    return {path: _state(path) for path in paths}


def _state(path: str) -> Any:
    try:
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                return sorted(
                    [e.name, *([e.stat().st_mtime_ns, e.stat().st_size] if e.is_file() else [])]
                    for e in entries
                    if e.name != "__pycache__"
                )
        found = os.stat(path)
        return [found.st_mtime_ns, found.st_size]
    except OSError:
        return None
