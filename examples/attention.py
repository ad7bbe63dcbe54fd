"""What a translator looks at
==========================

Dates with the day or the month first become those of ISO 8601. A decoder's states attend to what is
read (Luong et al. 2015, with dot products): the weights show what every symbol is written from.
"""

import datetime

import matplotlib.pyplot as plt
import torch
from torch import nn

import structnet as sn

torch.manual_seed(0)
days = [datetime.date.fromordinal(700_000 + day) for day in torch.randperm(36_500)[:800].tolist()]
texts = [f"{day:%d %b %Y}" if day.toordinal() % 2 else f"{day:%b %d %Y}" for day in days]
source = torch.tensor([[*text.encode()] for text in texts]).T  # (read, dates)
target = torch.tensor([[*f"^{day}".encode()] for day in days]).T  # (1 + written, dates)
encoder, decoder = sn.RNN("gru", 32, 32, bidirectional=True), sn.RNN("gru", 32, 64)
embedding, scores = nn.Embedding(128, 32), nn.Linear(128, 128)
net = nn.ModuleList([embedding, encoder, decoder, scores])
optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
for _ in range(60):
    memory, steps = encoder(embedding(source))[0], decoder(embedding(target[:-1]))[0]
    weights = torch.einsum("wdh,rdh->dwr", steps, memory).softmax(2)
    attended = torch.einsum("dwr,rdh->wdh", weights, memory)
    written = scores(torch.cat([steps, attended], 2))
    loss = nn.functional.cross_entropy(written[:, 100:].mT, target[1:, 100:])  # not the first 100
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
right = (written.argmax(2) == target[1:])[:, :100].all(0).float().mean()
print(f"{right:.0%} of 100 unseen dates right, by chance one of 36,500")
plt.imshow(weights[0].detach().T, cmap="Blues", vmin=0, vmax=1)
plt.xticks(range(10), [*f"{days[0]}"])
plt.yticks(range(11), [*texts[0]])
plt.gca().set(title="Attention, from white (0) to blue (1)", xlabel="written", ylabel="read")
plt.show()
