"""An encoder: the nearest text
============================

A new text becomes a vector; the nearest known one should have its class, not just its words.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import nn
from word_order import split  # the example beside this one

import structnet as sn

torch.manual_seed(0)
known, new = ([text for text, _ in split()[name]] for name in ("train", "test"))
sign = torch.tensor([1.0, -1.0])  # praise and blame take turns
vocabulary = sn.Vocabulary.count(" ".join(known).split(), 1)
layer, embedding = sn.Recurrence("bichain", "gru", 16, 16), nn.Embedding(len(vocabulary), 16)
readout, head = sn.readouts.create("max", 32, 2), nn.Linear(32, 1)


def encode(texts: list[str]) -> torch.Tensor:
    tokens = [vocabulary.tokens([(word,) for word in text.split()]) for text in texts]
    batch = sn.collate([sn.Sample(len(x), x, np.int64(0)) for x in tokens], layer.topology)
    return readout(layer(embedding(batch.x.ids), batch.plans), batch)


optimizer = torch.optim.AdamW(nn.ModuleList([layer, embedding, head]).parameters(), lr=0.01)
target = sign.repeat(len(known) // 2)
for _ in range(40):
    optimizer.zero_grad()
    nn.functional.soft_margin_loss(head(encode(known))[:, 0], target).backward()
    optimizer.step()
nearest = torch.cdist(encode(new), encode(known)).argmin(1)
right = (nearest % 2 == torch.arange(len(new)) % 2).float().mean()
print(f"the nearest text has the same class: {right:.2f}, by chance 0.50")
plt.scatter(*torch.pca_lowrank(encode(new).detach())[0][:, :2].T, c=sign.repeat(len(new) // 2))
plt.gca().set(title="Texts: praise and blame", xlabel="component 1", ylabel="component 2")
plt.show()
