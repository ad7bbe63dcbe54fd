"""Fit a net to graphs of torch_geometric
======================================

Every graph has one number, here the mean of its nodes' first feature. The net gets the edges and
the features of nodes. Without a word about it, ``sn.fit`` takes a topology for undirected graphs.
"""

import tempfile

import torch
from matplotlib import pyplot as plt
from torch_geometric.data import Data

import structnet as sn

torch.manual_seed(0)


def ring(n):
    """A ring of n nodes, whose number is the mean of their first feature."""
    there = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    x = torch.randn(n, 2)
    return Data(x=x, edge_index=torch.cat([there, there.flip(0)], 1), y=x[:, 0].mean()[None])


train, test = ([ring(3 + number % 5) for number in range(count)] for count in (200, 50))
with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 5, "learning_rate": 0.02, "num_workers": 0}
    sn.fit(train, {"hidden_size": 16}, readout="mean", trainer=trainer, run=folder)
    found = sn.Run.load(folder).predict(test).values

_, axes = plt.subplots(figsize=(4, 3.5), layout="constrained")
axes.axline((0, 0), slope=1, color="grey", linestyle="--", label="right")
axes.scatter([graph.y for graph in test], found, label="new graphs")
axes.set(title="The number of a graph", xlabel="true", ylabel="predicted")
axes.legend()
plt.show()
