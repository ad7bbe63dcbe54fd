"""An encoder and a decoder
========================

The encoder hands its final states to the decoder, which writes the sequence backwards (Sutskever et
al. 2014). It is fed its own symbols, one step at a time, once it is trained.
"""

import torch
from matplotlib import pyplot as plt
from torch import nn

import structnet as sn

SYMBOLS, START, SIZE = 5, 5, 32
torch.manual_seed(0)
encoder, decoder = (sn.RNN("lstm", SIZE, SIZE, batch_first=True) for _ in range(2))
embedding, head = nn.Embedding(SYMBOLS + 1, SIZE), nn.Linear(SIZE, SYMBOLS)
net = nn.ModuleList([encoder, decoder, embedding, head])
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
losses = []
for _ in range(300):
    source = torch.randint(SYMBOLS, (64, 4))
    target = source.flip(1)
    read = nn.functional.pad(target[:, :-1], (1, 0), value=START)
    scores = head(decoder(embedding(read), encoder(embedding(source))[1])[0])
    loss = nn.functional.cross_entropy(scores.flatten(0, 1), target.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

stepper, symbols = decoder.stepper(batch=64), [torch.full((64,), START)]
stepper.load_state(encoder(embedding(source))[1])
for _ in range(4):
    symbols.append(head(stepper.push(embedding(symbols[-1]))).argmax(1))
right = (torch.stack(symbols[1:], 1) == target).all(1).float().mean()
print(f"whole sequences right: {right:.2f}, by guessing {SYMBOLS**-4:.3f}")
plt.plot(losses)
plt.gca().set(title="Reversing", xlabel="training step", ylabel="loss (nats per symbol)")
plt.show()
