"""An executor of one's own
========================

It is ``batched``, and takes the time of every forward pass: of many trees at once it is less each::

    structnet train --plugin examples/timed_executor.py net.executor=timed
"""

import time

import structnet as sn


@sn.executors.register("timed")
class Timed(sn.Executor):
    takes = frozenset(["states", "edges", "dropout", "zoneout", "weight_drop"])
    seconds = 0.0

    def __init__(self):
        self.batched = sn.executors.create("batched")

    def run(self, p: sn.Pass):
        start = time.perf_counter()
        result = self.batched.run(p)
        Timed.seconds = time.perf_counter() - start
        return result


if __name__ == "__main__":
    import matplotlib.pyplot as plt
    import torch

    layer = sn.Recurrence("tree", "lstm", 8, 16, executor="timed")
    tree = [[-1, -1]] * 32 + [[2 * i, 2 * i + 1] for i in range(31)]
    for trees in (32, 1, 2, 4, 8, 16, 32):
        layer(torch.randn(63 * trees, 8), layer.topology.plan([tree] * trees))
        print(f"{trees} trees of 63 nodes: {Timed.seconds / trees * 1e3:.2f} ms each")
        plt.loglog(trees, Timed.seconds / trees * 1e3, "C0o")
    plt.gca().set(xlabel="trees of a batch", ylabel="time of a tree (ms)")
    plt.show()
