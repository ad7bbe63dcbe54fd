"""Whether the trees of a data set fill the slots of a topology, and no more than these."""

import warnings

import numpy as np

import structnet as sn
from structnet.plugins.shapes.shape import Place, Shape


def fullest(shape: Shape) -> tuple[int, int]:
    """The most children that a node of a tree has, and which node it is."""
    counts = np.bincount(shape.edges[1], minlength=len(shape))
    return int(counts.max()), int(counts.argmax())


def check_slots(most: int, node: int, place: Place, topology: sn.Topology) -> None:
    """A DataWarning for slots of children that no training tree fills, whose weights stay random.

    ValueError, which names the place, for a node with more children than slots.

    Arguments:
        most, node: the most children that a node of a training tree has, and which node.
        place: of the tree.
        topology: of the net.
    """
    arity = topology.arity
    if arity is None:
        return
    if most > arity:
        raise place.mistake(
            f"node {node} has {most} children, the topology has {arity} slots: set "
            f"topology.arity=null for any number, which are summed, or {most}"
        )
    needed = arity if topology.distinct_slots is None else topology.distinct_slots
    if most < needed:
        warnings.warn(
            f"no training tree has more than {most} children, and the topology has weights for "
            f"{needed}: those of the others stay as they were drawn; set "
            f"topology.arity={max(1, most)}",
            sn.DataWarning,
            stacklevel=2,
        )
