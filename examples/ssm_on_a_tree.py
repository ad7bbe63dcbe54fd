"""A state space model on trees
============================

Selective state spaces (Gu and Dao 2023) are made for sequences. Here they learn to count the marked
nodes of every subtree; the same layer runs on a long sequence, in parallel over time."""

import numpy as np
import torch
from matplotlib import pyplot as plt

import structnet as sn


def marked_tree(random: np.random.Generator, size: int = 12):
    """Child indices (n, K), marks (n,), and the number of marks in the subtree of every node."""
    parent = [-1, *(random.integers(node) for node in range(1, size))]
    marks, counts = np.tile(random.integers(0, 2, size), (2, 1))
    for node in range(size - 1, 0, -1):
        counts[parent[node]] += counts[node]
    return sn.children(parent), marks, counts


torch.manual_seed(0)
random, topology = np.random.default_rng(0), sn.topologies.create("tree", arity=None)
layer, head = sn.Recurrence(topology, "ssm", 1, 16, combine="sum"), torch.nn.Linear(16, 1)
optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
for _ in range(100):
    trees, *numbers = zip(*(marked_tree(random) for _ in range(32)), strict=True)
    marks, counts = (torch.tensor(np.stack(some)).float().view(-1, 1) for some in numbers)
    found = head(layer(marks, topology.plan(trees)))
    optimizer.zero_grad()
    torch.nn.functional.l1_loss(found, counts).backward()
    optimizer.step()
error, baseline = ((one - counts).abs().mean() for one in (found, counts.median()))
print(f"mean error {error:.2f}, of the median {baseline:.2f}")
chain = sn.topologies.create("chain").plan([10_000])
print(layer(torch.ones(10_000, 1), chain, executor="scan").shape, "in one scan")
sn.picture(topology, trees[0], names=[f"{count:.0f}" for count in counts[:12, 0]],
           values=found[:12, 0].detach(), what="predicted", title="Marks in a subtree")  # fmt: skip
plt.show()
