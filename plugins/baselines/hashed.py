"""Logistic regression on hashed features, for questions with two exchangeable answers."""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression

FEATURES = 1 << 20


def hash_features(rows: Iterable[Iterable[Any]], kind: Literal["string", "pair"]) -> csr_matrix:
    """Features (n, FEATURES) from each row's words, or pairs of a word and its value."""
    hasher = FeatureHasher(FEATURES, input_type=kind, alternate_sign=False)
    return csr_matrix(hasher.transform(rows))


def fit_odd(rows: Any, sign: float, seed: int = 0, **options: Any) -> LogisticRegression:
    """Fit features (n, FEATURES) that change sign when a question's two answers are exchanged.

    The probability is then an odd function around one half, so that there is no intercept and a
    question needs one row: a random half of the rows is labelled True, with its features times
    `sign`, the others False, with their features times -`sign`.
    """
    label = np.random.default_rng(seed).permutation(rows.shape[0]) % 2 == 1
    model = LogisticRegression(
        solver="liblinear", fit_intercept=False, random_state=seed, **options
    )
    return model.fit(diags(np.where(label, sign, -sign)) @ rows, label)
