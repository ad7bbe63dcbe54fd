"""The schema of a table: what its columns are, and how they become what a node is given."""

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.lines import shown
from structnet.plugins.tables.kinds import Kind, kind_of, numbers_of, refuse_mistakes
from structnet.plugins.tables.table import Table
from structnet.plugins.text.tokenise import tokeniser

# The largest number that a net is given.
MOST = float(np.finfo(np.float32).max)
# In as many rows values that are all different are taken for names.
MANY = 50


@dataclass(frozen=True)
class Column:
    """A column of the input.

    Arguments:
        name: of the column.
        kind: number; category, one of a few names; text, words; or time.
        missing: the share of training rows without a value.
        mean, deviation: of the numbers of the training rows, or of days since 1970.
        values: how many different values the training rows have.
    """

    name: str
    kind: Kind
    missing: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0
    values: int = 0

    @property
    def is_number(self) -> bool:
        return self.kind in ("number", "time")

    @classmethod
    def of(cls, plain: Any) -> "Column":
        """A column of plain data; ValueError for what is none."""
        good = (
            isinstance(plain, Mapping)
            and set(plain) == set(cls.__dataclass_fields__)
            and isinstance(plain["name"], str)
            and plain["kind"] in get_args(Kind)
            and all(
                isinstance(plain[name], int | float) and math.isfinite(plain[name])
                for name in ("missing", "mean", "deviation", "values")
            )
            and plain["deviation"] > 0
        )
        if not good:
            raise ValueError(f"expected a column of a schema, got {shown(plain)}")
        return cls(**plain)


class Schema:
    """The columns that a net reads, with what was learned of them from the training rows.

    Numbers and times are standardised, and 0 where missing, with a further number that says so for
    columns with missing values in training. A category is the token "column=value", a text its
    words in small letters, each after "column:" where several columns are texts.

    Arguments:
        columns: in the order in which they are read.
        vocabulary: the tokens of categories and texts; None without any.
    """

    def __init__(self, columns: Sequence[Column], vocabulary: sn.Vocabulary | None):
        self.columns, self.vocabulary = tuple(columns), vocabulary
        self._texts = [one.name for one in columns if one.kind == "text"]

    @classmethod
    def learn(
        cls,
        table: Table,
        rows: NDArray[Any],
        names: Sequence[str],
        kinds: Mapping[str, Kind],
        min_count: int = 1,
    ) -> "Schema":
        """The schema of some columns, learned from the training rows alone.

        ValueError, which names row and value, for a column with values of several kinds.

        Arguments:
            table: all rows.
            rows: the mask or indices of the training rows.
            names: the columns that are read.
            kinds: those that are given, by column; the others are inferred.
            min_count: how often a token must occur to be known.
        """
        training = table.take(rows)
        # A mistake is one wherever it stands, also where the training rows have none.
        for name in names:
            if name not in kinds:
                refuse_mistakes(table, training, name)
        columns = [_learned(training, name, kinds.get(name)) for name in names]
        # A column without any value says nothing.
        columns = [one for one in columns if one.missing < 1]
        for one in columns:
            if one.name not in kinds:
                _warn_of_names(one, training)
        made = cls(columns, None)
        counts = Counter(token for one in columns if not one.is_number
                         for bag in made._tokens(training, one) for token in bag)  # fmt: skip
        known = {token: count for token, count in counts.items() if count >= min_count}
        has_tokens = any(not one.is_number for one in columns)
        return cls(columns, sn.Vocabulary(known) if has_tokens else None)

    def plain(self) -> list[dict[str, Any]]:
        """The columns as plain data; the vocabulary is saved with the net."""
        return [asdict(one) for one in self.columns]

    @classmethod
    def of(cls, plain: Any, vocabulary: sn.Vocabulary | None) -> "Schema":
        if not isinstance(plain, list):
            raise ValueError(f"expected the columns of a schema, got {shown(plain)}")
        return cls([Column.of(one) for one in plain], vocabulary)

    @property
    def input_size(self) -> int | None:
        """How many numbers a row has, with those that say what is missing; None for none."""
        size = sum(1 + (one.missing > 0) for one in self.columns if one.is_number)
        return size or None

    def check(self, table: Table) -> None:
        """ValueError for columns that are not in a table, or are of another kind in it."""
        lacking = [one.name for one in self.columns if one.name not in table.columns]
        if lacking:
            raise ValueError(
                f"{table.path} lacks {', '.join(map(repr, lacking))}, which the net was trained "
                f"on: add {'it' if len(lacking) == 1 else 'them'} (empty where missing) to "
                f"{', '.join(map(repr, table.columns))}"
            )
        for one in self.columns:
            if one.is_number:
                numbers_of(table, one.name, one.kind)

    def encode(self, table: Table) -> "Encoded":
        """What the rows of a table are for the net."""
        self.check(table)
        numbers = [self._number(table, one) for one in self.columns if one.is_number]
        tokens = [list(self._tokens(table, one)) for one in self.columns if not one.is_number]
        bags = None
        if self.vocabulary is not None:
            every = zip(*tokens, strict=True) if tokens else iter([()] * len(table))
            bags = self.vocabulary.tokens([[one for bag in row for one in bag] for row in every])
        return Encoded(np.concatenate(numbers, 1) if numbers else None, bags)

    def warn_of_unknown(self, table: Table) -> None:
        """A DataWarning for a category most of whose values in a table training did not have."""
        for one in self.columns:
            if one.kind != "category" or self.vocabulary is None:
                continue
            values = table.names(one.name)
            known = self.vocabulary.counts
            given = [row for row, value in enumerate(values) if value is not None]
            others = [row for row in given if f"{one.name}={values[row]}" not in known]
            if 2 * len(others) > len(given):
                warnings.warn(
                    f"{table.place(others[0])}: column {one.name!r} has {values[others[0]]!r}, and "
                    f"{len(others):,} of its {len(given):,} values are none that training knows: "
                    "see whether they are spelled as there",
                    sn.DataWarning,
                    stacklevel=2,
                )

    def rows(self) -> list[tuple[str, ...]]:
        """A row for every column, to be shown: name, kind, values and missing."""
        return [
            (
                one.name,
                one.kind,
                f"always {one.mean:.4g}" if one.kind == "number" and one.values == 1
                else f"{one.mean:.4g} ± {one.deviation:.4g}" if one.kind == "number"
                else "" if one.kind == "time" else f"{one.values:,} different",
                f"{one.missing:.1%}" if one.missing else "none",
            )
            for one in self.columns
        ]  # fmt: skip

    def _number(self, table: Table, one: Column) -> NDArray[np.float32]:
        values = numbers_of(table, one.name, one.kind)
        gone = np.isnan(values)
        if gone.any() and not one.missing:
            row = int(gone.argmax())
            warnings.warn(
                f"{table.place(row)}: column {one.name!r} has no value in {gone.sum():,} of "
                f"{len(table):,} rows, and had one in every training row: taken as its mean",
                sn.DataWarning,
                stacklevel=2,
            )
        with np.errstate(over="ignore"):
            scaled = np.where(gone, 0.0, (values - one.mean) / one.deviation)
        if (large := np.abs(scaled) > MOST).any():
            row = int(large.argmax())
            expected = f"a number nearer to the training mean of {one.mean:.4g}: a net computes in"
            raise table.refuse(row, one.name, float(values[row]), f"{expected} 32 bits")
        columns = [scaled, gone] if one.missing else [scaled]
        return np.stack(columns, 1).astype(np.float32)

    def _tokens(self, table: Table, one: Column) -> Iterator[Sequence[str]]:
        """The tokens of every row's value."""
        values = table.names(one.name)
        if one.kind == "category":
            yield from (() if value is None else (f"{one.name}={value}",) for value in values)
            return
        before = f"{one.name}:" if len(self._texts) > 1 else ""
        split = tokeniser("words")
        for value in values:
            yield () if value is None else [before + word for word in split(value.lower())]


