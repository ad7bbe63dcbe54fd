"""Another cell in a model written for torch.nn.LSTM
=================================================

One line changes: ``sn.RNN`` is called as ``torch.nn.LSTM`` is, and takes any cell with any option,
here peepholes (Gers et al. 2000). Of twelve bits, the model tells the one that is marked.
"""

import torch
from matplotlib import pyplot as plt
from torch import nn

import structnet as sn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        # Was: self.rnn = nn.LSTM(2, 24, batch_first=True)
        self.rnn = sn.RNN("lstm", 2, 24, batch_first=True, peephole=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])[:, 0]


torch.manual_seed(0)
model, right = Reader(), []
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
for _ in range(120):
    bits, marks = torch.randint(2, (64, 12)), torch.eye(12)[torch.randint(12, (64,))]
    target = (bits * marks).sum(1)
    score = model(torch.stack([bits, marks], dim=2))
    optimizer.zero_grad()
    nn.functional.binary_cross_entropy_with_logits(score, target).backward()
    optimizer.step()
    right.append(((score > 0) == target.bool()).float().mean().item())
print(f"accuracy in the last 20 steps: {sum(right[-20:]) / 20:.2f}; by guessing: 0.50")
plt.plot(right)
plt.gca().set(title="The marked bit of twelve", xlabel="training step", ylabel="accuracy")
plt.show()
