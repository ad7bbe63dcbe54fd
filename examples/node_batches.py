"""Batches of nodes of one large DAG with their ancestors: how many of these are marked?"""

import numpy as np
import torch

import structnet as sn

random = np.random.default_rng(0)
size = 200_000
# A node reads two of the thousand before it; its class is whether many within two steps are marked.
target = np.repeat(np.arange(1000, size), 2)
source = target - random.integers(1, 1000, len(target))
marks = random.integers(0, 2, size)
within = marks + np.bincount(target, marks[source], size)
within = marks + np.bincount(target, within[source], size)
y = (within > 3).astype(np.int64)

topology = sn.topologies.create("graph")
layer = sn.Recurrence(topology, "lstm", input_size=1, hidden_size=16)
head = torch.nn.Linear(16, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.02)
x = marks[:, None].astype(np.float32)
batches = sn.node_loader(
    sn.Edges(np.stack([source, target]), size), x, y, topology,
    nodes=np.arange(100_000), depth=2, batch_size=1000, shuffle=True,
)  # fmt: skip
for step, batch in enumerate(batches):
    scores = head(layer(batch.x, batch.plans))
    loss = torch.nn.functional.cross_entropy(scores, batch.y, ignore_index=sn.IGNORE)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 24:
        right = (scores.argmax(1) == batch.y)[batch.targets].float().mean().item()
        print(f"step {step + 1}: {batch.num_nodes} nodes for {len(batch.targets)}, "
              f"{batch.cut_edges} edges cut, accuracy {right:.2f}")  # fmt: skip
