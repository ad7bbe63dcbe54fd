"""Classifiers of sentences without structure, to compare with."""

from collections import Counter
from itertools import pairwise
from typing import Any, cast

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression


def fit_sentences(
    train: tuple[list[list[str]], list[int]], test: tuple[list[list[str]], list[int]]
) -> dict[str, dict[str, float]]:
    """Test accuracy of the most frequent class, and of logistic regression on words and bigrams.

    A split is a list of sentences, each a list of words, and their classes.
    """
    (sentences, labels), (test_sentences, test_labels) = train, test
    frequent = Counter(labels).most_common(1)[0][0]
    counter = CountVectorizer(analyzer=cast(Any, _ngrams), min_df=2, binary=True)
    model = LogisticRegression(C=0.1, max_iter=200).fit(counter.fit_transform(sentences), labels)
    predicted = model.predict(counter.transform(test_sentences))
    return {
        "majority": {"accuracy": float(np.mean(np.array(test_labels) == frequent))},
        "bigrams": {"accuracy": float(np.mean(predicted == np.array(test_labels)))},
    }


def _ngrams(sentence: list[str]) -> list[str]:
    words = [word.lower() for word in sentence]
    return words + [" ".join(pair) for pair in pairwise(words)]
