"""Splits as files are called, and as trees, graphs or nodes are in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.splits import SPLIT_NAMES
from structnet.plugins.shapes.columns import Columns
from structnet.plugins.shapes.finding import Reader


def splits_of(name: str, found: Mapping[str, Reader]) -> list[tuple[str, Reader]]:
    """What reads every file, each with its split: where some are called so, by its name."""
    stems = {file: Path(file).name.split(".")[0].lower() for file in found}
    named = {file: SPLIT_NAMES.get(stem) for file, stem in stems.items()}
    if name != "all" or "train" not in named.values():
        return [(name, read) for read in found.values()]
    return [(named[file] or "train", read) for file, read in found.items()]


def masks_of(split: NDArray[Any], columns: Columns, name: str) -> tuple[Any, Any]:
    """Which trees or graphs are in a split, and which nodes."""
    mine = split == name
    sizes = np.diff(columns.ptr)
    if len(mine) == len(sizes):
        return mine, np.repeat(mine, sizes)
    return np.ones(len(sizes), bool), mine


def taken(samples: Sequence[sn.Sample], split: NDArray[Any], name: str) -> list[sn.Sample]:
    """The samples of a split; where nodes are split, with the targets of its nodes alone."""
    if len(split) == len(samples):
        return [one for one, of in zip(samples, split, strict=True) if of == name]
    found, start = [], 0
    for one in samples:
        mine = split[start : start + one.num_nodes] == name
        start += one.num_nodes
        unknown = np.nan if one.y.dtype.kind == "f" else sn.IGNORE
        y = np.where(mine if one.y.ndim == 1 else mine[:, None], one.y, unknown).astype(one.y.dtype)
        if mine.any():
            found.append(sn.Sample(**{**vars(one), "y": y}))
    return found
