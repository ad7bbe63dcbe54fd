"""The nodes that a search makes: a table that grows by what is merged.

N: leaves of a batch, K: brackets of a sample at most, m: nodes.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

import structnet as sn
from structnet.plugins.tree.parsing.gold import Gold, crosses

Ints = np.ndarray
States = Sequence[Tensor]
# (states of the left nodes, states of the right nodes) -> states of their parents, scores (m,).
Merge = Callable[[States, States], tuple[States, Tensor]]


# About how many times a new node's states are in memory while they are computed, and the bytes of
# its name among the pairs that are known.
AT_WORK, NAMED = 12, 300


def refuse_large(what: str, count: int, needed: int) -> None:
    """Raise MemoryError where a search needs more than half of this machine's memory.

    Arguments:
        what: what the search would have, in words.
        count: how many of these.
        needed: the bytes that they take.
    """
    if needed > sn.total_memory() // 2:
        raise MemoryError(
            f"out of memory: the search would have {count:,} {what}, {sn.as_bytes(needed)}, more "
            "than half of this machine's memory: take a smaller net.beam, net.train_beam or "
            "trainer.batch_nodes"
        )


class Nodes:
    """The leaves of a batch, and the nodes that were made of two nodes each.

    Leaves are the nodes from 0 on, in the order of the batch, and every node comes after those that
    it is made of. Two nodes are merged once: asked for again, they give the node that is there.

    Arguments:
        states: those of the leaves, a tensor (N, size) per state of the cell.
        merge: gives the states and the scores of new nodes.
        sample: the sample of every leaf (N,).
        gold: the trees that the samples were given; None where they are not known.
    """

    def __init__(self, states: States, merge: Merge, sample: Ints, gold: Gold | None = None):
        count = len(sample)
        self._compute, self._gold = merge, gold
        self._states = [_Table(state) for state in states]
        shared = np.zeros((count, 0), np.int16) if gold is None else gold.covers
        none = np.full(count, -1)
        fields = {
            "left": none, "right": none, "first": np.arange(count), "sample": sample,
            "size": np.ones(count, np.int64), "shared": shared, "score": np.zeros(count),
            "wrong": np.zeros(count, bool),
        }  # fmt: skip
        self._fields = {name: _Table(torch.from_numpy(one)) for name, one in fields.items()}
        self._known: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return self._fields["left"].count

    def __getitem__(self, field: str) -> Ints:
        """A field of all nodes.

        `left` and `right`, what a node is made of, -1 of leaves; its `first` leaf; its `sample`;
        its `size`, the number of its leaves; how many of them it has in common with each bracket,
        `shared` (m, K); its `score`, 0 of leaves; and whether it crosses a bracket, `wrong`.
        """
        return self._fields[field].rows.numpy()

    @property
    def states(self) -> list[Tensor]:
        """The states of all nodes."""
        return [table.rows for table in self._states]

    @torch.no_grad()
    def merge(self, left: Ints, right: Ints) -> Ints:
        """The nodes (m,) that are made of pairs of nodes; those that are new in one call."""
        known, pairs = self._known, list(zip(left.tolist(), right.tolist(), strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        if new:
            known |= {pair: len(self) + at for at, pair in enumerate(new)}
            self._add(*np.array(new).T)
        return np.array([known[pair] for pair in pairs], np.int64)

    def keep(self, start: int, ids: Ints) -> Ints:
        """Forget the nodes from `start` on but some, and return the numbers (m,) that these get."""
        kept, number = np.unique(ids, return_inverse=True)
        pairs = zip(self["left"][kept].tolist(), self["right"][kept].tolist(), strict=True)
        known = {pair: start + at for at, pair in enumerate(pairs)}
        for table in (*self._states, *self._fields.values()):
            table.keep(start, torch.from_numpy(kept))
        while self._known and next(reversed(self._known.values())) >= start:
            self._known.popitem()
        self._known |= known
        return start + number

    def _add(self, left: Ints, right: Ints) -> None:
        size = sum(table.row_bytes for table in (*self._states, *self._fields.values()))
        count, new = len(self) + len(left), len(left)
        # Storages double.
        refuse_large("nodes", count, size * (2 * count + AT_WORK * new) + NAMED * count)
        at = [torch.from_numpy(one) for one in (left, right)]
        before = [
            [state.index_select(0, one.to(state.device)) for state in self.states] for one in at
        ]
        states, scores = self._compute(*before)
        for table, state in zip(self._states, states, strict=True):
            table.add(state)
        fields = {name: self[name] for name in ("first", "size", "shared", "sample")}
        size = fields["size"][left] + fields["size"][right]
        shared = fields["shared"][left] + fields["shared"][right]
        sample = fields["sample"][left]
        wrong = np.zeros(len(left), bool)
        if self._gold is not None:
            wrong = crosses(shared, size, self._gold.sizes[sample])
        made = {
            "left": left, "right": right, "sample": sample, "size": size, "shared": shared,
            "first": np.minimum(fields["first"][left], fields["first"][right]),
            "score": scores.double().cpu().numpy(), "wrong": wrong,
        }  # fmt: skip
        for name, one in made.items():
            self._fields[name].add(torch.from_numpy(one))


class _Table:
    """Rows that are added at the end, in a storage that doubles when it is full."""

    def __init__(self, rows: Tensor):
        self._store, self.count = rows, len(rows)

    @property
    def rows(self) -> Tensor:
        return self._store[: self.count]

    @property
    def row_bytes(self) -> int:
        return self._store[:1].nbytes if len(self._store) else 0

    def add(self, rows: Tensor) -> None:
        stop = self.count + len(rows)
        if stop > len(self._store):
            room = self._store.new_empty(max(stop, 2 * len(self._store)), *rows.shape[1:])
            room[: self.count] = self.rows
            self._store = room
        self._store[self.count : stop] = rows
        self.count = stop

    def keep(self, start: int, rows: Tensor) -> None:
        """Leave out all rows from `start` on but some."""
        kept = self._store[rows.to(self._store.device)]
        self.count = start + len(rows)
        self._store[start : self.count] = kept
