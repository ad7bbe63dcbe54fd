"""Features of an expression that a regression may read without evaluating it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from structnet.plugins.tree.listops.expression import DIGITS, END, OPERATORS

_OPERATORS = tuple(OPERATORS)
# A digit, or what is none.
_WIDTH = len(DIGITS) + 1


def features(texts: Sequence[str]) -> NDArray[np.float64]:
    """Features (n, F) of expressions without round brackets.

    For the outermost operator the first and last argument, and the smallest and largest digit among
    the arguments; for the whole the number of each operator and each digit.
    """
    return np.stack([_features(text.split(" ")) for text in texts])


def _features(tokens: Sequence[str]) -> NDArray[np.float64]:
    digits = [int(token) for token in _arguments(tokens) if token in DIGITS]
    first, *_ = tokens
    outermost = np.zeros((len(_OPERATORS) + 1, 4, _WIDTH))
    kind = _OPERATORS.index(first) if first in OPERATORS else len(_OPERATORS)
    arguments = _arguments(tokens)
    seen = (
        arguments[0],
        arguments[-1],
        str(min(digits, default="")),
        str(max(digits, default="")),
    )
    for at, token in enumerate(seen):
        outermost[kind, at, DIGITS.index(token) if token in DIGITS else len(DIGITS)] = 1
    counts = [tokens.count(token) for token in (*_OPERATORS, *DIGITS)]
    return np.concatenate([outermost.ravel(), counts])


def _arguments(tokens: Sequence[str]) -> list[str]:
    """The arguments of the outermost operator, "" for another operator; of a digit itself."""
    found: list[str] = []
    inside = 0
    for token in tokens:
        if token in OPERATORS:
            inside += 1
            found += [""] * (inside == 2)
        elif token == END:
            inside -= 1
        elif inside < 2:
            found.append(token)
    return found
