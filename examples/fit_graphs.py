"""A list of torch_geometric graphs: a number each, with features of nodes."""

import tempfile

import torch
from torch_geometric.data import Data

import structnet as sn

torch.manual_seed(0)


def ring(n):
    """A ring whose number is the mean of its nodes' first feature."""
    there = torch.stack([torch.arange(n), (torch.arange(n) + 1) % n])
    x = torch.randn(n, 2)
    return Data(x=x, edge_index=torch.cat([there, there.flip(0)], 1), y=x[:, 0].mean()[None])


graphs = [ring(3 + number % 5) for number in range(200)]

with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 5, "batch_nodes": 64, "learning_rate": 0.02, "num_workers": 0}
    run = sn.fit(graphs, {"hidden_size": 16}, readout="mean", trainer=trainer, run=folder)
    print(run.net.summary())
    print(sn.Run.load(folder).predict(graphs[:3]).values)
