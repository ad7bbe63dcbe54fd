"""A generator: more of a Python module
====================================

A GRU learns the characters of the module ``textwrap``, and then writes more, step by step.
"""

import inspect
import textwrap

import torch
from matplotlib import pyplot as plt
from torch import nn

import structnet as sn

text = inspect.getsource(textwrap)
alphabet = sorted(set(text))
ids, one_hot = torch.tensor([alphabet.index(one) for one in text]), torch.eye(len(alphabet))
torch.manual_seed(0)
rnn, head, losses = sn.RNN("gru", len(alphabet), 128), nn.Linear(128, len(alphabet)), []
optimizer = torch.optim.AdamW([*rnn.parameters(), *head.parameters()], lr=0.01)
for _ in range(150):
    window = ids[torch.randint(len(ids) - 50, (24,)) + torch.arange(50)[:, None]]
    h, _ = rnn(one_hot[window[:-1]])
    loss = nn.functional.cross_entropy(head(h).flatten(0, 1), window[1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
shares = ids.bincount() / len(ids)
print(f"{losses[-1]:.2f} nats per character, by their shares {-(shares @ shares.log()):.2f}")

stepper, written = rnn.stepper(batch=1), [alphabet.index("d")]
for _ in range(200):
    scores = head(stepper.push(one_hot[written[-1:]]))[0]
    written.append(int((scores / 0.5).softmax(0).multinomial(1)))
print("".join(alphabet[one] for one in written))
plt.plot(losses)
plt.gca().set(title="Characters", xlabel="training step", ylabel="nats per character")
plt.show()
