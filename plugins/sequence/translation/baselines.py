"""Translations by rules that need no sequence model, to compare with."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from structnet.plugins.sequence.translation.parallel import Pair
from structnet.plugins.sequence.translation.scores import scores
from structnet.plugins.text.tokenise import tokeniser

# Words that are seen less often together do not translate each other.
LEAST = 2
# The texts that are compared with all sentences at once.
CHUNK = 64


def fit_translations(train: Sequence[Pair], test: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """BLEU and chrF of simple rules.

    "source as it is" is the test sentence itself. "word by word" replaces every word by the one
    that goes with it most, by Dice's coefficient of the training pairs that have the one or the
    other; unknown words stay. "nearest sentence" is the translation of the training sentence that
    is most like the test sentence: by the cosine of tf-idf weights of words and pairs of words.
    """
    references = [pair.target for pair in test]
    found = {
        "source as it is": [pair.source for pair in test],
        "word by word": word_by_word(train, [pair.source for pair in test]),
        "nearest sentence": nearest(train, [pair.source for pair in test]),
    }
    return {name: scores(texts, references) for name, texts in found.items()}


def word_by_word(train: Sequence[Pair], texts: Sequence[str]) -> list[str]:
    """Texts with every word replaced by its likeliest translation."""
    split = tokeniser("words")
    pairs = [(set(split(pair.source)), set(split(pair.target))) for pair in train]
    first = Counter(word for one, _ in pairs for word in one)
    second = Counter(word for _, other in pairs for word in other)
    both: Counter[tuple[str, str]] = Counter()
    for one, other in pairs:
        known = [word for word in other if second[word] >= LEAST]
        both.update((a, b) for a in one if first[a] >= LEAST for b in known)
    best: dict[str, tuple[float, str]] = {}
    for (a, b), count in both.items():
        if count >= LEAST:
            best[a] = max(best.get(a, (0.0, "")), (2 * count / (first[a] + second[b]), b))
    return [" ".join(best[w][1] if w in best else w for w in split(text)) for text in texts]


def nearest(train: Sequence[Pair], texts: Sequence[str]) -> list[str]:
    """The translation of the training sentence that is most like each text."""
    # Imported here: scikit-learn takes a second.
    from sklearn.feature_extraction.text import TfidfVectorizer

    split: Any = _words_and_pairs
    vectors = TfidfVectorizer(analyzer=split, sublinear_tf=True)
    known = vectors.fit_transform([pair.source for pair in train])
    found: list[int] = []
    for start in range(0, len(texts), CHUNK):
        closest = vectors.transform(texts[start : start + CHUNK]) @ known.T
        # Of a text with no word in common it is the first.
        found += [int(row.indices[row.data.argmax()]) if row.nnz else 0 for row in closest.tocsr()]
    return [train[at].target for at in found]


def _words_and_pairs(text: str) -> list[str]:
    words = tokeniser("words")(text.lower())
    return [*words, *(" ".join(two) for two in pairwise(words))]
