"""The rows that all requests in work share: of their states, and of what enters their cells."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Ints = NDArray[np.integer]


class Pool:
    """Tables with a row for every node in work; row 0 is the null state, and is zero.

    A node has the same row in every table. Rows are taken and given back in any order, as they are
    always read and written by their numbers.

    Arguments:
        rows: the number of rows to begin with; more are added where they are needed.
    """

    def __init__(self, rows: int):
        self.rows = rows
        self._free = np.arange(rows, 0, -1)
        self._num_free = rows
        self._tables: dict[tuple[object, ...], Tensor] = {}

    @property
    def taken(self) -> int:
        """The number of rows that are taken."""
        return self.rows - self._num_free

    def take(self, count: int) -> Ints:
        """The numbers of `count` rows."""
        if count > self._num_free:
            self._grow(max(2 * self.rows, self.taken + count))
        self._num_free -= count
        return self._free[self._num_free : self._num_free + count].copy()

    def give_back(self, rows: Ints) -> None:
        self._free[self._num_free : self._num_free + len(rows)] = rows
        self._num_free += len(rows)

    def table(self, key: tuple[object, ...], width: int, dtype: torch.dtype) -> Tensor:
        """The table of a name, (1 + rows, width)."""
        key = (*key, width, dtype)
        if key not in self._tables:
            self._tables[key] = torch.zeros(1 + self.rows, width, dtype=dtype)
        return self._tables[key]

    def _grow(self, rows: int) -> None:
        new = np.arange(rows, self.rows, -1)
        free = np.concatenate([self._free[: self._num_free], new])
        self._free = np.concatenate([free, np.zeros(rows - len(free), np.int64)])
        for key, table in self._tables.items():
            self._tables[key] = torch.cat([table, table.new_zeros(rows - self.rows, len(table[0]))])
        self._num_free, self.rows = len(free), rows
