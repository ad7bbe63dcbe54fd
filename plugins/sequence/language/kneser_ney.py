"""N-gram models with modified Kneser-Ney smoothing, counted and looked up as sorted arrays.

V: tokens of the vocabulary. An n-gram has a number, that of its place among the sorted n-grams of
its length; with the number of the n-gram without its last token, and that token, it is looked up by
binary search.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
# Counts of 1, of 2, and of 3 and more have a discount each.
MOST = 3
# The least discount: without any, a token that was not counted would have probability 0.
LEAST = 0.01


class Order(NamedTuple):
    """The n-grams of one length: M of them, after H contexts of one token less.

    Attributes:
        keys: (M,) sorted; number of the context times V, plus the last token.
        share: (M,) the discounted count as a share of its context's.
        left: (H,) the probability mass that discounting leaves to the shorter context.
    """

    keys: Ints
    share: Floats
    left: Floats


class KneserNey:
    """An interpolated n-gram model of a text that is one stream of tokens.

    Chen and Goodman (1999), "An empirical study of smoothing techniques for language modeling",
    section 3: discounts for counts of 1, 2, and 3 and more; shorter n-grams are counted by how many
    tokens they follow. Single tokens are interpolated with the uniform distribution, so that no
    token of the vocabulary has probability 0.

    Arguments:
        ids: the text to count, whole numbers below `size`.
        order: the length of the longest n-grams, such as 5; no longer than the text.
        size: V.
        discounts: the three discounts of each length, shortest first; by default they are estimated
            from the counts by equation 26 of the paper.
    """

    def __init__(
        self,
        ids: Ints,
        order: int,
        size: int,
        discounts: Sequence[Sequence[float]] | None = None,
    ):
        if order < 1:
            raise ValueError(f"n-grams have at least 1 token, got order {order}")
        if not len(ids):
            raise ValueError("there are no tokens to count n-grams of")
        if ids.min() < 0 or ids.max() >= size:
            raise ValueError(f"tokens are from 0 to {size - 1}, got {ids.min()} to {ids.max()}")
        self.size = size
        order = min(order, len(ids))
        keys, places, counts = _count(ids, order, size)
        self.orders: list[Order] = []
        for length in range(1, order + 1):
            count = counts[length - 1]
            if length < order:
                # How many different tokens an n-gram follows: longer n-grams that end in it.
                ends = places[length - 1][_firsts(places[length]) + 1]
                count = np.bincount(ends, minlength=len(count))
            contexts = 1 if length == 1 else len(keys[length - 2])
            given = None if discounts is None else np.asarray(discounts[length - 1], float)
            self.orders.append(_discount(keys[length - 1], count, contexts, size, given))

    def log_probabilities(self, ids: Ints) -> Floats:
        """The log-probability (n,) in nats of every token of a text, given the tokens before it."""
        probability = np.full(len(ids), 1 / self.size)
        # The number of the n-gram that starts at each place; -1 where there is none.
        context = np.zeros(len(ids), np.int64)
        for length, order in enumerate(self.orders, start=1):
            if length > len(ids):
                break
            last = ids[length - 1 :]
            context = context[: len(last)]
            number = _look_up(order.keys, np.where(context < 0, -1, context * self.size + last))
            share = np.where(number < 0, 0.0, order.share[number])
            left = np.where(context < 0, 1.0, order.left[context])
            probability[length - 1 :] = share + left * probability[length - 1 :]
            context = number
        return np.log(probability)


def _count(ids: Ints, order: int, size: int) -> tuple[list[Ints], list[Ints], list[Ints]]:
    """For every length the n-grams' keys, the number of the one at each place, and the counts."""
    keys, places, counts = [], [], []
    number = np.zeros(len(ids), np.int64)
    for length in range(1, order + 1):
        last = ids[length - 1 :]
        found, number, count = np.unique(
            number[: len(last)] * size + last, return_inverse=True, return_counts=True
        )
        keys.append(found)
        places.append(number)
        counts.append(count)
    return keys, places, counts


def _firsts(places: Ints) -> Ints:
    """Where each number is found first."""
    return np.unique(places, return_index=True)[1]


def _discount(keys: Ints, count: Ints, contexts: int, size: int, given: Floats | None) -> Order:
    discounts = estimate(count) if given is None else given
    context = keys // size
    # How many n-grams of a context have a count of 0 (with a discount of 0), 1, 2, 3 and more.
    kinds = np.minimum(count, MOST)
    taken = np.append(0.0, discounts)[kinds]
    total = np.bincount(context, count, minlength=contexts)
    lost = np.bincount(context, taken, minlength=contexts)
    seen = total > 0
    total = np.where(seen, total, 1)
    return Order(keys, (count - taken) / total[context], np.where(seen, lost / total, 1.0))


def estimate(count: Ints) -> Floats:
    """The discounts of counts 1, 2, and 3 and more: equation 26, from LEAST to the count.

    Where no n-gram has one of the counts from 1 to 4, one is taken to have it.
    """
    with_count = np.maximum(np.bincount(count, minlength=5)[1:5], 1)
    least = with_count[0] / (with_count[0] + 2 * with_count[1])
    steps = np.arange(1, 1 + MOST)
    estimated = steps - (steps + 1) * least * with_count[1:] / with_count[:3]
    return np.clip(estimated, LEAST, steps)


def _look_up(keys: Ints, wanted: Ints) -> Ints:
    """The places of keys among the sorted ones; -1 for those that are not there."""
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)
