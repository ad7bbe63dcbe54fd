"""How splits are called, by names of files, folders and columns, and how they are drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Whole = TypeVar("Whole")
SPLITS = ("train", "validation", "test")
# In small letters -> the split.
SPLIT_NAMES = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Folds:
    """Into how many folds data are divided, of which one is tested on.

    Arguments:
        count: the number of folds; None for none.
        fold: the one that is tested on, from 0 on.

    ValueError for numbers out of range.
    """

    count: int | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 2:
            raise ValueError(f"task.folds is at least 2, got {self.count}")
        if self.count is None:
            if self.fold:
                raise ValueError(f"task.fold={self.fold} is one of task.folds=N: set it as well")
        elif not 0 <= self.fold < self.count:
            raise ValueError(
                f"task.fold is from 0 to {self.count - 1} with task.folds={self.count}, got "
                f"{self.fold}"
            )

    def refuse_given(self, missing: Sequence[str]) -> None:
        """ValueError for folds of data whose test split is not among those that are missing."""
        if self.count is not None and "test" not in missing:
            raise ValueError(
                f"task.folds={self.count} draws the test split, which is given (by task.test, a "
                "column, the files' names or the corpus): leave out one of them"
            )

    def least(self, missing: Sequence[str]) -> int:
        """How many parts there have to be for every split to have one, whichever the fold."""
        if self.count is None:
            return len(missing) + 1
        # Of two folds one is left to train and to validate on.
        return max(self.count, len(missing) + 2)

    def turned(self, by: int) -> "Folds":
        """The same folds, of which one further on is tested on."""
        return self if self.count is None else Folds(self.count, (self.fold + by) % self.count)

    def bounds(self, count: int) -> tuple[int, int]:
        """Where the fold that is tested on begins and ends among a number of parts."""
        assert self.count is not None
        return self.fold * count // self.count, (self.fold + 1) * count // self.count


NO_FOLDS = Folds()


def to_draw(given: dict[str, Whole], folds: Folds = NO_FOLDS) -> tuple[Whole, list[str]]:
    """What splits are drawn from, `all` or `train`, which is taken out of `given`; and which.

    ValueError for folds where the test split is given.
    """
    rest = given.pop("all" if "all" in given else "train")
    missing = [split for split in ("test", "validation") if split not in given]
    folds.refuse_given(missing)
    return rest, missing


def deal(
    order: Sequence[Whole], missing: Sequence[str], folds: Folds, what: str
) -> dict[str, list[Whole]]:
    """What is in `train` and in each of the splits that are missing, of parts in drawn order.

    The first tenth, and at least one, is the first missing split's, the next one the next one's.
    With folds, one of them is the test split, and tenths are those of the rest.

    ValueError, which the caller begins with whose parts they are, for too few of them.
    """
    if len(order) < (least := folds.least(missing)):
        needed = f"train, {', '.join(missing)}" if missing else "train"
        folded = f" in {folds.count} folds" if folds.count else ""
        raise ValueError(f"{len(order)} {what}, at least {least} are needed for {needed}{folded}")
    rest, found = list(order), {}
    if folds.count is not None:
        start, end = folds.bounds(len(rest))
        found["test"] = rest[start:end]
        rest = rest[:start] + rest[end:]
    share = max(1, len(rest) // 10)
    for split in missing:
        if split not in found:
            found[split], rest = rest[:share], rest[share:]
    return {"train": rest, **found}
