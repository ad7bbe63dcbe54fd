"""Splits that are drawn from texts, the same with every machine and version."""

from collections.abc import Sequence
from hashlib import sha256

from structnet.plugins.files.splits import NO_FOLDS, Folds, deal


def draw_splits(
    texts: Sequence[str], missing: Sequence[str], seed: int, folds: Folds = NO_FOLDS
) -> list[str]:
    """The split of every text: train, or one of those that are missing, dealt by `deal`.

    Texts are in the order of the SHA-256 of seed, line break and text in UTF-8. A text that occurs
    twice is in one split. Errors are those of `deal`.
    """
    keys = _keys(texts, seed)
    parts = deal(sorted(set(keys)), missing, folds, "different texts")
    where = {key: split for split, some in parts.items() for key in some}
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
