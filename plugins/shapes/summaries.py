"""What is known of a tree, a graph or a node without its structure, for models to compare with."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

import structnet as sn

# The tokens that boosted trees have a column for, the most frequent ones.
TOKENS = 100


def summaries(samples: Sequence[sn.Sample], per_node: bool, words: int) -> tuple[Any, NDArray]:
    """Features (m, F), sparse and dense, one row per sample or node.

    Of a sample: its nodes, edges and leaves, the most children, the means of its nodes' numbers,
    what it is given beside them, and how often each token is there. Of a node: its numbers, its
    tokens, and how many edges lead to it and from it.

    Arguments:
        samples: the samples.
        per_node: whether rows are nodes.
        words: the size of the vocabulary, 0 without one.
    """
    rows = [_of_nodes(one) if per_node else _of_sample(one) for one in samples]
    numbers = np.concatenate([numbers for numbers, _ in rows]).astype(np.float32)
    bags = [bag for _, some in rows for bag in some]
    ptr = np.concatenate([[0], np.cumsum([len(bag) for bag in bags])])
    ids = np.concatenate(bags) if bags else np.zeros(0, np.int64)
    counts = csr_array((np.ones(len(ids), np.float32), ids, ptr), shape=(len(bags), max(1, words)))
    counts.sum_duplicates()
    # Vocabularies are by falling count.
    few = counts[:, : TOKENS + 1].toarray()
    return csr_array(hstack([csr_array(numbers), counts])), np.hstack([numbers, few])


def _of_sample(sample: sn.Sample) -> tuple[NDArray, list[NDArray]]:
    numbers, tokens = _parts(sample.x)
    source, target = sample.structure.index
    incoming = np.bincount(target, minlength=len(sample.x))
    size = [len(sample.x), len(source), (incoming == 0).sum(), incoming.max(initial=0)]
    means = [] if numbers is None else numbers.mean(0)
    beside = [] if sample.condition is None else sample.condition
    bags = [np.zeros(0, np.int64) if tokens is None else np.asarray(tokens.ids)]
    return np.concatenate([size, means, beside])[None], bags


def _of_nodes(sample: sn.Sample) -> tuple[NDArray, list[NDArray]]:
    numbers, tokens = _parts(sample.x)
    count = len(sample.x)
    degrees = [np.bincount(end, minlength=count)[:, None] for end in sample.structure.index]
    own = [] if numbers is None else [numbers]
    if tokens is None:
        bags = [np.zeros(0, np.int64)] * count
    else:
        bags = np.split(np.asarray(tokens.ids), np.asarray(tokens.ptr)[1:-1])
    return np.hstack([*degrees, *own]), bags


def _parts(x: Any) -> tuple[NDArray | None, sn.Tokens | None]:
    """The numbers and the tokens of nodes."""
    if isinstance(x, sn.Mixed):
        return x.numbers, x.tokens
    return (None, x) if isinstance(x, sn.Tokens) else (x, None)
