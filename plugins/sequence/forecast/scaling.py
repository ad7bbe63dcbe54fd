"""The scale of a series: what its values are measured from, and in."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Way = Literal["standard", "absolute", "none"]


class Scale(NamedTuple):
    """Values are (value - centre) / deviation to a net; `naive` is what a naive forecast errs by.

    Each is (T,), a number per target. Deviation and naive are above 0.
    """

    centre: NDArray[np.float64]
    deviation: NDArray[np.float64]
    naive: NDArray[np.float64]


def scale_of(values: NDArray[np.float64], way: Way, season: int) -> Scale:
    """The scale of values (n, T), of which some may be NaN.

    A deviation that is 0, as that of constant, zero or single values, is the mean absolute value in
    its place, and 1 where that is 0 too. A naive error of 0 is the deviation.

    Arguments:
        values: of the training part, in the order of time.
        way: standard, mean and standard deviation; absolute, 0 and the mean absolute value, which
            keeps a zero what it is; none, 0 and 1.
        season: the steps of a season, by which the value of the naive forecast lies back.
    """
    known = np.isfinite(values)
    count = np.maximum(known.sum(0), 1)
    filled = np.where(known, values, 0.0)
    absolute = np.abs(filled).sum(0) / count
    centre = np.zeros(values.shape[1])
    deviation = absolute
    if way == "none":
        deviation = np.ones(values.shape[1])
    elif way == "standard":
        centre = filled.sum(0) / count
        deviation = np.sqrt((np.where(known, values - centre, 0.0) ** 2).sum(0) / count)
        # What is left of equal values by rounding is no deviation.
        deviation = np.where(deviation > 1e-9 * absolute, deviation, absolute)
    deviation = np.where(deviation > 0, deviation, 1.0)
    naive = naive_error(values, season)
    return Scale(centre, deviation, np.where(naive > 0, naive, deviation))


def naive_error(values: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    """The mean absolute difference (T,) from the value a season before, 0 where none is known."""
    if len(values) <= season:
        season = 1
    change = np.abs(values[season:] - values[:-season])
    known = np.isfinite(change)
    return np.where(known, change, 0.0).sum(0) / np.maximum(known.sum(0), 1)
