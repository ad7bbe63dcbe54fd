"""Pairs as a user writes them, and as samples of two structures."""

from dataclasses import replace
from typing import Any

import numpy as np

import structnet as sn

# Between the two texts of a pair.
SEPARATOR = "|||"


def split_pair(text: Any, example: str) -> tuple[str, str]:
    """The two texts of a pair in one line; ValueError names path and line of one that is none."""
    parts = text.text.split(SEPARATOR)
    if len(parts) != 2 or not all(part.strip() for part in parts):
        raise ValueError(
            f"{text.path}, line {text.line}: {text.text[:100]!r} has "
            f"{sum(map(bool, map(str.strip, parts)))} texts, expected two with {SEPARATOR} between "
            f"them, as in {example!r}"
        )
    return parts[0], parts[1]


def pair_of(
    structures: tuple[Any, Any],
    inputs: tuple[sn.Tokens, sn.Tokens],
    y: Any,
    kind: int = 0,
    origin: Any = None,
    other: Any = None,
) -> sn.Sample:
    """A sample of two structures with one target; `other` is the origin of the second one."""
    second = sn.Sample(structures[1], inputs[1], np.int64(sn.IGNORE), origin=other)
    first = sn.Sample(structures[0], inputs[0], y, kind, origin)
    return replace(first, parts=(second,))
