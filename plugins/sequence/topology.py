"""Chains in one direction or both. A structure is an int, the length of the sequence."""

import operator
from typing import Any

import numpy as np

import structnet as sn


def steps(length: int) -> np.ndarray:
    """The predecessors (length, 1) of a chain's steps; the first step's is the initial state."""
    try:
        length = operator.index(length)
    except TypeError:
        raise ValueError(
            f"a sequence is its length, a whole number of steps from 1 on, got {length!r}"
        ) from None
    if length < 1:
        raise ValueError(f"a sequence has at least one step, got length {length}")
    before = np.arange(-1, length - 1)
    before[0] = length
    return before[:, None]


@sn.topologies.register("chain")
class Chain(sn.Topology):
    """A sequence: every step follows the one before.

    Structure: int, the length. Each sample has one initial state, read by its first step.
    """

    takes = "sequence"
    num_initial = 1

    def predecessors(self, structure: int) -> np.ndarray:
        return steps(structure)


@sn.topologies.register("bichain")
class BiChain(sn.Topology):
    """A sequence read in both directions.

    Schuster and Paliwal (1997), "Bidirectional recurrent neural networks", figure 3. Structure:
    int, the length. Each sample has one initial state per direction, read by its first and by its
    last step.
    """

    takes = "sequence"
    directions = ("forward", "backward")
    num_initial = 1

    def predecessors(self, structure: int) -> tuple[np.ndarray, np.ndarray]:
        before = steps(structure)
        after = len(before) - 1 - before[::-1]
        after[-1] = len(before)
        return before, after


def refuse_ahead(task: sn.Task, topology: sn.Topology) -> None:
    """ValueError for a topology that shows a step what follows, which the task predicts."""
    if looks_ahead(topology):
        raise ValueError(
            f"{sn.tasks.called(task)} predicts what follows, which "
            f"{sn.topologies.called(topology)} would show: take a topology that only reads "
            "forward, such as topology=chain"
        )


def looks_ahead(topology: sn.Topology) -> bool:
    """Whether in some direction a step of a sequence follows a later one."""
    return any(ahead for _, ahead in sides(topology))


def sides(topology: sn.Topology) -> list[tuple[bool, bool]]:
    """For each direction, whether steps of a sequence follow earlier ones, and later ones."""
    length, found = 5, []
    tables: Any = topology.predecessors(length)
    for table in tables if len(topology.directions) > 1 else (tables,):
        if isinstance(table, sn.Edges):
            source, target = np.asarray(table.index)
        else:
            source, target = np.asarray(table), np.arange(length)[:, None]
        # Numbers from `length` on are initial states, those below 0 none.
        inside = (source >= 0) & (source < length)
        before, ahead = inside & (source < target), inside & (source > target)
        found.append((bool(before.any()), bool(ahead.any())))
    return found
