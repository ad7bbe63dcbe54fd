"""The regular grid of times that a series lies on, its seasons and its calendar.

A time is a datetime64[us] or a float, a number.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Unit = Literal["us", "month", "number"]
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86400 * SECOND
WEEK = 7 * DAY
# How steps are written, the longest first.
UNITS = {"week": WEEK, "day": DAY, "hour": HOUR, "minute": MINUTE, "second": SECOND}
SHORT = {"w": WEEK, "d": DAY, "h": HOUR, "min": MINUTE, "s": SECOND}
WRITTEN = re.compile(r"(\d+) ?(w|d|h|min|s|mo|y)")
# The number of frequencies whose sines and cosines tell the share of a cycle.
HARMONICS = 2


@dataclass(frozen=True)
class Frequency:
    """Steps of `count` units: microseconds, months, or a number of the order."""

    count: float
    unit: Unit

    @classmethod
    def of(cls, text: str) -> "Frequency":
        """The frequency that a user writes, such as 15min, 1h, 1d, 1w, 1mo, 1y, or a number."""
        if found := WRITTEN.fullmatch(text):
            count = int(found[1])
            if count and found[2] in ("mo", "y"):
                return cls(count * (12 if found[2] == "y" else 1), "month")
            if count:
                return cls(count * SHORT[found[2]], "us")
        try:
            number = float(text)
        except ValueError:
            number = 0.0
        if not 0 < number < float("inf"):
            raise ValueError(
                f"option 'frequency' is a step such as 15min, 1h, 1d, 1w, 1mo or 1y, or a number "
                f"above 0 for an order of numbers, got {text!r}"
            )
        return cls(number, "number")

    def __str__(self) -> str:
        if self.unit == "number":
            return f"{self.count:g}"
        count, name = self._largest()
        return f"{count:g} {name}{'s' * (count != 1)}"

    def _largest(self) -> tuple[float, str]:
        sizes = {"year": 12, "month": 1} if self.unit == "month" else UNITS
        whole = (name for name, size in sizes.items() if self.count % size == 0)
        name = next(whole, "second")
        return self.count / sizes[name], name

    @property
    def season(self) -> int:
        """The steps of a day; of a week for days, of a year for weeks and months; else 1."""
        if self.unit == "month":
            return _whole(12 / self.count)
        if self.unit == "number" or self.count < MINUTE:
            return 1
        cycle = {WEEK: 52 * WEEK, DAY: WEEK}.get(int(self.count), DAY)
        return _whole(cycle / self.count)

    def positions(self, times: NDArray[Any]) -> NDArray[np.float64]:
        """The steps (n,) from the first of ascending times; a fraction for a time off the grid."""
        if self.unit == "month":
            months = times.astype("datetime64[M]")
            steps = (months - months[0]).astype(np.int64) / self.count
            # Off the grid by half a step, if not at the same place in its month as the first.
            return np.where(_place_in_month(times), steps, np.floor(steps) + 0.5)
        apart = (times - times[0]).astype(np.float64) / self.count
        near = np.round(apart)
        # Numbers such as 0.1 have no exact multiples.
        return np.where(np.abs(apart - near) < 1e-6, near, apart)

    def at_ends(self, times: NDArray[Any]) -> bool:
        """Whether ascending times are the ends of months; one time alone may be so by chance."""
        return self.unit == "month" and len(times) > 1 and bool(_is_month_end(times).all())

    def times(
        self, first: Any, positions: NDArray[np.int64], at_ends: bool = False
    ) -> NDArray[Any]:
        """The times (n,) at steps from the first one.

        Of months at the same place in each, at its end if it is shorter, or `at_ends` of all.
        """
        if self.unit == "number":
            return first + positions * self.count
        if self.unit == "us":
            return first + (positions * int(self.count)).astype("timedelta64[us]")
        months = first.astype("datetime64[M]") + positions * int(self.count)
        within = first - first.astype("datetime64[M]").astype("datetime64[us]")
        last = (months + 1).astype("datetime64[us]") - np.timedelta64(DAY, "us")
        ends = last + (within.astype(np.int64) % DAY).astype("timedelta64[us]")
        return ends if at_ends else np.minimum(months.astype("datetime64[us]") + within, ends)

    def calendar(self) -> list[str]:
        """The cycles that steps are told their places in."""
        if self.unit == "number":
            return []
        if self.unit == "month":
            return ["month"] if self.count < 12 else []
        found = ["hour"] * (self.count < DAY) + ["weekday"] * (self.count <= DAY)
        return [*found, *["month"] * (self.count <= 31 * DAY)]


def infer(series: Iterable[NDArray[Any]]) -> Frequency:
    """The most frequent distance of neighbours in series of ascending times.

    They are months where all times lie at the same place in their month, and 27 days or more apart.
    ValueError if no series has two times.
    """
    apart, monthly, is_time, months = [], True, False, []
    for times in series:
        is_time = np.issubdtype(times.dtype, np.datetime64)
        if len(times) > 1:
            apart.append(np.diff(times).astype(np.int64 if is_time else np.float64))
            if is_time:
                monthly = monthly and bool(_place_in_month(times).all())
                months.append(np.diff(times.astype("datetime64[M]")).astype(np.int64))
    if not apart:
        raise ValueError(
            "no series has two times, so that their frequency is not known: give longer series, "
            "or task.frequency, such as 1h"
        )
    every = np.concatenate(apart)
    if not is_time:
        return Frequency(_most_frequent(np.round(every, 9)), "number")
    if monthly and every.min() >= 27 * DAY:
        return Frequency(_most_frequent(np.concatenate(months)), "month")
    return Frequency(_most_frequent(every), "us")


def calendar_features(times: NDArray[Any], cycles: Iterable[str]) -> NDArray[np.float32]:
    """The features (n, F) of the places of times in cycles: sines and cosines."""
    columns = list(_waves(times, cycles))
    return np.stack(columns, 1) if columns else np.zeros((len(times), 0), np.float32)


def spelled(time: Any) -> str:
    """A time as people write it: without the parts that are 0."""
    if not isinstance(time, np.datetime64):
        # Multiples of such as 0.1 end in digits that no one wrote.
        return f"{time:.12g}"
    text = str(time.astype("datetime64[us]"))
    return text.removesuffix(".000000").removesuffix(":00").removesuffix("T00:00")


def _waves(times: NDArray[Any], cycles: Iterable[str]) -> Iterator[NDArray[np.float32]]:
    for cycle in cycles:
        share = _share(times, cycle)
        for harmonic in range(1, HARMONICS + 1):
            for wave in (np.sin, np.cos):
                yield wave(2 * np.pi * harmonic * share).astype(np.float32)


def _share(times: NDArray[Any], cycle: str) -> NDArray[np.float64]:
    """The place (n,) of times in a cycle, from 0 to below 1."""
    if cycle == "month":
        year = times.astype("datetime64[Y]")
        length = (year + 1).astype("datetime64[us]") - year.astype("datetime64[us]")
        return (times - year.astype("datetime64[us]")) / length
    since = times.astype("datetime64[us]").astype(np.int64)
    # 1 January 1970 was a Thursday.
    period, first = {"hour": (DAY, 0), "weekday": (WEEK, 3 * DAY)}[cycle]
    within = (since + first) % period
    return (within // DAY / 7) if cycle == "weekday" else within / period


def _place_in_month(times: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether each time lies at the same day and hour of its month as the first, or all at ends."""
    within = times - times.astype("datetime64[M]").astype("datetime64[us]")
    hours = within.astype(np.int64) % DAY
    same_end = _is_month_end(times) & _is_month_end(times[:1]) & (hours == hours[0])
    same = within == within[0]
    return same if same.sum() >= same_end.sum() else same_end


def _is_month_end(times: NDArray[Any]) -> NDArray[np.bool_]:
    days = times.astype("datetime64[D]")
    return (days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")


def _most_frequent(distances: NDArray[Any]) -> float:
    """The smallest of the most frequent distances."""
    values, counts = np.unique(distances, return_counts=True)
    found = values[counts.argmax()]
    return float(found) if isinstance(found, np.floating) else int(found)


def _whole(steps: float) -> int:
    return int(steps) if steps == int(steps) and steps > 1 else 1
