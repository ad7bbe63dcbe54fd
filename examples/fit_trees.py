"""Fit a net to trees of nltk
==========================

Every node of a tree has a class, its label: ``per_node=True`` learns them all. Here a tree is true
if it has an even number of the word *not*.
"""

import tempfile

import numpy as np
from matplotlib import pyplot as plt
from nltk import Tree

import structnet as sn

random = np.random.default_rng(0)


def grown(depth):
    """A tree that is true if it has an even number of the word not."""
    if not depth:
        word = str(random.choice(["not", "so"]))
        return Tree("false" if word == "not" else "true", [word])
    below = [grown(depth - 1) for _ in range(random.integers(1, 4))]
    odd = sum(one.label() == "false" for one in below) % 2
    return Tree("false" if odd else "true", below)


trees, new = [grown(2) for _ in range(300)], grown(2)
with tempfile.TemporaryDirectory() as folder:
    trainer = {"max_epochs": 12, "num_workers": 0, "learning_rate": 0.02}
    net = {"hidden_size": 32, "embedding_size": 16}
    run = sn.fit(trees, net, per_node=True, trainer=trainer, run=folder)
    found = sn.Run.load(folder).predict([new]).classes

names = [tree[0] if isinstance(tree[0], str) else tree.label() for tree in new.subtrees()]
sn.picture(run.topology, new, names=names, values=np.equal(found, "true"), what="predicted",
           classes=["false", "true"], title="Labels, coloured by what is predicted")  # fmt: skip
plt.show()
