"""A Tree-LSTM in a plain training loop
====================================

Has a tree more leaves on the left than on the right? A Tree-LSTM (Tai et al. 2015) learns to count.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt

import structnet as sn


def random_tree(random):
    """Child indices (n, 2) of a binary tree, -1 where absent, and whether its left is larger."""
    roots = list(range(random.integers(5, 15)))
    children, leaves = [[-1, -1]] * len(roots), [1] * len(roots)
    while len(roots) > 1:
        i = random.integers(len(roots) - 1)
        left, right = roots[i : i + 2]
        roots[i : i + 2] = [len(children)]
        children.append([left, right])
        leaves.append(leaves[left] + leaves[right])
    return children, leaves[left] > leaves[right]


torch.manual_seed(0)
random, topology = np.random.default_rng(0), sn.topologies.create("tree")
layer, head = sn.Recurrence(topology, "lstm", 1, 32), torch.nn.Linear(32, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.01)
for _ in range(80):
    trees, larger = zip(*(random_tree(random) for _ in range(64)), strict=True)
    plans, y = topology.plan(trees), torch.tensor(larger).long()
    scores = head(layer(torch.ones(plans[0].num_nodes, 1), plans)[plans[0].sinks])
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(scores, y).backward()
    optimizer.step()
print("right:", (scores.argmax(1) == y).sum().item(), "of 64; always no:", 64 - y.sum().item())
sn.picture(topology, trees[0], title=f"above larger: {scores.softmax(1)[0, 1]:.2f}")
plt.show()
