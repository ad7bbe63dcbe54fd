"""Classifiers of a use and a variable by their neighbourhoods in the data flow, to compare with."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix, diags
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression

from structnet.plugins.graph.dataflow.functions import Function
from structnet.plugins.graph.dataflow.misuse import Misuse

FEATURES = 1 << 20
Features = Callable[[Misuse, str], Iterable[str]]
# So many words of the use's neighbourhood are paired with as many of the variable's.
PAIRED_WORDS = 24
# The inverse strength of the L2 penalty.
C = 0.1
# A variable that is read more often counts as one read so often.
MOST = 5


def fit_neighbourhoods(train: Sequence[Misuse], test: Sequence[Misuse]) -> dict[str, np.ndarray]:
    """How right (n,) every baseline is on each test question, 0.5 where it can't tell.

    "fewest uses" takes the variable that is read least elsewhere; "bag" is logistic regression on
    the words of all nodes next to the use or to the variable's definitions; "pairs" knows as well
    which side of the use they stand on, every pair of a word of the use's and one of the
    variable's neighbourhood, and how often the variable is read elsewhere.
    """
    if len(train) < 2:
        raise ValueError(f"{len(train)} questions to learn from; give two or more")
    return {
        "fewest uses": np.array([_fewest(misuse) for misuse in test]),
        "bag": _fit(train, test, _bag),
        "pairs": _fit(train, test, _pairs),
    }


def _fit(train: Sequence[Misuse], test: Sequence[Misuse], features: Features) -> np.ndarray:
    """Logistic regression on the difference of the two variables' features.

    P(the first is right) is a function of it that is odd, so there is no intercept, and a question
    is one row, of either sign.
    """
    label = np.random.default_rng(0).permutation(len(train)) % 2 == 1
    model = LogisticRegression(C=C, solver="liblinear", fit_intercept=False, random_state=0)
    model.fit(diags(np.where(label, 1.0, -1.0)) @ _difference(train, features), label)
    score = model.decision_function(_difference(test, features))
    return (1 + np.sign(score)) / 2


def _difference(misuses: Sequence[Misuse], features: Features) -> csr_matrix:
    """(n, FEATURES): the features of what is written less those of the other."""
    hasher = FeatureHasher(FEATURES, input_type="string", alternate_sign=False)
    written = hasher.transform(features(one, one.use.name) for one in misuses)
    other = hasher.transform(features(one, one.other) for one in misuses)
    return csr_matrix(written - other)


def _fewest(misuse: Misuse) -> float:
    written, other = (len(misuse.readers(name)) for name in (misuse.use.name, misuse.other))
    return (1 + np.sign(other - written)) / 2


def _bag(misuse: Misuse, name: str) -> list[str]:
    """The words of a variable's definitions and of all next to them."""
    function, definitions = misuse.function, misuse.use.reaching[name]
    made = [node for one in definitions for node in function.before[one]]
    return _words(function, [*definitions, *made, *_takers(misuse, name)])


def _pairs(misuse: Misuse, name: str) -> Iterator[str]:
    function, definitions = misuse.function, misuse.use.reaching[name]
    made = [node for one in definitions for node in function.before[one]]
    about = [
        f"<read {min(len(misuse.readers(name)), MOST)}>",
        *_words(function, definitions),
        *(f"from {word}" for word in _words(function, made)),
        *(f"for {word}" for word in _words(function, _takers(misuse, name))),
    ]
    yield from about
    around = _words(function, [misuse.use.node, *function.after[misuse.use.node]])
    for use, one in product(dict.fromkeys(around), dict.fromkeys(about[:PAIRED_WORDS])):
        yield f"{use} | {one}"


def _takers(misuse: Misuse, name: str) -> list[int]:
    """The nodes that take a variable's value by its other uses."""
    after = misuse.function.after
    return [taker for reader in misuse.readers(name) for taker in after[reader]]


def _words(function: Function, nodes: Iterable[int]) -> list[str]:
    return [word for node in nodes for word in function.words[node]]
