"""Some samples in work: all they need to go through the layers of a stack, a level at a turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from structnet.data.batch import Batch
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
    """Samples that arrived together and have equally many levels, so that they leave together.

    Arguments:
        members: what they are called by whoever brought them, in the order of the batch.
        batch: of these samples.
        rows: the row of every node in the pool (N,), in node order.
        h: what enters the layer that they are in (N, size).
        enters: what entered the first layer, which layers above may read as well.

    Attributes:
        depth: the layer that they are in.
        stage: which of the layer's directions run; see `Continuous`.
        level: the level that is next.
        found: the outputs of the layer's directions that have run.
        edges: what edges add to gates, by direction.
    """

    members: Sequence[Any]
    batch: Batch
    rows: Ints
    h: Tensor
    enters: Tensor
    depth: int = 0
    stage: int = 0
    level: int = 0
    found: list[Tensor] = field(default_factory=list)
    edges: Sequence[Tensor] = ()

    def __post_init__(self) -> None:
        self.pieces = [_pieces(plan, self.rows) for plan in self.batch.plans]


def _pieces(plan: Plan, rows: Ints) -> list[list[Piece]]:
    """The pieces of every level."""
    by_rank = rows[plan.order.numpy()]
    reads = np.concatenate([np.zeros(1, np.int64), by_rank])[plan.rows.numpy()]
    counts = None if plan.counts is None else plan.counts.numpy()
    starts = {start: level for level, start in enumerate(plan.levels[:-1])}
    found: list[list[Piece]] = [[] for _ in starts]
    level = 0
    for step in plan.steps:
        level = starts.get(step.start, level)
        present = None if counts is None else counts[step.reads]
        of = by_rank[step.nodes], reads[step.reads], step.slots, present, step.reads
        found[level].append(Piece(*of))
    return found
