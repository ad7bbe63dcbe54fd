"""A transducer: an output at every step
=====================================

Is the binary number read so far a multiple of three? A GRU learns it from strings of up to 10 bits,
and is tested on ten times their length.
"""

import torch
from matplotlib import pyplot as plt

import structnet as sn

torch.manual_seed(0)
topology, pattern = sn.topologies.create("chain"), "(0|1(01*0)*1)*"
task = sn.tasks.create("automaton", pattern=pattern, goal="transduce", longest=10, train_size=2000)
splits = task.keep(task.load(topology))
layer = sn.Recurrence(topology, "gru", input_size=len(task.vocabulary), hidden_size=32)
head = torch.nn.Linear(32, task.num_outputs)
optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)


def outputs(batch):
    """Scores (N, 2), a row per step."""
    return head(layer(torch.eye(len(task.vocabulary))[batch.x.ids], batch.plans))


batches = sn.loader(splits["train"], topology, batch_size=32, shuffle=True)
for _ in range(6):
    for batch in batches:
        optimizer.zero_grad()
        task.loss(outputs(batch), batch).backward()
        optimizer.step()

test = sn.collate(splits["test"], topology)
right = (outputs(test).argmax(1) == test.y).float()
print(f"accuracy {right.mean():.3f}, always no {(test.y == 0).float().mean():.3f}")
step = torch.arange(test.num_nodes) - test.ptr[test.sample_of_node()]
plt.plot(torch.bincount(step, right) / torch.bincount(step))
plt.gca().set(title="Multiples of three", xlabel="bits read", ylabel="accuracy")
plt.show()
