"""An encoder: the nearest text
============================

A new text becomes a vector, whose nearest known one has the same class, not just the same words.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import nn
from word_order import split  # the example beside this one

import structnet as sn


class Encoder(nn.Module):
    def __init__(self, vocabulary: sn.Vocabulary, size: int):
        super().__init__()
        self.vocabulary, self.topology = vocabulary, sn.topologies.create("bichain")
        self.embedding = nn.Embedding(len(vocabulary), size)
        self.layer = sn.Recurrence(self.topology, "gru", input_size=size, hidden_size=size)
        self.readout = sn.readouts.create("max", 2 * size, 2)

    def forward(self, texts: list[str]) -> torch.Tensor:
        words = [text.split() for text in texts]
        tokens = [self.vocabulary.tokens([(word,) for word in some]) for some in words]
        samples = [sn.Sample(len(some), some, np.int64(0)) for some in tokens]
        batch = sn.collate(samples, self.topology)
        return self.readout(self.layer(self.embedding(batch.x.ids), batch.plans), batch)


torch.manual_seed(0)
known, labels = zip(*split()["train"], strict=True)
encoder = Encoder(sn.Vocabulary.count(" ".join(known).split(), 1), size=16)
head, praised = nn.Linear(32, 1), torch.tensor([label == "praise" for label in labels]).float()
optimizer = torch.optim.AdamW([*encoder.parameters(), *head.parameters()], lr=0.01)
for _ in range(40):
    loss = nn.functional.binary_cross_entropy_with_logits(head(encoder(known))[:, 0], praised)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
new, truth = zip(*split()["test"], strict=True)
nearest = (encoder(new) @ encoder(known).T).argmax(1)
right = sum(labels[at] == label for at, label in zip(nearest, truth, strict=True)) / len(new)
print(f"{right:.2f} have a nearest text of their class, by chance 0.50")
points = torch.pca_lowrank(encoder(new).detach())[0]
plt.scatter(*points[:, :2].T, c=[label == "praise" for label in truth])
plt.gca().set(title="Praise and blame", xlabel="component 1", ylabel="component 2")
plt.show()
