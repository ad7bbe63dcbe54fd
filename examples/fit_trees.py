"""A list of nltk trees: the class of each, which is the label of its root."""

import tempfile

import numpy as np
from nltk import Tree

import structnet as sn

random = np.random.default_rng(0)


def grown(depth):
    """A tree whose label is true if it has an even number of the word not."""
    if not depth:
        word = str(random.choice(["not", "so"]))
        return Tree("false" if word == "not" else "true", [word])
    below = [grown(depth - 1) for _ in range(random.integers(1, 4))]
    odd = sum(one.label() == "false" for one in below) % 2
    return Tree("false" if odd else "true", below)


trees = [grown(2) for _ in range(300)]

with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 4, "batch_nodes": 256, "num_workers": 0}
    net = {"hidden_size": 32, "embedding_size": 16}
    run = sn.fit(trees, net, per_node=True, trainer=trainer, run=folder)
    found = sn.Run.load(folder).predict(trees[:2])
    print(found.samples, found.nodes, found.classes)
