"""Levels, one after the other
===========================

The nodes of a level depend on earlier levels alone, and are one batched call of the cell: rows of a
row grid, diagonals of a diagonal one, heights of a tree, depths of a DAG. The same as a GIF::

    structnet draw topology=diagonal out=levels.gif
"""

import matplotlib.pyplot as plt
import numpy as np

import structnet as sn

# Every node reads one or two earlier ones.
random = np.random.default_rng(4)
edges = [(source, node) for node in range(2, 10) for source in set(random.integers(0, node, 2))]
structures = {
    "row": (4, 6),
    "diagonal": (4, 6),
    "tree": [[1, 2], [3, 4], [5, 6], [7, 8], *[[-1, -1]] * 5],
    "graph": sn.Edges(np.array(edges).T, 10),
}
topologies = {name: sn.topologies.create(name) for name in structures}
for name, topology in topologies.items():
    (plan,) = topology.plan([structures[name]])
    print(f"{name}: {plan.num_nodes} nodes in {len(plan.level_sizes)} calls of the cell, "
          f"of {plan.level_sizes} nodes")  # fmt: skip

row = sn.animation(topologies["row"], structures["row"], title="row grid")
diagonal = sn.animation(topologies["diagonal"], structures["diagonal"], title="diagonal grid")
tree = sn.animation(topologies["tree"], structures["tree"], title="tree")
dag = sn.animation(topologies["graph"], structures["graph"], title="DAG")
plt.show()
