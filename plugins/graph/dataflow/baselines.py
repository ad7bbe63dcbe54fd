"""Classifiers of a use and a variable by their neighbourhoods in the data flow, to compare with."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix

from structnet.plugins.baselines.hashed import fit_odd, hash_features
from structnet.plugins.graph.dataflow.functions import Function
from structnet.plugins.graph.dataflow.misuse import Misuse

Features = Callable[[Misuse, str], Iterable[str]]
# The words of the variable's neighbourhood that are paired with those of the use's.
PAIRED_WORDS = 24
# The inverse strength of the L2 penalty.
C = 0.1
# The largest count of reads of a variable.
MOST = 5


def fit_neighbourhoods(train: Sequence[Misuse], test: Sequence[Misuse]) -> dict[str, np.ndarray]:
    """How right (n,) each baseline is about each test question, 0.5 where it is undecided.

    "fewest uses" takes the variable with the fewest other reads. "bag" is logistic regression on
    the words of all nodes next to the variable's definitions and uses. "pairs" also distinguishes
    the sides of these nodes, and sees every pair of a word next to the use and a word next to the
    variable, and the number of the variable's other reads.
    """
    if len(train) < 2:
        raise ValueError(f"{len(train)} questions to learn from; give two or more")
    return {
        "fewest uses": np.array([_fewest(misuse) for misuse in test]),
        "bag": _fit(train, test, _bag),
        "pairs": _fit(train, test, _pairs),
    }


def _fit(train: Sequence[Misuse], test: Sequence[Misuse], features: Features) -> np.ndarray:
    """Logistic regression on the difference of the two variables' features."""
    model = fit_odd(_difference(train, features), 1.0, C=C)
    score = model.decision_function(_difference(test, features))
    return (1 + np.sign(score)) / 2


def _difference(misuses: Sequence[Misuse], features: Features) -> csr_matrix:
    """The features (n, FEATURES) of the variable as written minus those of the other one."""
    written = hash_features((features(one, one.use.name) for one in misuses), "string")
    other = hash_features((features(one, one.other) for one in misuses), "string")
    return csr_matrix(written - other)


def _fewest(misuse: Misuse) -> float:
    written, other = (len(misuse.readers(name)) for name in (misuse.use.name, misuse.other))
    return (1 + np.sign(other - written)) / 2


def _bag(misuse: Misuse, name: str) -> list[str]:
    """The words of a variable's definitions and of all nodes next to them."""
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
    """The nodes that take a variable's value from its other uses."""
    after = misuse.function.after
    return [taker for reader in misuse.readers(name) for taker in after[reader]]


def _words(function: Function, nodes: Iterable[int]) -> list[str]:
    return [word for node in nodes for word in function.words[node]]
