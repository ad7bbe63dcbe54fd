"""Captions by rules that need no sequence model, to compare with."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from structnet.plugins.sequence.captions.sources import Captioned

# The most different captions of a language that a classifier is fitted for.
MOST_TEXTS = 200
# The inverse strength of the L2 penalty, times the number of an image's values.
PENALTY = 6.0


def fit_captions(
    train: Sequence[Captioned], test: Sequence[Captioned]
) -> dict[str, dict[str, float]]:
    """The shares of test captions that simple rules give exactly.

    "most frequent" always gives the most frequent caption of the language. "logistic regression"
    chooses among the training captions of the language by the image's pixels; it is left out where
    a language has one caption, or more than 200 different ones.
    """
    by_language = {
        language: [one for one in train if one.language == language]
        for language in dict.fromkeys(one.language for one in train)
    }
    frequent = {
        language: Counter(one.text for one in some).most_common(1)[0][0]
        for language, some in by_language.items()
    }
    right = [frequent.get(one.language) == one.text for one in test]
    found = {"most frequent": {"exact": float(np.mean(right))}}
    counts = [len({one.text for one in some}) for some in by_language.values()]
    if min(counts) > 1 and max(counts) <= MOST_TEXTS:
        found["logistic regression"] = {"exact": _share(by_language, test)}
    return found


def _share(by_language: dict[str, list[Captioned]], test: Sequence[Captioned]) -> float:
    """The share of test captions that a logistic regression per language gives exactly."""
    # Imported here: scikit-learn takes a second.
    from sklearn.linear_model import LogisticRegression

    right = 0
    for language, some in by_language.items():
        unseen = [one for one in test if one.language == language]
        if unseen:
            pixels = _pixels(some)
            mean = pixels.mean(0)
            model = LogisticRegression(C=PENALTY / pixels.shape[1], max_iter=1000)
            model.fit(pixels - mean, [one.text for one in some])
            guessed = model.predict(_pixels(unseen) - mean)
            right += sum(str(guess) == one.text for guess, one in zip(guessed, unseen, strict=True))
    return right / len(test)


def _pixels(some: Sequence[Captioned]) -> np.ndarray:
    return np.stack([one.image.reshape(-1) for one in some]) / 255
