"""structnet train --plugin examples/skip_topology.py topology=skip topology.stride=3"""

import numpy as np

import structnet as sn


@sn.topologies.register("skip")
class Skip(sn.Topology):
    """A sequence whose steps also read the step `stride` earlier (Zhang et al. 2016, eq. 9)."""

    takes = "sequence"
    arity = 2

    def __init__(self, *, stride: int = 2):
        self.stride = stride

    def predecessors(self, structure):
        step = np.arange(structure)
        return np.stack([step - 1, np.maximum(step - self.stride, -1)], axis=1)


if __name__ == "__main__":
    print(sn.topologies.create("skip", stride=3).plan([7, 2])[0].level_sizes)
