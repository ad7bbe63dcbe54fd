"""Columns beside the target, as features of a step: numbers, and one for each category."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.schema import Schema
from structnet.plugins.tables.table import Table

# The most categories of all columns of a role, each of which is a feature.
MOST = 200


class Covariates:
    """The columns of one role, as numbers.

    Numbers and times are standardised as `Schema` does; a category is 1 in a feature of its own,
    and one that training has not seen is 1 in that of the unknown.

    Arguments:
        schema: of the columns.
    """

    def __init__(self, schema: Schema):
        self.schema = schema

    @classmethod
    def learn(
        cls, table: Table, rows: NDArray[np.bool_], names: Sequence[str], role: str
    ) -> "Covariates":
        """Learn from some rows; ValueError for columns with too many categories."""
        schema = Schema.learn(table, rows, names, {})
        found = schema.vocabulary
        if found is not None and len(found) > MOST:
            texts = [one.name for one in schema.columns if not one.is_number]
            raise ValueError(
                f"{table.path}: columns {', '.join(map(repr, texts))} of task.{role} have "
                f"{len(found)} categories or words, covariates at most {MOST}: leave one out, or "
                "put rare ones together"
            )
        return cls(schema)

    def plain(self) -> dict[str, Any]:
        words = self.schema.vocabulary
        return {
            "columns": self.schema.plain(),
            "vocabulary": None if words is None else dict(words.counts),
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Covariates":
        words = plain["vocabulary"]
        known = None if words is None else sn.Vocabulary(words)
        return cls(Schema.of(plain["columns"], known))

    @property
    def size(self) -> int:
        """The number of features."""
        words = self.schema.vocabulary
        return (self.schema.input_size or 0) + (0 if words is None else len(words))

    def encode(self, table: Table) -> NDArray[np.float32]:
        """The features (rows, size); ValueError for columns that are missing or of another kind."""
        encoded = self.schema.encode(table)
        found = np.zeros((len(table), self.size), np.float32)
        numbers = 0 if encoded.numbers is None else encoded.numbers.shape[1]
        if encoded.numbers is not None:
            found[:, :numbers] = encoded.numbers
        if encoded.tokens is not None:
            rows = np.repeat(np.arange(len(table)), np.diff(encoded.tokens.ptr))
            found[rows, numbers + np.asarray(encoded.tokens.ids)] = 1
        return found
