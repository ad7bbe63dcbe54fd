"""A Tree-LSTM trained in a plain PyTorch loop: which way does a random tree lean?"""

import numpy as np
import torch

import structnet as sn


def random_tree(random: np.random.Generator, leaves: int) -> np.ndarray:
    """Child indices (n, 2) of a binary tree, leaves first."""
    children, roots = [[-1, -1]] * leaves, list(range(leaves))
    while len(roots) > 1:
        i = random.integers(len(roots) - 1)
        children, roots[i : i + 2] = [*children, [roots[i], roots[i + 1]]], [len(children)]
    return np.array(children)


def leans_left(children: np.ndarray) -> bool:
    return bool((children[:, 0] > children[:, 1]).sum() > (children[:, 1] > children[:, 0]).sum())


topology = sn.topologies.create("tree")
layer = sn.Recurrence(topology, "lstm", input_size=1, hidden_size=32)
head = torch.nn.Linear(32, 1)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.01)
random = np.random.default_rng(0)
for step in range(100):
    trees = [random_tree(random, leaves=int(random.integers(5, 20))) for _ in range(64)]
    plans = topology.plan(trees)
    h = layer(torch.ones(plans[0].num_nodes, 1), plans)
    score = head(h[plans[0].sinks])[:, 0]
    target = torch.tensor([leans_left(tree) for tree in trees], dtype=torch.float32)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(score, target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 19:
        right = ((score > 0) == target.bool()).float().mean().item()
        print(f"step {step + 1}: loss {loss.item():.3f}, accuracy {right:.2f}")
