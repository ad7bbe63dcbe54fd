"""Whether the trees of a data set fill the slots of a topology, and no more than these."""

import warnings
from collections.abc import Sequence

import numpy as np

import structnet as sn
from structnet.plugins.shapes.shape import Shape


def check_slots(shapes: Sequence[Shape], topology: sn.Topology) -> None:
    """A DataWarning for slots of children that no training tree fills, whose weights stay random.

    ValueError, which names the place, for a node with more children than slots.
    """
    arity = topology.arity
    if arity is None:
        return
    most = 0
    for shape in shapes:
        counts = np.bincount(shape.edges[1], minlength=len(shape))
        most = max(most, int(counts.max()))
        if most > arity:
            raise shape.place.mistake(
                f"node {int(counts.argmax())} has {most} children, the topology has {arity} slots: "
                f"set topology.arity=null for any number, which are summed, or {most}"
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
