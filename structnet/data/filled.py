"""A warning for slots that no training sample fills.

Their weights keep their random start values, which a node that fills such a slot later is read
through.
"""

import warnings
from collections.abc import Mapping, Sequence

from structnet import DataWarning
from structnet.data.batch import Sample
from structnet.topology.base import Topology

# Structures that are planned at once.
CHUNK = 64
# Direction -> slots, counted from 0.
Slots = dict[str, list[int]]


def unfilled_slots(topology: Topology, samples: Sequence[Sample]) -> Slots:
    """The slots that no node of the samples fills, in directions with several ordered slots."""
    open_slots = {
        direction: set(range(arity)) for direction, arity in _ordered(topology).items() if arity > 1
    }
    for start in range(0, len(samples), CHUNK):
        if not any(open_slots.values()):
            break
        structures = [sample.structure for sample in samples[start : start + CHUNK]]
        for direction, plan in zip(topology.directions, topology.plan(structures), strict=True):
            if open_slots.get(direction) and plan.steps:
                rows = plan.rows.view(-1, plan.steps[0][2])
                filled = (rows > 0).any(0).nonzero().flatten()
                open_slots[direction] -= set(filled.tolist())
    return {direction: sorted(slots) for direction, slots in open_slots.items() if slots}


def warn_of_slots(
    topology: Topology, unfilled: Mapping[str, Sequence[int]], samples: Sequence[Sample], what: str
) -> None:
    """A DataWarning if samples fill slots that are `unfilled` in training."""
    if not unfilled:
        return
    still = unfilled_slots(topology, samples)
    for direction, slots in unfilled.items():
        filled = sorted(set(slots) - set(still.get(direction, ())))
        if filled:
            arity = _ordered(topology)[direction]
            warnings.warn(
                f"slots {', '.join(map(str, filled))} of 0 to {arity - 1}, direction {direction}, "
                f"are filled in {what} and in no training sample: their weights still have their "
                "random start values; take a topology whose slots share weights, such as trees "
                "with topology.arity=null, or train on samples that fill them",
                DataWarning,
                stacklevel=2,
            )


def _ordered(topology: Topology) -> dict[str, int]:
    """Direction -> number of slots, for directions with ordered slots."""
    arities = zip(topology.directions, topology.arities, strict=True)
    return {direction: arity for direction, arity in arities if arity is not None}
