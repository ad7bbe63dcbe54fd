"""Predictions for data in Python, as arrays or as a data frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.data.frames import frame_like
from structnet.training.predict import Prediction


@dataclass(frozen=True)
class Predictions(Sequence[Prediction]):
    """Predictions for n samples, or for n nodes, in the order in which the data was given.

    Arguments:
        found: the predictions one by one.
        names: the classes, in the order of the columns of `probabilities`.
    """

    found: Sequence[Prediction]
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, index: Any) -> Any:
        return self.found[index]

    @property
    def classes(self) -> NDArray[Any]:
        """The predicted classes (n,) as texts, or the task's answers; None for a number."""
        return np.array([one.label for one in self.found], dtype=object)

    @property
    def probability(self) -> NDArray[np.float64]:
        """The probability (n,) of each of `classes`; NaN for a number."""
        return np.array([_or_nan(one.probability) for one in self.found], np.float64)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probabilities (n, C) of all classes of samples; NaN where they are not known."""
        rows = [
            [_or_nan((one.probabilities or {}).get(c)) for c in self.names] for one in self.found
        ]
        return np.array(rows, np.float64).reshape(len(self.found), len(self.names))

    @property
    def values(self) -> NDArray[np.float64]:
        """The predicted numbers (n,), or (n, T) where each is of several; NaN for a class."""
        if self.outputs:
            rows = [[(one.values or {})[name] for name in self.outputs] for one in self.found]
            return np.array(rows, np.float64)
        return np.array([_or_nan(one.value) for one in self.found], np.float64)

    @property
    def outputs(self) -> Sequence[str]:
        """The names of the numbers, in the order of the columns of `values`; empty for one."""
        return list(next((one.values for one in self.found if one.values), {}))

    @property
    def samples(self) -> NDArray[Any]:
        """What the sample of each is called (n,), such as `sample 0`."""
        return np.array([one.origin.text for one in self.found], dtype=object)

    @property
    def nodes(self) -> NDArray[np.int64]:
        """The node of each within its sample (n,); -1 for the whole sample."""
        return np.array([-1 if one.node is None else one.node for one in self.found], np.int64)

    def as_dicts(self) -> list[dict[str, Any]]:
        """One mapping each, as `structnet predict --json` prints them."""
        return [one.as_dict() for one in self.found]

    def as_frame(self, like: Any) -> Any:
        """A data frame of the library of another, with a row each.

        In the order of its rows, with their index, where each is of one of them; else with what
        samples are called.
        """
        lines = np.array([one.origin.line for one in self.found], np.int64)
        of_rows = np.array_equal(np.sort(lines), np.arange(1, len(like) + 1))
        order = np.argsort(lines) if of_rows else None
        return frame_like(like, dict(self._columns(named=not of_rows)), order)

    def _columns(self, named: bool) -> Iterator[tuple[str, Any]]:
        of_nodes = any(one.node is not None for one in self.found)
        places = [one.place for one in self.found]
        if named and all(places):
            for name in dict.fromkeys(name for one in places for name in one):
                yield name, np.array([one.get(name) for one in places], dtype=object)
        elif named or of_nodes:
            yield "sample", self.samples
        if of_nodes:
            yield "node", self.nodes
        if self.outputs:
            yield from zip(self.outputs, self.values.T, strict=True)
            return
        if any(one.value is not None for one in self.found):
            yield "value", self.values
            return
        yield "class", self.classes
        yield "probability", self.probability
        if any(one.probabilities is not None for one in self.found):
            for name, column in zip(self.names, self.probabilities.T, strict=True):
                yield f"probability of {name}", column


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value
