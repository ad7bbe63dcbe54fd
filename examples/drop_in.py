"""A model written for torch.nn.LSTM with another cell, in one line: what is the marked bit?"""

import torch
from torch import nn

import structnet as sn


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        # Was: self.rnn = nn.LSTM(2, 24, num_layers=2, batch_first=True, dropout=0.1)
        self.rnn = sn.RNN("lstm", 2, 24, num_layers=2, batch_first=True, dropout=0.1, peephole=True)
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        _, (h, _) = self.rnn(x)
        return self.head(h[-1])[:, 0]


def marked_bits(samples: int, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random bits and a mark at one of them (B, L, 2), and the value of the marked bit (B,)."""
    bits = torch.randint(2, (samples, steps)).float()
    place = torch.randint(steps, (samples, 1))
    marks = torch.zeros(samples, steps).scatter_(1, place, 1.0)
    return torch.stack([bits, marks], dim=2), bits.gather(1, place)[:, 0]


torch.manual_seed(0)
model = Reader()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
for step in range(150):
    x, y = marked_bits(samples=64, steps=12)
    score = model(x)
    loss = nn.functional.binary_cross_entropy_with_logits(score, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: accuracy {((score > 0) == y.bool()).float().mean().item():.2f}")
