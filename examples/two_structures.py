"""Two structures in a sample: a siamese net
=========================================

Have two strings the same letters? A sample holds both, and one layer reads them.
"""

import numpy as np
import torch
from matplotlib import pyplot as plt
from torch import nn

import structnet as sn

random, topology = np.random.default_rng(0), sn.topologies.create("chain")


def pair() -> sn.Sample:
    one = random.integers(0, 4, random.integers(2, 6))
    other = random.permutation(one) if random.random() < 0.5 else random.integers(0, 4, len(one))
    x, y = (np.eye(4, dtype=np.float32)[letters] for letters in (one, other))
    second = sn.Sample(len(y), y, sn.IGNORE)
    return sn.Sample(len(x), x, int(sorted(one) == sorted(other)), parts=(second,))


torch.manual_seed(0)
layer, score = sn.Recurrence(topology, "gru", 4, 32), nn.Linear(64, 2)
optimizer = torch.optim.AdamW([*layer.parameters(), *score.parameters()], lr=0.01)
right = []
for _ in range(250):
    batch = sn.collate([pair() for _ in range(64)], topology)
    one, other = (layer(b.x, b.plans)[b.plans[0].sinks] for b in (batch, *batch.parts))
    scores = score(torch.cat([one * other, (one - other).abs()], dim=1))
    optimizer.zero_grad()
    nn.functional.cross_entropy(scores, batch.y).backward()
    optimizer.step()
    right.append((scores.argmax(1) == batch.y).float().mean().item())
print(f"accuracy {sum(right[-20:]) / 20:.3f}, always yes {batch.y.float().mean():.3f}")
plt.plot(right)
plt.gca().set(title="The same letters?", xlabel="training step", ylabel="accuracy")
plt.show()
