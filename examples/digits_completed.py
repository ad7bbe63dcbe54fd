"""Digits, completed from their upper halves
=========================================

A PixelRNN (van den Oord et al. 2016) learns the probability of every pixel of scikit-learn's digits
given the pixels before it, and draws the lower halves of test digits. Its layers are Row LSTMs.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import structnet as sn

topology, task = sn.topologies.create("row"), sn.tasks.create("digits", binarise="threshold")
splits = task.keep(task.load(topology))
torch.manual_seed(0)
sizes = sn.Sizes(None, task.input_size, task.num_outputs, sees=task.sees)
options = {"hidden_size": 32, "num_layers": 2, "first_kernel": 5}
net = sn.nets.create("pixelrnn", sizes, topology, sn.cells["lstm"], sn.readouts["every"], **options)
optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
batches = sn.loader(splits["train"], topology, batch_size=32, shuffle=True)
for epoch in range(4):
    batches.batch_sampler.set_epoch(epoch)
    for batch in batches:
        optimizer.zero_grad()
        task.loss(net(batch), batch).backward()
        optimizer.step()

test = sn.collate(splits["test"], topology)
bits = task.loss(net(test), test).item() / np.log(2)
alone = task.baselines()["independent"]["bits_per_dim"]
print(f"{bits:.3f} bits per pixel of test digits; {alone:.3f} for every pixel by itself")
plt.figure(figsize=(4.5, 6))
plt.imshow(task.generate(net, topology, complete=8, seed=1))
plt.xticks(range(30, 348, 58), ["digit", "given", *["drawn"] * 4])
plt.yticks([])
plt.title(f"Lower halves drawn ({bits:.2f} bits per pixel)")
plt.show()
