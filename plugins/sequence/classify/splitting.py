"""The splits of texts with classes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from structnet.plugins.files.splits import NO_FOLDS, SPLITS, Folds, to_draw
from structnet.plugins.sequence.classify.texts import Text
from structnet.plugins.text.splitting import draw_splits


def split_texts(
    given: Mapping[str, Iterable[Text]], seed: int, folds: Folds = NO_FOLDS
) -> dict[str, list[Text]]:
    """The splits train, validation and test; those that are not given are drawn.

    Of every class in `train`, or in `all`, a tenth goes to a split that is missing, by
    `draw_splits`: the first tenth is tested on, the second validated on. With folds, one of them is
    tested on.

    ValueError for fewer than two classes, and a class with too few texts to be split.
    """
    splits = {split: list(texts) for split, texts in given.items()}
    rest, missing = to_draw(splits, folds)
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
    # Folds of a class differ by one text at most: which are larger is another one in each class.
    for number, texts in enumerate(classes.values()):
        for split, some in _draw(texts, missing, seed, folds.turned(number)).items():
            drawn[split] += some
    return {split: (drawn | splits)[split] for split in SPLITS}


def _draw(
    texts: Sequence[Text], splits: Sequence[str], seed: int, folds: Folds
) -> dict[str, list[Text]]:
    """A class's texts for each of the splits, and all others for train."""
    try:
        where = draw_splits([one.text for one in texts], splits, seed, folds)
    except ValueError as error:
        raise ValueError(
            f"{texts[0].place}: class {texts[0].label!r} has {error}: leave the class out, or give "
            "the splits as files of their own"
        ) from error
    drawn = {split: [] for split in (*splits, "train")}
    for split, text in zip(where, texts, strict=True):
        drawn[split].append(text)
    return drawn
