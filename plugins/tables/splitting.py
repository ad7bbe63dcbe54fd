"""Splits of own data: drawn by fraction, class and group, by time, by a column, or as folds."""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.splits import NO_FOLDS, SPLIT_NAMES, SPLITS, Folds

# The most names that a warning shows.
SHOWN = 3


@dataclass(frozen=True)
class Splitting:
    """How samples are split.

    Arguments:
        fractions: of train, validation and test, which add up to 1.
        by_time: whether the first samples are trained on and the last tested on.
        stratify: whether every class is split by the fractions.
        folds: into how many folds they are divided, if they are.
        seed: with which splits are drawn.

    ValueError for options that are out of range or don't go together.
    """

    fractions: Sequence[float] = (0.8, 0.1, 0.1)
    by_time: bool = False
    stratify: bool = True
    folds: Folds = NO_FOLDS
    seed: int = 0

    def __post_init__(self) -> None:
        given = list(self.fractions)
        if len(given) != 3 or min(given) <= 0 or abs(sum(given) - 1) > 1e-6:
            raise ValueError(
                "task.fractions are the shares of train, validation and test, above 0, which add "
                f"up to 1, such as [0.8,0.1,0.1], got {given}"
            )
        if self.folds.count is not None and self.by_time:
            raise ValueError("task.folds are drawn, and a split by time is not: leave one out")

    def draw(
        self,
        count: int,
        *,
        labels: NDArray[Any] | None = None,
        groups: Sequence[Any] | None = None,
        times: NDArray[Any] | None = None,
        wanted: Sequence[str] = SPLITS,
    ) -> list[str]:
        """The split of each of a number of samples.

        Arguments:
            count: the number of samples.
            labels: their classes, to stratify by.
            groups: samples of one group are in one split.
            times: by which they are split, where `by_time`.
            wanted: the splits that are drawn: without test, for example, where that is given.

        ValueError for too few samples or groups, and for groups that are split by time.
        """
        if self.by_time and groups is not None:
            raise ValueError("task.by_time and task.group each say who is in which split: take one")
        units = _units(count, groups)
        if len(units) < self.folds.least([name for name in wanted if name != "train"]):
            what = "groups" if groups is not None else "samples"
            folds = f" in {self.folds.count} folds" if self.folds.count else ""
            raise ValueError(
                f"{len(units)} {what} are too few for {', '.join(wanted)}{folds}: give more, or "
                "the splits as files of their own (task.train, task.validation, task.test)"
            )
        if self.by_time and times is not None:
            units = [[at] for at in np.argsort(times, kind="stable").tolist()]
            order = list(range(count))
        else:
            order = self._strata(units, labels, np.random.default_rng(self.seed))
        split = [""] * count
        for name, unit in zip(self._names(len(units), wanted), order, strict=True):
            for at in units[unit]:
                split[at] = name
        return split

    def _names(self, count: int, wanted: Sequence[str]) -> list[str]:
        """The splits of a number of units in their order, each at least once."""
        given: dict[str, float] = dict(zip(SPLITS, self.fractions, strict=True))
        if self.folds.count is None or "test" not in wanted:
            return _shared(count, [given[name] for name in wanted], wanted)
        start, end = self.folds.bounds(count)
        rest = [name for name in wanted if name != "test"]
        others = _shared(count - (end - start), [given[name] for name in rest], rest)
        return [*others[:start], *["test"] * (end - start), *others[start:]]

    def _strata(
        self, units: Sequence[Sequence[int]], labels: NDArray[Any] | None, random: Any
    ) -> list[int]:
        """The order of units, drawn: so that every stretch of it has its share of each class."""
        order = random.permutation(len(units))
        if labels is None or not self.stratify:
            return order.tolist()
        of_class: dict[Any, list[int]] = defaultdict(list)
        for unit in order.tolist():
            of_class[labels[units[unit][0]]].append(unit)
        # Those of a class at equal distances, each class beginning somewhere else.
        placed = [
            ((at + shift) / len(members), unit)
            for (_, members), shift in zip(
                sorted(of_class.items()), random.random(len(of_class)), strict=True
            )
            for at, unit in enumerate(members)
        ]
        return [unit for _, unit in sorted(placed)]


def _shared(count: int, shares: Sequence[float], names: Sequence[str]) -> list[str]:
    """Names for a number of units in order, each for its share of them and at least for one."""
    bounds = np.cumsum(shares)[:-1] / np.sum(shares)
    of = np.searchsorted(bounds, (np.arange(count) + 0.5) / count, side="right")
    sizes = np.bincount(of, minlength=len(names))
    for empty in np.flatnonzero(sizes == 0):
        sizes[sizes.argmax()] -= 1
        sizes[empty] = 1
    return [name for name, size in zip(names, sizes.tolist(), strict=True) for _ in range(size)]


def _units(count: int, groups: Sequence[Any] | None) -> list[list[int]]:
    """The samples that stay together."""
    if groups is None:
        return [[at] for at in range(count)]
    found: dict[Any, list[int]] = defaultdict(list)
    for at, group in enumerate(groups):
        found[group].append(at)
    return list(found.values())


def named_splits(names: NDArray[Any], place: Any) -> list[str]:
    """The splits that a column names; ValueError, with a place, for other names.

    Arguments:
        names: str, None where missing, of each sample.
        place: (index) -> where the sample stands.
    """
    found = []
    for at, name in enumerate(names):
        split = SPLIT_NAMES.get(str(name).lower())
        if split is None:
            raise ValueError(
                f"{place(at)}: {name!r} in the column of splits, expected one of "
                f"{', '.join(SPLIT_NAMES)}"
            )
        found.append(split)
    return found


def warn_of_leaks(names: Mapping[str, Sequence[Any]], what: str) -> None:
    """A DataWarning for names that are in two splits, by split."""
    splits = list(names)
    for at, first in enumerate(splits):
        for second in splits[at + 1 :]:
            both = sorted(set(map(str, names[first])) & set(map(str, names[second])))
            if both:
                more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
                warnings.warn(
                    f"{what} {', '.join(map(repr, both[:SHOWN]))}{more} are in {first} and in "
                    f"{second}: figures may be better than those of new data",
                    sn.DataWarning,
                    stacklevel=2,
                )


def warn_of_twins(digests: Mapping[str, Sequence[tuple[bytes, str]]], what: str) -> None:
    """A DataWarning for samples of validation and test that are equal to one of training.

    Arguments:
        digests: by split, of what a net reads of every sample, with the sample's name.
        what: samples are called.
    """
    trained = {digest for digest, _ in digests["train"]}
    for split, some in digests.items():
        twins = [name for digest, name in some if digest in trained]
        if split != "train" and twins:
            shown = ", ".join(map(repr, twins[:SHOWN]))
            warnings.warn(
                f"{len(twins):,} of {len(some):,} {what} of {split} are equal to one of training, "
                f"{shown} first: figures may be better than those of new data",
                sn.DataWarning,
                stacklevel=2,
            )
