"""Splits that are drawn from texts, the same with every machine and version."""

from collections.abc import Sequence
from hashlib import sha256


def draw_splits(texts: Sequence[str], splits: Sequence[str], seed: int) -> list[str]:
    """The split of every text: a tenth, and at least one text, for each of the splits, else train.

    Texts are in the order of the SHA-256 of seed, line break and text in UTF-8: the first tenth is
    the first split's, the next one the second's. A text that occurs twice is in one split.

    ValueError, which the caller begins with whose texts they are, for too few different ones.
    """
    keys = _keys(texts, seed)
    order = sorted(set(keys))
    if len(order) <= len(splits):
        raise ValueError(
            f"{len(order)} different texts, at least {len(splits) + 1} are needed for train, "
            f"{', '.join(splits)}"
        )
    share = max(1, len(order) // 10)
    where = dict.fromkeys(order, "train")
    for number, split in enumerate(splits):
        where |= dict.fromkeys(order[number * share : (number + 1) * share], split)
    return [where[key] for key in keys]


def draw_share(texts: Sequence[str], share: float, seed: int) -> list[bool]:
    """Which texts are of a share of all: the first ones in that order, and at least one.

    A smaller share is part of a larger one. A text that occurs twice is in it both times.
    """
    keys = _keys(texts, seed)
    order = sorted(set(keys))
    taken = set(order[: max(1, round(share * len(order)))])
    return [key in taken for key in keys]


def _keys(texts: Sequence[str], seed: int) -> list[bytes]:
    return [sha256(f"{seed}\n{text}".encode()).digest() for text in texts]
