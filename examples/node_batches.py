"""Batches of nodes of one large graph
===================================

A graph of 100,000 nodes is never planned as a whole: a batch has some nodes and their ancestors, up
to two steps away. How many of these are marked, more than three?
"""

import numpy as np
import torch
from matplotlib import pyplot as plt

import structnet as sn

torch.manual_seed(0)
random, size = np.random.default_rng(0), 100_000
# A node reads two of the thousand before it.
target = np.repeat(np.arange(1000, size), 2)
source = target - random.integers(1, 1000, len(target))
marks = random.integers(0, 2, size)
within = marks + np.bincount(target, marks[source], size)
within = marks + np.bincount(target, within[source], size)
edges, y = sn.Edges(np.stack([source, target]), size), (within > 3).astype(np.int64)

topology = sn.topologies.create("graph")
layer, head = sn.Recurrence(topology, "lstm", 1, 16), torch.nn.Linear(16, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.02)
x = marks[:, None].astype(np.float32)
options = {"nodes": np.arange(50_000), "depth": 2, "batch_size": 1000, "shuffle": True}
for batch in sn.node_loader(edges, x, y, topology, **options):
    scores = head(layer(batch.x, batch.plans))
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(scores, batch.y, ignore_index=sn.IGNORE).backward()
    optimizer.step()
right = (scores.argmax(1) == batch.y)[batch.targets].float().mean()
print(f"{batch.num_nodes} nodes for {len(batch.targets)} targets, {batch.cut_edges} edges cut")
print(f"accuracy {right:.2f}, of the more frequent class {max(y.mean(), 1 - y.mean()):.2f}")
closure = sn.ancestors(edges, [50_000], depth=2)
names = [f"{node}, marked" if marks[node] else str(node) for node in closure.nodes]
sn.picture(topology, closure.edges, names=names, title="What is read for node 50000")
plt.show()
