"""Which atoms of a molecule are in a ring?
========================================

Two GRUs, along a breadth-first order of the atoms and back, learn it from random graphs, and tell
it of caffeine and ibuprofen without their hydrogen: the atoms in orange are in a ring."""

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import torch

import structnet as sn


def sample(bonds):
    x, rings = np.float32([[len(bonds[atom])] for atom in bonds]), nx.cycle_basis(bonds)
    return sn.Sample(bonds, x, np.int64([any(atom in ring for ring in rings) for atom in bonds]))


random, topology = np.random.default_rng(0), sn.topologies.create("ordered_graph", direction="both")
torch.manual_seed(0)
layer, head = sn.Recurrence(topology, "gru", 1, 24), torch.nn.Linear(48, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.02)
for _ in range(200):
    graphs = [nx.random_labeled_tree(size, seed=random) for size in random.integers(8, 16, 32)]
    for bonds in graphs:
        bonds.add_edges_from(random.permutation(len(bonds))[:4].reshape(2, 2).tolist())
    batch = sn.collate([*map(sample, graphs)], topology)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(head(layer(batch.x, batch.plans)), batch.y).backward()
    optimizer.step()
plt.figure(figsize=(8, 4))
for place, paths in enumerate(("abcdefa eghid bj fk al cm gn", "abc bdefghije hkl kmn mo"), 1):
    bonds = nx.Graph([bond for path in paths.split() for bond in nx.utils.pairwise(path)])
    one = sn.collate([sample(bonds)], topology)
    ring = head(layer(one.x, one.plans)).argmax(1)
    print(right := f"{(ring == one.y).sum()} of {len(bonds)} atoms right")
    plt.subplot(1, 2, place, title=right)
    nx.draw_kamada_kawai(bonds, node_color=ring, vmin=0, vmax=1, cmap="Wistia")
plt.show()
