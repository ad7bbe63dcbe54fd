"""Fingerprints: of a user's files, by which changes are noticed, and of samples."""

import json
import warnings
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.tables.features import parted

# Of larger files a stretch is read in every sixteen, and the last one.
WHOLE, STRETCH, APART = 1 << 30, 1 << 20, 16


def print_of_path(source: Any) -> str | None:
    """A digest of a file, or of all files below a folder: names, sizes and contents.

    Of files of more than a gigabyte a megabyte is read in every sixteen. None for what is no path.
    """
    if not isinstance(source, str | Path):
        return None
    path = Path(source).expanduser()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    found = sha256()
    for file in files:
        name = str(file.relative_to(path)) if path.is_dir() else file.name
        size = file.stat().st_size
        found.update(json.dumps([name, size]).encode())
        step = STRETCH if size <= WHOLE else APART * STRETCH
        with file.open("rb") as data:
            for start in [*range(0, size, step), max(0, size - STRETCH)]:
                data.seek(start)
                found.update(data.read(STRETCH))
    return found.hexdigest()


def prints_of(given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Of what is read for every split: its path as it was given, and its digest."""
    found = {name: (str(source), print_of_path(source)) for name, source in given.items()}
    return {name: [path, digest] for name, (path, digest) in found.items() if digest is not None}


def compare_prints(before: Any, given: Mapping[str, Any]) -> dict[str, list[str]]:
    """Those of what is read now, with a DataWarning for a path that has changed since `before`."""
    prints = prints_of(given)
    for path in _changed(before, prints):
        warnings.warn(
            f"{path} has changed since the net was trained on it: its splits and figures are of "
            "what it holds now",
            sn.DataWarning,
            stacklevel=2,
        )
    return prints


def _changed(before: Any, now: Mapping[str, list[str]]) -> list[str]:
    """The paths that were given before as well, and hold something else now."""
    known = {pair[0]: pair[1] for pair in before.values()} if _is_prints(before) else {}
    return [path for path, digest in now.values() if known.get(path, digest) != digest]


def _is_prints(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(pair, list) and len(pair) == 2 and all(isinstance(one, str) for one in pair)
        for pair in value.values()
    )


def print_of_sample(sample: sn.Sample) -> tuple[bytes, str]:
    """A digest of what a net reads of a sample, and where the sample is."""
    found = sha256()
    numbers, tokens = parted(sample.x)
    of_tokens = () if tokens is None else (tokens.ids, tokens.ptr)
    edges = getattr(sample.structure, "index", None)
    for one in (numbers, *of_tokens, sample.condition, sample.edge_x, edges):
        if one is not None:
            found.update(f"{one.shape}".encode())
            found.update(np.ascontiguousarray(one).tobytes())
    origin: Any = sample.origin
    return found.digest(), f"{origin.path}:{origin.line}"
