"""Some samples in work: all they need to go through the layers of a stack, a level at a turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from structnet.data.batch import Batch
from structnet.serving.cut import cut_batch, sample_heights
from structnet.topology.levels import ranges
from structnet.topology.plan import Plan

Ints = NDArray[np.integer]


class Piece(NamedTuple):
    """A step of a part: nodes of one level that read equally many rows.

    Arguments:
        nodes: the rows of the nodes (n,) in the pool.
        reads: the rows that they read (n * slots,).
        slots: how many each of them reads.
        present: which reads count in means (n * slots,); None if all do.
        entries: the places of the reads in the plan's `rows`.
    """

    nodes: Ints
    reads: Ints
    slots: int
    present: NDArray[np.bool_] | None
    entries: slice


@dataclass(eq=False)
class Part:
    """Samples that arrived together, and are at the same level of the same layer.

    Arguments:
        members: what they are called by whoever brought them, in the order of the batch.
        batch: of these samples.
        rows: the row of every node in the pool (N,), in node order.
        h: what enters the layer that they are in (N, size).
        enters: what entered the first layer, which layers above may read as well.
        found: the outputs of the layer's directions that have run.
        depth: the layer that they are in.
        stage: which of the layer's directions run; see `Continuous`.
        level: the level that is next.
        ends: the numbers of levels after which samples are done, each with their indices.
        edges: what edges add to gates, by direction.
    """

    members: Sequence[Any]
    batch: Batch
    rows: Ints
    h: Tensor
    enters: Tensor
    found: list[Tensor] = field(default_factory=list)
    depth: int = 0
    stage: int = 0
    level: int = 0
    ends: dict[int, Ints] = field(default_factory=dict)
    edges: Sequence[Tensor] = ()

    @cached_property
    def pieces(self) -> list[list[list[Piece]]]:
        """The pieces of every level of every direction."""
        return [_pieces(plan, self.rows) for plan in self.batch.plans]

    @cached_property
    def heights(self) -> Ints:
        """The numbers of levels of samples in every direction (directions, B)."""
        return np.array([sample_heights(plan) for plan in self.batch.plans])

    def begin(self, directions: Sequence[int]) -> None:
        """Be at the first level of some directions."""
        heights = self.heights[list(directions)].max(axis=0)
        self.level = 0
        self.ends = {one: np.flatnonzero(heights == one) for one in np.unique(heights).tolist()}

    def split_done(self) -> "list[Part]":
        """The samples that are done, as parts of their own; the others are left in this one."""
        done = [self.ends.pop(end) for end in list(self.ends) if end <= self.level]
        return [self._cut(chosen) for chosen in done]

    def _cut(self, chosen: Ints) -> "Part":
        if len(chosen) == len(self.members):
            return self
        ptr = self.batch.ptr.numpy()
        at = ranges(ptr[chosen], np.diff(ptr)[chosen])
        index = torch.from_numpy(at)
        h = self.h[index]
        return Part(
            [self.members[i] for i in chosen],
            cut_batch(self.batch, chosen),
            self.rows[at],
            h,
            h if self.enters is self.h else self.enters[index],
            [output[index] for output in self.found],
            self.depth,
            self.stage,
        )


def _pieces(plan: Plan, rows: Ints) -> list[list[Piece]]:
    """The pieces of every level."""
    by_rank = rows[plan.order.numpy()]
    # The null state and initial states, which are zero, are the pool's row 0.
    row_of = np.concatenate([np.zeros(plan.first_row, np.int64), by_rank])
    reads = row_of[plan.rows.numpy()]
    counts = None if plan.counts is None else plan.counts.numpy()
    starts = {start: level for level, start in enumerate(plan.levels[:-1])}
    found: list[list[Piece]] = [[] for _ in starts]
    level = 0
    for step in plan.steps:
        level = starts.get(step.start, level)
        of, read = step.nodes, step.reads
        present = None if counts is None else counts[read]
        found[level].append(Piece(by_rank[of], reads[read], step.slots, present, read))
    return found
