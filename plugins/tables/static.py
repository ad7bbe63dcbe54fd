"""What is constant in a sequence, as a vector of numbers beside its steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.schema import Kind, Schema
from structnet.plugins.tables.table import Table

# The most tokens of categories and texts that have a number of their own, the most frequent ones.
MOST = 1000


class Static:
    """The columns that are constant, with a number for every token beside those of numbers.

    Arguments:
        schema: of these columns.
    """

    def __init__(self, schema: Schema):
        self.schema = schema
        self.words = 0 if schema.vocabulary is None else len(schema.vocabulary)
        self.size = (schema.input_size or 0) + self.words

    @classmethod
    def learn(
        cls, table: Table, rows: NDArray[Any], names: Sequence[str], kinds: Mapping[str, Kind]
    ) -> "Static":
        made = Schema.learn(table, rows, names, kinds)
        if made.vocabulary is not None:
            often = sorted(made.vocabulary.counts.items(), key=lambda pair: -pair[1])[:MOST]
            made = Schema(made.columns, sn.Vocabulary(dict(often)))
        return cls(made)

    def plain(self) -> dict[str, Any]:
        words = self.schema.vocabulary
        counts = None if words is None else dict(words.counts)
        return {"columns": self.schema.plain(), "words": counts}

    @classmethod
    def of(cls, plain: Any) -> "Static":
        """That of plain data; ValueError for what is none."""
        words = plain.get("words") if isinstance(plain, dict) else None
        good = words is None or (
            isinstance(words, dict) and all(type(count) is int for count in words.values())
        )
        if not isinstance(plain, dict) or not good:
            raise ValueError("learned, 'schema': 'static' is not the columns of a sequence")
        return cls(Schema.of(plain["columns"], None if words is None else sn.Vocabulary(words)))

    def encode(self, table: Table) -> NDArray[np.float32]:
        """The vectors (B, size) of rows, one of each sequence."""
        found = self.schema.encode(table)
        parts = [] if found.numbers is None else [found.numbers]
        if found.tokens is not None:
            counts = np.zeros((len(table), self.words), np.float32)
            rows = np.repeat(np.arange(len(table)), np.diff(found.tokens.ptr))
            np.add.at(counts, (rows, found.tokens.ids), 1)
            parts.append(counts)
        return np.concatenate(parts, 1)
