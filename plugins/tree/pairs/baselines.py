"""Features of pairs that regressions read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.tree.pairs.formula import NOT, FormulaPair
from structnet.plugins.tree.pairs.sentences import SentencePair

DENIAL = {"no", "not", "n't", "nobody", "nothing", "never", "none"}


def formula_features(pairs: Iterable[FormulaPair]) -> Iterator[Mapping[str, float]]:
    """Of every pair the words, alone and in pairs, and what both sides say of each variable.

    That is whether it occurs right below a `not`, or elsewhere, on either side; and the number of
    operators.
    """
    for pair in pairs:
        found: dict[str, float] = {}
        sides = []
        for name, side in (("a", pair.first), ("b", pair.second)):
            words = [word.strip("()") for word in side.text.split() if word.strip("()")]
            for word, count in Counter(words).items():
                found[f"{name} {word}"] = count
            for one, other in pairwise(words):
                found[f"{name} {one} {other}"] = 1
            found[f"{name} operators"] = side.operators
            found[f"{name} begins {words[0]}"] = 1
            sides.append(_literals(words))
        for variable in {*sides[0], *sides[1]}:
            both = [sides[0].get(variable, "absent"), sides[1].get(variable, "absent")]
            key = " / ".join(both)
            found[key] = found.get(key, 0) + 1
        found[f"same {sides[0].keys() == sides[1].keys()}"] = 1
        yield found


def _literals(words: Sequence[str]) -> dict[str, str]:
    """For each variable whether it is denied, is not, or both."""
    found: dict[str, str] = {}
    for before, word in pairwise(["", *words]):
        if word not in (NOT, "and", "or"):
            said = "denied" if before == NOT else "plain"
            found[word] = said if found.get(word, said) == said else "both"
    return found


def vectors(train: Iterable[Mapping[str, float]], test: Iterable[Mapping[str, float]]) -> Any:
    """Sparse features (n, F) of both splits; those that no training pair has are left out."""
    from sklearn.feature_extraction import DictVectorizer

    made = DictVectorizer()
    return made.fit_transform(train), made.transform(test)


def sentence_features(pairs: Iterable[SentencePair]) -> NDArray[np.float64]:
    """Features (n, F) of pairs of sentences: how much they share, how long they are, and denial.

    Shares of words, pairs of words and four letters in a row, in each side and in both together.
    """
    return np.array([_sentence_features(pair) for pair in pairs])


def _sentence_features(pair: SentencePair) -> list[float]:
    sides = [[word.lower() for word in one.words] for one in (pair.first, pair.second)]
    found: list[float] = []
    for parts in (set, _bigrams, _letters):
        a, b = map(parts, sides)
        both = len(a & b)
        found += [both / max(1, len(a | b)), both / max(1, len(a)), both / max(1, len(b))]
    denied = [float(bool(DENIAL & set(words))) for words in sides]
    lengths = [float(len(words)) for words in sides]
    return [
        *found,
        *lengths,
        abs(lengths[0] - lengths[1]),
        *denied,
        abs(denied[0] - denied[1]),
        float(sorted(sides[0]) == sorted(sides[1])),
    ]


def _bigrams(words: Sequence[str]) -> set[tuple[str, str]]:
    return set(pairwise(words))


def _letters(words: Sequence[str]) -> set[str]:
    text = f" {' '.join(words)} "
    return {text[at : at + 4] for at in range(len(text) - 3)}
