"""Classifiers of expressions without structure, to compare with."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix, vstack
from sklearn.linear_model import LogisticRegression

from structnet.plugins.baselines.hashed import fit_odd, hash_features
from structnet.plugins.tree.expressions.expression import Expression

# The words of each operand that are paired with the other's: at most 12 x 12 pairs.
PAIRED_WORDS = 12
# The inverse strength of the L2 penalty; 0.1 and 1 differ by less than 0.5 points on other files.
POSITIONAL_C = 0.3

Feature = tuple[str, float]


def fit_baselines(
    train: Sequence[Expression], test: Sequence[Expression], swapped: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Whether each baseline is right about each test expression, shown exchanged where `swapped`.

    "coin" is 0.5 everywhere, the others are boolean. "bag" is logistic regression on the multiset
    of words, "positional" on the words of each operand and of the operator and on pairs of them.
    Both learn from the training expressions in both orders.
    """
    swapped = np.asarray(swapped, dtype=bool)
    if len(train) < 2 or swapped.shape != (len(test),):
        raise ValueError(
            f"{len(train)} training expressions, {len(test)} test expressions and `swapped` of "
            f"shape {swapped.shape}; give two or more to train on, and one boolean per test one"
        )
    return {
        "coin": np.full(len(test), 0.5),
        "bag": _predict_bag(train, test) == swapped,
        "positional": _predict_positional(train, test, swapped, seed) == swapped,
    }


def _predict_bag(train: Sequence[Expression], test: Sequence[Expression]) -> np.ndarray:
    # A bag is the same in both orders, so it is computed once.
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
    weights.
    """
    model = fit_positional(positional_features((one, False) for one in train), seed)
    shown = zip(test, swapped.tolist(), strict=True)
    return np.asarray(model.predict(positional_features(shown)))


def positional_features(shown: Iterable[tuple[Expression, bool]]) -> csr_matrix:
    """The features (n, FEATURES) of expressions, each with its operands exchanged or not."""
    return _hash(_positional(*one.operands(swapped)) for one, swapped in shown)


def fit_positional(rows: csr_matrix, seed: int = 0) -> LogisticRegression:
    """The regression on the features of expressions as written: True is swapped."""
    return fit_odd(rows, -1.0, seed=seed, C=POSITIONAL_C, dual=True)


def _positional(left: list[str], right: list[str], operator: list[str]) -> Iterator[Feature]:
    """Positive for words of the left operand, and for pairs of words in alphabetical order."""
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
    return hash_features(rows, "pair")
