"""A stream gives what the batch gives
===================================

A GRU learns to predict the next value of noisy waves from whole sequences. Fed one step at a time
by a stepper, as values arrive, it gives the same predictions up to rounding.
"""

import matplotlib.pyplot as plt
import torch

import structnet as sn

torch.manual_seed(0)
turns = torch.arange(80)[:, None, None] / (8 + 12 * torch.rand(65, 1)) + torch.rand(65, 1)
waves = (6.28 * turns).sin() + 0.1 * torch.randn(80, 65, 1)
train, test = waves.split([64, 1], dim=1)  # (steps, sequences, 1)
rnn, head = sn.RNN("gru", 1, 32), torch.nn.Linear(32, 1)
optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.01)
for _ in range(150):
    loss = (head(rnn(train[:-1])[0]) - train[1:]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

stepper = rnn.stepper(batch=1)
with torch.no_grad():
    batch = head(rnn(test)[0]).flatten()
    stream = torch.cat([head(stepper.push(value)) for value in test]).flatten()
values, apart = test.flatten(), (stream - batch).abs()
error, change = (stream[:-1] - values[1:]).abs().mean(), values.diff().abs().mean()
print(f"mean error {error:.2f}, of the last value as prediction {change:.2f}")
print(f"largest difference of stream and batch: {apart.max():.1e}")
_, (above, below) = plt.subplots(2, sharex=True, height_ratios=(2, 1), layout="constrained")
steps = range(1, 81)
above.plot(values, "k.", steps, batch, "o", steps, stream, "-")
above.set(title="The next value of a wave", ylabel="value", ylim=(-1.5, 2))
above.legend(["value", "predicted, batch", "predicted, stream"], ncols=3)
below.stem(steps, 1e7 * apart)
below.set(ylabel="difference, 1e-7", xlabel="step")
plt.show()
