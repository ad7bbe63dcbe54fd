"""Two structures in a sample: a siamese net tells whether two strings have the same letters."""

import numpy as np
import torch
from torch import nn

import structnet as sn


class Siamese(nn.Module):
    def __init__(self, letters: int, size: int):
        super().__init__()
        self.embedding = nn.Embedding(letters, size)
        self.layer = sn.Recurrence("bichain", "gru", input_size=size, hidden_size=size)
        self.readout = sn.readouts.create("max", 2 * size, 2)
        self.score = nn.Linear(4 * size, 2)

    def forward(self, batch: sn.Batch) -> torch.Tensor:
        states = (self.layer(self.embedding(b.x.ids), b.plans) for b in (batch, *batch.parts))
        one, other = map(self.readout, states, (batch, *batch.parts))
        return self.score(torch.cat([one * other, (one - other).abs()], dim=1))


def pair(draw: np.random.Generator) -> sn.Sample:
    one = draw.integers(0, 4, draw.integers(2, 6))
    other = draw.permutation(one) if draw.random() < 0.5 else draw.integers(0, 4, len(one))
    x, y = (sn.Tokens(ids, np.arange(len(ids) + 1)) for ids in (one, other))
    second = sn.Sample(len(y), y, sn.IGNORE)
    return sn.Sample(len(x), x, int(sorted(one) == sorted(other)), parts=(second,))


draw, topology = np.random.default_rng(0), sn.topologies.create("bichain")
batches = sn.loader([pair(draw) for _ in range(3000)], topology, batch_size=50, shuffle=True)
net, test = Siamese(4, 32), sn.collate([pair(draw) for _ in range(500)], topology)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.005)
for batch in [batch for _ in range(6) for batch in batches]:
    optimizer.zero_grad()
    nn.functional.cross_entropy(net(batch), batch.y).backward()
    optimizer.step()
print(f"{(net(test).argmax(1) == test.y).float().mean():.3f} of the pairs right")
