"""What a batch costs: its nodes, and its levels, each of which is a call of the cell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from structnet.data.batch import Sample
from structnet.topology.base import Topology
from structnet.topology.levels import stable_order

# How many nodes take as long as one more level, forward and backward: 28 (20 to 36, residuals of
# 15 %) measured for a Tree-LSTM on SST run level by level, 1 and 0 for UD and NCI1 compiled. By
# these costs, 10 makes steps of 8 lanes alike within 5 % on average on all three. It is fixed, as
# batches must not depend on a measurement.
LEVEL = 10
# Samples that are planned at once.
TOGETHER = 512
# Batches of a step whose largest cost is above the mean by a smaller share are alike.
ALIKE = 0.02


@dataclass(frozen=True)
class Costs:
    """What batches of units cost, a unit being samples that stay together.

    Arguments:
        sizes: the units' numbers of nodes (U,).
        levels: their numbers of levels (U,).
        batch_nodes: the most nodes in a batch of several units.
        batch_size: the most units in a batch, in place of `batch_nodes`.
    """

    sizes: NDArray[np.int64]
    levels: NDArray[np.int64]
    batch_nodes: int
    batch_size: int | None

    def of(self, batch: Sequence[int]) -> int:
        """What a batch costs, in nodes: its own, and `LEVEL` for each of its levels."""
        units = np.asarray(batch)
        return int(self.sizes[units].sum() + LEVEL * self.levels[units].max(initial=0))

    def evened(self, step: list[list[int]]) -> list[list[int]]:
        """The batches of a step, dealt anew where the one that costs most then costs less."""
        costs = [self.of(batch) for batch in step]
        if max(costs) <= (1 + ALIKE) * np.mean(costs):
            return step
        dealt = self._dealt(np.concatenate(step), len(step))
        return dealt if all(dealt) and max(map(self.of, dealt)) < max(costs) else step

    def _dealt(self, units: NDArray[np.int64], count: int) -> list[list[int]]:
        """Units dealt to `count` batches: the costliest unit first, each to the cheapest batch.

        A single empty batch is returned if a unit has room in none.
        """
        dealt: list[list[int]] = [[] for _ in range(count)]
        nodes, levels, filled = (np.zeros(count, np.int64) for _ in range(3))
        alone = self.sizes[units] + LEVEL * self.levels[units]
        for unit in units[stable_order(alone)[::-1]].tolist():
            size, depth = self.sizes[unit], np.maximum(levels, self.levels[unit])
            if self.batch_size is None:
                has_room = (nodes + size <= self.batch_nodes) | (filled == 0)
            else:
                has_room = filled < self.batch_size
            if not has_room.any():
                return [[]]
            cost = np.where(has_room, nodes + LEVEL * depth, np.iinfo(np.int64).max)
            at = int(cost.argmin())
            dealt[at].append(unit)
            nodes[at] += size
            levels[at] = depth[at]
            filled[at] += 1
        return dealt


def levels_of(samples: Sequence[Sample], topology: Topology) -> NDArray[np.int64]:
    """The number of levels of every sample (S,): those of all directions and of its parts."""
    found = [
        _levels([samples[i] for i in range(first, min(first + TOGETHER, len(samples)))], topology)
        for first in range(0, len(samples), TOGETHER)
    ]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _levels(samples: Sequence[Sample], topology: Topology) -> NDArray[np.int64]:
    levels = np.zeros(len(samples), np.int64)
    for plan in topology.plan([sample.structure for sample in samples]):
        of_rank = np.repeat(np.arange(1, len(plan.levels)), plan.level_sizes)
        of_sample = np.repeat(np.arange(len(samples)), plan.ptr.diff().numpy())
        deepest = np.zeros(len(samples), np.int64)
        np.maximum.at(deepest, of_sample, of_rank[plan.rank.numpy()])
        levels += deepest
    for some in zip(*(sample.parts for sample in samples), strict=True):
        levels += _levels(some, some[0].topology or topology)
    return levels
