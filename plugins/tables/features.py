"""Features of samples and nodes for baselines."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn


def of_nodes(x: Any, condition: NDArray[np.float32] | None, words: int) -> NDArray[np.float32]:
    """Features (n, F) of nodes: numbers, how often each of the first `words` tokens, condition."""
    numbers, tokens = parted(x)
    found = [np.zeros((len(x), 0)) if numbers is None else numbers]
    if tokens is not None:
        counts = np.zeros((len(x), words + 1), np.float32)
        rows = np.repeat(np.arange(len(x)), np.diff(tokens.ptr))
        np.add.at(counts, (rows, np.minimum(tokens.ids, words)), 1)
        found.append(counts)
    if condition is not None:
        found.append(np.tile(condition, (len(x), 1)))
    return np.concatenate(found, 1).astype(np.float32)


def parted(x: Any) -> tuple[Any, Any]:
    """The numbers and the tokens of what nodes are given, None for none."""
    if isinstance(x, sn.Mixed):
        return x.numbers, x.tokens
    return (None, x) if isinstance(x, sn.Tokens) else (x, None)


def summary(x: Any, condition: NDArray[np.float32] | None, words: int) -> NDArray[np.float32]:
    """Features of a whole sample: what stands in it, whatever its length.

    Of each number mean, deviation, least, largest, first, last and the last difference; the share
    of each of the first `words` tokens; the logarithm of the number of nodes; the condition.
    """
    numbers, tokens = parted(x)
    found = [np.log([len(x)])]
    if numbers is not None:
        found += [numbers.mean(0), numbers.std(0), numbers.min(0), numbers.max(0)]
        found += [numbers[0], numbers[-1], numbers[-1] - numbers[max(-2, -len(numbers))]]
    if tokens is not None:
        counts = np.bincount(np.minimum(tokens.ids, words), minlength=words + 1)
        found.append(counts / len(x))
    if condition is not None:
        found.append(condition)
    return np.concatenate(found).astype(np.float32)
