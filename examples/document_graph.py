"""The graph LSTM of Peng et al. (2017): a text's graph as two DAGs, forward and backward."""

import numpy as np
import torch

import structnet as sn


@sn.topologies.register("document")
class Document(sn.Topology):
    """The edges to later words in one direction, those to earlier words in the other.

    Structure: `sn.Edges` between words, numbered as they stand, cycles and all.
    """

    takes = "document"
    arity = None
    directions = ("forward", "backward")

    def predecessors(self, structure):
        source, target = np.asarray(structure.index)
        return tuple(
            sn.Edges(np.stack([np.where(read, source, -1), target]), structure.num_nodes)
            for read in (source < target, source > target)
        )


if __name__ == "__main__":
    # Five words: each beside the next, in both directions, and three dependencies of two kinds.
    steps = np.array([[0, 1, 2, 3], [1, 2, 3, 4]])
    index = np.concatenate([steps, steps[::-1], [[1, 1, 4], [0, 4, 2]]], axis=1)
    kinds = torch.tensor([0] * 4 + [1] * 4 + [2, 3, 3])
    topology = Document()
    layer = sn.Recurrence(topology, "lstm", 8, 16, edge_size=4)
    edge_x = torch.nn.functional.one_hot(kinds).float()
    h = layer(torch.randn(5, 8), topology.plan([sn.Edges(index, 5)]), edge_x=edge_x)
    print("states of five words, forward and backward:", tuple(h.shape))
