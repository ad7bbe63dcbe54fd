"""Episodes that begin inside a rollout
====================================

In rollouts of reinforcement learning episodes end and begin anywhere. `episode_starts` resets the
states there, in one call for all: it gives what a loop over the episodes gives, in less time.
"""

from itertools import pairwise
from timeit import timeit

import matplotlib.pyplot as plt
import torch

import structnet as sn

torch.manual_seed(0)
rnn, state = sn.RNN("gru", 4, 64), torch.randn(1, 8, 64)  # what the rollout before ended with
x = 1 + torch.randn(128, 8, 4) / 4  # 128 steps of 8 environments
starts = torch.nn.functional.pad(torch.rand(127, 8) < 0.05, (0, 0, 1, 0))  # none at step 0


def loop():
    output = torch.empty(128, 8, 64)
    for row in range(8):
        for begin, end in pairwise([0, *starts[:, row].nonzero()[:, 0], 128]):
            output[begin:end, row], _ = rnn(x[begin:end, row], None if begin else state[:, row])
    return output


at_once, looped = rnn(x, state, episode_starts=starts)[0].detach(), loop().detach()
fast = timeit(lambda: rnn(x, state, episode_starts=starts)[0].sum().backward(), number=5)
slow = timeit(lambda: loop().sum().backward(), number=5)
print(f"largest difference {(at_once - looped).abs().max():.1e}, time {fast / slow:.0%}")
_, (above, below) = plt.subplots(2, sharex=True, layout="constrained")
above.pcolormesh(range(129), range(9), starts.cumsum(0).T % 10, cmap="tab10")
above.set(title="A colour for every episode", ylabel="environment")
below.plot(looped[:, 0, 0], "o", at_once[:, 0, 0], "-", markersize=4)
below.set(xlabel="step", ylabel="unit 0, environment 0")
below.legend(["episode by episode", "at once"])
plt.show()
