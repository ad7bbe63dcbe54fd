"""A generator: more of a Python module
====================================

A GRU learns the characters of the module ``textwrap``, and then writes more of them, step by step.
"""

import inspect
import textwrap

import torch
from matplotlib import pyplot as plt
from torch import nn

import structnet as sn

text = inspect.getsource(textwrap)
alphabet = sorted(set(text))
ids = torch.tensor([alphabet.index(one) for one in text])
one_hot = torch.eye(len(alphabet))

torch.manual_seed(0)
rnn = sn.RNN("gru", len(alphabet), 128)
head = nn.Linear(128, len(alphabet))
optimizer = torch.optim.AdamW([*rnn.parameters(), *head.parameters()], lr=0.01)
losses = []
for _ in range(150):
    starts = torch.randint(len(ids) - 65, (24,))
    window = ids[starts + torch.arange(65)[:, None]]
    h, _ = rnn(one_hot[window[:-1]])
    loss = nn.functional.cross_entropy(head(h).flatten(0, 1), window[1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

shares = ids.bincount() / len(ids)
print(f"{losses[-1]:.2f} nats per character; knowing their shares, {-(shares @ shares.log()):.2f}")
stepper = rnn.stepper(batch=1)
written = "    def "
for one in written:
    h = stepper.push(one_hot[[alphabet.index(one)]])
while len(written) < 300:
    written += alphabet[int((head(h)[0] / 0.5).softmax(0).multinomial(1))]
    h = stepper.push(one_hot[[alphabet.index(written[-1])]])
print(written)
plt.plot(losses)
plt.gca().set(title="Characters of a module", xlabel="training step", ylabel="nats per character")
plt.show()
