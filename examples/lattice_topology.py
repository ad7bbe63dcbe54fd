"""Word lattices over characters (Zhang and Yang 2018); run it as python lattice_topology.py"""

import torch

import structnet as sn


@sn.topologies.register("lattice")
class Lattice(sn.Topology):
    """A character follows the one before it and the words that end in it, a word its first one.

    Figure 1 c. Structure: the number of characters, and every word's first and last character. The
    nodes are the characters, followed by the words.
    """

    takes = "lattice"
    arity = None

    def predecessors(self, structure):
        length, words = structure
        edges = [(step - 1, step) for step in range(1, length)]
        for word, (first, last) in enumerate(words, start=length):
            edges += [(first, word), (word, last)]
        return sn.Edges(torch.tensor(edges, dtype=torch.long).view(-1, 2).T, length + len(words))


def find_words(text, lexicon):
    """The first and the last character of every occurrence of the lexicon's words in a text."""
    starts = [(word, at) for word in lexicon for at in range(len(text))]
    return [(at, at + len(word) - 1) for word, at in starts if text.startswith(word, at)]


if __name__ == "__main__":
    text = "南京市长江大桥"
    words = find_words(text, ["南京", "南京市", "市长", "长江", "长江大桥", "大桥"])
    plans = sn.topologies.create("lattice").plan([(len(text), words)])
    layer = sn.Recurrence("lattice", "lstm", input_size=8, hidden_size=16)
    h = layer(torch.randn(len(text) + len(words), 8), plans)
    print(len(words), "words;", "the states of the characters:", tuple(h[: len(text)].shape))
