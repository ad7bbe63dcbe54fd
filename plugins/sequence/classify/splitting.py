"""The splits of texts with classes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from structnet.plugins.sequence.classify.texts import Text


def split_texts(given: Mapping[str, Iterable[Text]], seed: int) -> dict[str, list[Text]]:
    """The splits train, validation and test; those that are not given are drawn.

    Of every class in `train`, or in `all`, a tenth goes to a split that is missing, and at least
    one text: a class's texts are put in the order of the SHA-256 of seed, line break and text in
    UTF-8; the first tenth is tested on, the second validated on. So splits are the same with every
    machine and version, and a text that a class has twice is in one split.

    ValueError for fewer than two classes, and a class with too few texts to be split.
    """
    splits = {split: list(texts) for split, texts in given.items()}
    rest = splits.pop("all" if "all" in splits else "train")
    missing = [split for split in ("test", "validation") if split not in splits]
    classes = defaultdict(list)
    for text in rest:
        classes[text.label].append(text)
    if len(classes) < 2:
        last = f", the last one in {rest[-1].place}" if rest else ""
        raise ValueError(
            f"a classification has two classes or more, got {len(rest)} texts of classes "
            f"{list(classes)}{last}"
        )
    drawn = {split: [] for split in (*missing, "train")}
    for texts in classes.values():
        for split, some in _draw(texts, missing, seed).items():
            drawn[split] += some
    return {split: (drawn | splits)[split] for split in ("train", "validation", "test")}


def _draw(texts: Sequence[Text], splits: Sequence[str], seed: int) -> dict[str, list[Text]]:
    """A tenth of a class's texts for each of the splits, and all others for train."""
    keys = [sha256(f"{seed}\n{one.text}".encode()).digest() for one in texts]
    order = sorted(set(keys))
    if len(order) <= len(splits):
        raise ValueError(
            f"{texts[0].place}: class {texts[0].label!r} has {len(order)} different texts, at "
            f"least {len(splits) + 1} are needed for train, {', '.join(splits)}: leave the class "
            "out, or give the splits as files of their own"
        )
    share = max(1, len(order) // 10)
    where = dict.fromkeys(order, "train")
    for number, split in enumerate(splits):
        where |= dict.fromkeys(order[number * share : (number + 1) * share], split)
    drawn = {split: [] for split in (*splits, "train")}
    for key, text in zip(keys, texts, strict=True):
        drawn[where[key]].append(text)
    return drawn
