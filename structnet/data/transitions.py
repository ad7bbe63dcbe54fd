"""Which classes may follow which."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Transitions:
    """Which of C classes may follow which, along a chain or from a tree's leaves up.

    Arguments:
        follow: whether class j may follow class i, an array of booleans (C, C) [i, j].
        first: whether a class may be that of the first node, (C,).
        last: whether it may be that of the last node, (C,).
    """

    follow: np.ndarray
    first: np.ndarray
    last: np.ndarray

    def __post_init__(self) -> None:
        """ValueError for arrays of other shapes or types."""
        classes = len(self.first)
        shapes = {"follow": (classes, classes), "first": (classes,), "last": (classes,)}
        for name, shape in shapes.items():
            given = getattr(self, name)
            if not isinstance(given, np.ndarray) or given.dtype != bool or given.shape != shape:
                raise ValueError(
                    f"transitions: {name} is an array of booleans of shape {shape}, got "
                    f"{getattr(given, 'dtype', type(given).__name__)} of {np.shape(given)}"
                )
