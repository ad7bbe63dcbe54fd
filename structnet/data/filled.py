"""Slots that no training sample fills: their weights stay as they start, at random.

Nothing of them reaches training's numbers; a node that fills one later reads it through weights
that nobody chose.
"""

import warnings
from collections.abc import Mapping, Sequence

from structnet import DataWarning
from structnet.data.batch import Sample
from structnet.topology.base import Topology

# Structures that are looked at together.
SOME = 64
# Direction -> slots, counted from 0.
Slots = dict[str, list[int]]


def unfilled_slots(topology: Topology, samples: Sequence[Sample]) -> Slots:
    """The ordered slots, where there are several, that no node of the samples fills."""
    open_slots = {
        direction: set(range(arity)) for direction, arity in _ordered(topology).items() if arity > 1
    }
    for start in range(0, len(samples), SOME):
        if not any(open_slots.values()):
            break
        structures = [sample.structure for sample in samples[start : start + SOME]]
        for direction, plan in zip(topology.directions, topology.plan(structures), strict=True):
            if open_slots.get(direction) and plan.steps:
                rows = plan.rows.view(-1, plan.steps[0][2])
                filled = (rows > 0).any(0).nonzero().flatten()
                open_slots[direction] -= set(filled.tolist())
    return {direction: sorted(slots) for direction, slots in open_slots.items() if slots}


def warn_of_slots(
    topology: Topology, unfilled: Mapping[str, Sequence[int]], samples: Sequence[Sample], what: str
) -> None:
    """A DataWarning where samples fill slots that are `unfilled` in training."""
    if not unfilled:
        return
    still = unfilled_slots(topology, samples)
    for direction, slots in unfilled.items():
        filled = sorted(set(slots) - set(still.get(direction, ())))
        if filled:
            arity = _ordered(topology)[direction]
            warnings.warn(
                f"slots {', '.join(map(str, filled))} of 0 to {arity - 1}, direction {direction}, "
                f"are filled in {what} and in no training sample: their weights are as they "
                "started, at random; take a topology whose slots share weights, as "
                "topology.arity=null of trees, or train on samples that fill them",
                DataWarning,
                stacklevel=2,
            )


def _ordered(topology: Topology) -> dict[str, int]:
    """Direction -> number of slots, where these are ordered."""
    arities = zip(topology.directions, topology.arities, strict=True)
    return {direction: arity for direction, arity in arities if arity is not None}
