"""An executor of one's own
========================

It is ``batched``, and adds up the time of forward passes::

    structnet train --plugin examples/timed_executor.py net.executor=timed
"""

import time

import structnet as sn


@sn.executors.register("timed")
class Timed(sn.Executor):
    takes = frozenset(["states", "edges", "dropout", "zoneout", "weight_drop"])
    seconds, nodes = 0.0, 0

    def __init__(self):
        self.batched = sn.executors.create("batched")

    def refuses(self, spec: sn.Spec) -> str | None:
        return self.batched.refuses(spec)

    def run(self, p: sn.Pass):
        start = time.perf_counter()
        result = self.batched.run(p)
        Timed.seconds += time.perf_counter() - start
        Timed.nodes += p.plan.num_nodes
        return result


if __name__ == "__main__":
    import torch

    layer = sn.Recurrence("tree", "lstm", 8, 16, executor="timed")
    children = [[-1, -1]] * 32 + [[2 * i, 2 * i + 1] for i in range(31)]
    for _ in range(10):
        layer(torch.randn(63, 8), layer.topology.plan([children]))
    print(f"{Timed.nodes} nodes, {Timed.seconds / Timed.nodes * 1e6:.1f} us per node")
