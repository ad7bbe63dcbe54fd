"""Word lattices as a topology
===========================

A character follows the one before it and the words that end in it, a word its first character
(figure 1 c of Zhang and Yang 2018). Colours: how much the last state depends on an input.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt

import structnet as sn


@sn.topologies.register("lattice")
class Lattice(sn.Topology):
    """Structure: the number of characters, and the first and the last one of every word."""

    takes, arity = "lattice", None

    def predecessors(self, structure):
        length, words = structure
        edges = [(step - 1, step) for step in range(1, length)]
        for word, (first, last) in enumerate(words, start=length):
            edges += [(first, word), (word, last)]
        return sn.Edges(np.array(edges, np.int64).reshape(-1, 2).T, length + len(words))


if __name__ == "__main__":
    text, words = "nowhere", ["no", "now", "where", "here"]
    spans = [(text.find(word), text.find(word) + len(word) - 1) for word in words]
    torch.manual_seed(0)
    layer = sn.Recurrence("lattice", "lstm", input_size=1, hidden_size=50)
    for some in ([], spans):
        structure, x = (len(text), some), torch.ones(len(text) + len(some), 1, requires_grad=True)
        layer(x, Lattice().plan([structure]))[len(text) - 1].norm().backward()
        print(f"gradient of the first character with {len(some)} words: {x.grad[0].item():.1e}")
    sn.picture(Lattice(), structure, names=[*text, *words], values=x.grad[:, 0].abs().log10(),
               what="gradient, log10", title="no where, or now here")  # fmt: skip
    plt.show()