def _warn_of_names(one: Column, training: Table) -> None:
    """A DataWarning for a category that has another value in nearly every row, as names have."""
    given = round((1 - one.missing) * len(training))
    if one.kind == "category" and given >= MANY and one.values > 0.9 * given:
        warnings.warn(
            f"{training.path}: column {one.name!r} has {one.values:,} different values in "
            f"{given:,} training rows, and tells nothing of new ones: leave it out by "
            f"task.ignore=[{one.name}], unless new rows have the same values",
            sn.DataWarning,
            stacklevel=2,
        )


@dataclass(frozen=True, eq=False)
class Encoded:
    """What rows are for a net: numbers (N, D), tokens of N rows, or both."""

    numbers: NDArray[np.float32] | None
    tokens: sn.Tokens | None

    def part(self, start: int, end: int) -> Any:
        """What the nodes of a sample are given: those of the rows from start to end."""
        numbers = None if self.numbers is None else self.numbers[start:end]
        if self.tokens is None:
            return numbers
        ptr = self.tokens.ptr[start : end + 1]
        tokens = sn.Tokens(self.tokens.ids[ptr[0] : ptr[-1]], ptr - ptr[0])
        return tokens if numbers is None else sn.Mixed(tokens, numbers)

    def __len__(self) -> int:
        return len(self.tokens if self.numbers is None else self.numbers)  # pyright: ignore


def _learned(table: Table, name: str, given: Kind | None) -> Column:
    """A column with what its training rows say."""
    values = table.columns[name]
    kind = given or kind_of(table, name)
    if kind in ("number", "time"):
        numbers = numbers_of(table, name, kind)
        known = numbers[~np.isnan(numbers)]
        if not len(known):
            return Column(name, kind, 1.0)
        with np.errstate(over="ignore"):
            deviation = float(known.std())
        if not math.isfinite(deviation):
            row = int(np.nanargmax(np.abs(numbers)))
            expected = "numbers whose standard deviation is one too; leave it empty if missing"
            raise table.refuse(row, name, float(numbers[row]), expected)
        return Column(
            name, kind, 1 - len(known) / len(values), float(known.mean()),
            deviation if deviation > 1e-9 * abs(known.mean()) else 1.0, len(np.unique(known)),
        )  # fmt: skip
    names = [one for one in table.names(name) if one is not None]
    return Column(name, kind, 1 - len(names) / max(1, len(values)), values=len(set(names)))
