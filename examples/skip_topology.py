"""A topology of one's own
=======================

Steps that also read the one ``stride`` earlier (Zhang et al. 2016, eq. 9) see further back:
``structnet train --plugin examples/skip_topology.py topology=skip topology.stride=3``
"""

import numpy as np

import structnet as sn


@sn.topologies.register("skip")
class Skip(sn.Topology):
    """A sequence whose steps also read the step `stride` earlier."""

    takes, arity = "sequence", 2

    def __init__(self, *, stride: int = 2):
        self.stride = stride

    def predecessors(self, structure):
        step = np.arange(structure)
        return np.stack([step - 1, np.maximum(step - self.stride, -1)], axis=1)


if __name__ == "__main__":
    import torch
    from matplotlib import pyplot as plt

    torch.manual_seed(0)
    for topology in (sn.topologies.create("chain"), Skip(stride=4)):
        x = torch.ones(9, 1, requires_grad=True)
        layer = sn.Recurrence(topology, "elman", input_size=1, hidden_size=50)
        layer(x, topology.plan([9]))[-1].norm().backward()
        reach, name = x.grad[:, 0].abs().log10(), type(topology).__name__
        print(f"{name}: the first of 9 steps has a gradient of 10^{reach[0]:.1f}")
        sn.picture(topology, 9, values=reach, what="gradient, log10", title=name)
    plt.show()
