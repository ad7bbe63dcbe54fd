"""Classifiers of expressions without structure, to compare with."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix, diags, vstack
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression

from structnet.plugins.tree.expressions.expression import Expression

FEATURES = 1 << 20
# So many words of each operand are paired with the other's: 12 x 12 pairs at most.
PAIRED_WORDS = 12
# The inverse strength of the L2 penalty; 0.1 and 1 are within 0.5 points on held-out files.
POSITIONAL_C = 0.3

Feature = tuple[str, float]


def fit_baselines(
    train: Sequence[Expression], test: Sequence[Expression], swapped: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Every baseline's correctness on each test expression, shown exchanged where `swapped`.

    "coin" is its expectation, 0.5 everywhere; the others are boolean. "bag" is logistic regression
    on the multiset of words, "positional" on the words of each operand, of the operator, and on
    pairs of them. Both learn from the training expressions in both orders.
    """
    swapped = np.asarray(swapped, dtype=bool)
    if len(train) < 2 or swapped.shape != (len(test),):
        raise ValueError(
            f"{len(train)} training expressions, {len(test)} test expressions and `swapped` of "
            f"shape {swapped.shape}; give two or more to train on, and one boolean a test one"
        )
    return {
        "coin": np.full(len(test), 0.5),
        "bag": _predict_bag(train, test) == swapped,
        "positional": _predict_positional(train, test, swapped, seed) == swapped,
    }


def _predict_bag(train: Sequence[Expression], test: Sequence[Expression]) -> np.ndarray:
    # A bag is the same in both orders: read once, it stands for either.
    once = _hash(_bag(expression) for expression in train)
    label = np.repeat([False, True], len(train))
    model = LogisticRegression().fit(vstack([once, once]), label)
    return np.asarray(model.predict(_hash(_bag(expression) for expression in test)))


def _bag(expression: Expression) -> Iterator[Feature]:
    left, right, operator = expression.operands(False)
    yield from Counter([*left, *right, *operator]).items()


def _predict_positional(
    train: Sequence[Expression], test: Sequence[Expression], swapped: np.ndarray, seed: int
) -> np.ndarray:
    """Logistic regression on features that change sign with the order of the operands.

    P(swapped | a, b) = 1 - P(swapped | b, a), so "w on the left" and "w on the right" have opposite
    weights, and there is no intercept: an expression in both orders is one row, of either sign.
    """
    label = np.random.default_rng(seed).permutation(len(train)) % 2 == 1
    sign = diags(np.where(label, -1.0, 1.0))
    model = LogisticRegression(
        C=POSITIONAL_C, solver="liblinear", dual=True, fit_intercept=False, random_state=seed
    )
    model.fit(sign @ _hash(_positional(*one.operands(False)) for one in train), label)
    shown = zip(test, swapped.tolist(), strict=True)
    return np.asarray(
        model.predict(_hash(_positional(*one.operands(order)) for one, order in shown))
    )


def _positional(left: list[str], right: list[str], operator: list[str]) -> Iterator[Feature]:
    """Positive for what stands on the left and for pairs in alphabetical order."""
    for operand, sign in ((left, 1.0), (right, -1.0)):
        for feature in _operand_features(operand, operator):
            yield feature, sign
    for a, b in product(set(left[:PAIRED_WORDS]), set(right[:PAIRED_WORDS])):
        if a != b:
            yield (f"{a} | {b}", 1.0) if a < b else (f"{b} | {a}", -1.0)


def _operand_features(operand: list[str], operator: list[str]) -> Iterator[str]:
    kind, function, whole = operator[0], " ".join(operator), " ".join(operand)
    yield f"{kind} root {operand[0]}"
    yield f"{kind} length {min(len(operand), 6)}"
    yield f"whole {whole}"
    yield f"{function} whole {whole}"
    for word in set(operand):
        yield word
        yield f"{function} : {word}"
        for part in set(operator[1:]):
            yield f"{part} has {word}"


def _hash(rows: Iterable[Iterable[Feature]]) -> csr_matrix:
    hasher = FeatureHasher(FEATURES, input_type="pair", alternate_sign=False)
    return csr_matrix(hasher.transform(rows))
