"""What the command line knows of components without importing them: kept until plugins change.

A file in the cache's folder holds the descriptions of all components, and by name, time and size
everything that was imported for them. It is read where all of that is as it was, and made anew
where a distribution was installed or removed, or a file of a plugin added, changed or removed.
"""

import json
import os
import sys
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
FORM = 1
Listing = dict[str, dict[str, Any]]


def components() -> Listing:
    """Group -> component -> description, of all groups, executors among them.

    Read from the cache, unless plugins have been imported in this process already.
    """
    fresh = not plugin.imported()
    if fresh and (known := _read()) is not None:
        return known
    # Imports torch, and all plugins.
    from structnet.config.groups import executors, groups

    found = {**groups(), "executor": executors()}
    if fresh and plugin.are_all_imported():
        _write(found)
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
        known = json.loads(path.read_bytes())
        if known["installed"] == _installed() and known["sources"] == _states(known["sources"]):
            return known["components"]
    # A file that is missing, damaged or not ours: it is made anew.
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _write(found: Listing) -> None:
    if (path := _file()) is None:
        return
    known = {"installed": _installed(), "sources": _states(_sources()), "components": found}
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
            found += [[one, e.name, e.stat().st_mtime_ns] for e in of]
        except OSError:
            continue
    return sorted(found)


def _sources() -> list[str]:
    """The files of the library and of plugins that are imported, and their folders."""
    tops = {"structnet", *(one.module.split(".")[0] for one in plugin.imported())}
    files = {
        str(file)
        for name, module in list(sys.modules.items())
        if name.split(".")[0] in tops and (file := getattr(module, "__file__", None))
    }
    return sorted(files | {os.path.dirname(file) for file in files})


def _states(paths: Iterable[str]) -> dict[str, list[int] | None]:
    """Of each file its time and size, of a folder its files of Python; None where it is missing."""
    return {path: _state(path) for path in paths}


def _state(path: str) -> Any:
    try:
        if os.path.isdir(path):
            return sorted(name for name in os.listdir(path) if name.endswith(".py"))
        found = os.stat(path)
        return [found.st_mtime_ns, found.st_size]
    except OSError:
        return None
