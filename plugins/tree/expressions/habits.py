"""A package's own habits: in which order it has the same names elsewhere."""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from structnet.plugins.code.sources import python_files
from structnet.plugins.files.skipping import read_all
from structnet.plugins.tree.expressions.baselines import fit_positional, positional_features
from structnet.plugins.tree.expressions.expression import Expression, expressions

FOLDS = 5
# With fewer expressions a fold may be left with none to learn from.
FEWEST = 50


class Habits:
    """The regression on words by position, learned from the expressions of files as written.

    An expression is judged by what is learned from the four fifths of expressions that it is not
    among, so that it counts how the same names are ordered elsewhere, in its own file as well.

    Arguments:
        root: a Python file, or a folder that is searched for them, tests left out.
    """

    def __init__(self, root: Path):
        """ValueError for too few expressions."""
        found = list(read_all(python_files(root), expressions))
        if len(found) < FEWEST:
            raise ValueError(
                f"task.habits={root} has {len(found)} expressions, habits are learned from "
                f"{FEWEST} or more: give a larger folder, or leave it out"
            )
        rows, fold = positional_features((one, False) for one in found), _folds(found)
        self.models = [fit_positional(rows[fold != number]) for number in range(FOLDS)]

    def log_odds(self, asked: Sequence[Expression]) -> np.ndarray:
        """Of each expression (n,) that it is swapped, if half of all were."""
        odds = np.zeros(len(asked))
        if not asked:
            return odds
        rows, fold = positional_features((one, False) for one in asked), _folds(asked)
        for number, model in enumerate(self.models):
            mine = fold == number
            if mine.any():
                odds[mine] = model.decision_function(rows[mine])
        return odds


def _folds(found: Sequence[Expression]) -> np.ndarray:
    """The fifth (n,) of each expression, by its place."""
    names = (f"{one.path.name} {one.place.line} {one.place.column}" for one in found)
    return np.array([zlib.crc32(name.encode(errors="replace")) % FOLDS for name in names])
