"""A generator: a GRU learns the characters of a Python module, and writes more, step by step."""

import inspect
import textwrap

import torch
from torch import nn

import structnet as sn

text = inspect.getsource(textwrap)
alphabet = sorted(set(text))
ids = torch.tensor([alphabet.index(one) for one in text])
one_hot = torch.eye(len(alphabet))

torch.manual_seed(0)
rnn = sn.RNN("gru", len(alphabet), 160)
head = nn.Linear(160, len(alphabet))
optimizer = torch.optim.AdamW([*rnn.parameters(), *head.parameters()], lr=0.01)
for step in range(1, 251):
    starts = torch.randint(len(ids) - 65, (24,))
    window = ids[starts + torch.arange(65)[:, None]]
    h, _ = rnn(one_hot[window[:-1]])
    loss = nn.functional.cross_entropy(head(h).flatten(0, 1), window[1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step}: {loss.item():.2f} nats per character")

stepper = rnn.stepper(batch=1)
written = "    def "
for one in written:
    h = stepper.push(one_hot[[alphabet.index(one)]])
while len(written) < 300:
    shares = (head(h)[0] / 0.5).softmax(0)
    written += alphabet[int(shares.multinomial(1))]
    h = stepper.push(one_hot[[alphabet.index(written[-1])]])
print(written)
