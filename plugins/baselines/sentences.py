"""Classifiers of sentences that know words and pairs of words, to compare with."""

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

# Sentences, each a list of words, and their classes.
Labelled = tuple[list[list[str]], list[int]]
# Inverse penalties of logistic regression, chosen by the accuracy on the validation split.
PENALTIES = (0.1, 0.3, 1.0, 3.0)


def fit_sentences(
    train: Labelled, validation: Labelled, test: Labelled
) -> dict[str, dict[str, float]]:
    """Test accuracies of the most frequent class and of logistic regression.

    The regression is on which words a sentence has (unigrams), or which words and which pairs of
    words next to each other (bigrams); of those in two training sentences or more, if any are.
    """
    frequent = Counter(train[1]).most_common(1)[0][0]
    found = {"majority": np.mean(np.array(test[1]) == frequent)}
    for name, features in (("unigrams", _words), ("bigrams", _bigrams)):
        found[name] = _fit(features, train, validation, test)
    return {name: {"accuracy": float(value)} for name, value in found.items()}


def _fit(features: Callable[[list[str]], list[str]], *splits: Labelled) -> float:
    analyzer: Any = features
    counter = CountVectorizer(analyzer=analyzer, min_df=2, binary=True)
    try:
        counter.fit(splits[0][0])
    except ValueError:
        # No word is in two sentences.
        counter = CountVectorizer(analyzer=analyzer, binary=True).fit(splits[0][0])
    train, validation, test = ((counter.transform(x), y) for x, y in splits)
    models = [LogisticRegression(C=c, max_iter=300).fit(*train) for c in PENALTIES]
    return max(models, key=lambda model: model.score(*validation)).score(*test)


def _words(sentence: list[str]) -> list[str]:
    return [word.lower() for word in sentence]


def _bigrams(sentence: list[str]) -> list[str]:
    words = _words(sentence)
    return words + [" ".join(pair) for pair in pairwise(words)]
