"""Which atoms of a molecule are in a ring?
========================================

Two GRUs, along a breadth-first order of the atoms and back (Peng et al. 2017), learn it from bonds.
"""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import torch

import structnet as sn

random = np.random.default_rng(0)
torch.manual_seed(0)
topology = sn.topologies.create("ordered_graph", direction="both", unvisited="nothing")
layer, head = sn.Recurrence(topology, "gru", 1, 24), torch.nn.Linear(48, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.02)
for _ in range(120):
    molecules = [nx.random_labeled_tree(12, seed=random) for _ in range(32)]
    for bonds in molecules:
        bonds.add_edge(*random.choice(12, 2, replace=False).tolist())
    degrees = [np.array(bonds.degree, np.float32)[:, 1:] for bonds in molecules]
    rings = [set().union(*nx.cycle_basis(bonds)) for bonds in molecules]
    classes = [np.array([int(atom in ring) for atom in range(12)]) for ring in rings]
    batch = sn.collate([*map(sn.Sample, molecules, degrees, classes)], topology)
    scores = head(layer(batch.x, batch.plans))
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(scores, batch.y).backward()
    optimizer.step()

# The molecules of the last step are new to the net.
right, guessed = scores.argmax(1) == batch.y, (batch.x[:, 0] > 2) == batch.y
print(f"{right.float().mean():.3f} of the atoms right, {guessed.float().mean():.3f} by their bonds")
_, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, bonds, found in zip(axes, molecules, scores.detach().softmax(1).split(12), strict=False):
    nx.draw_kamada_kawai(bonds, ax=axis, node_color=found[:, 1], vmin=0, vmax=1, edgecolors="k")
plt.colorbar(plt.cm.ScalarMappable(), ax=axes, label="probability of being in a ring")
axes[1].set_title("Molecules drawn at random, their atoms coloured by the net")
plt.show()
