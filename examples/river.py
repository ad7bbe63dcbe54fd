"""The discharge of a river
========================

From the water that ran into the reaches of a river in the last 36 hours, an LSTM that flows
downstream tells the discharge at each gauge, with a Nash-Sutcliffe efficiency (NSE) near 1.
"""

import matplotlib.pyplot as plt
import torch

import structnet as sn

topology, task = sn.topologies.create("graph"), sn.tasks.create("river", basins=200, hours=8)
splits = task.keep(task.load(topology))
torch.manual_seed(0)
layer = sn.Recurrence(topology, "lstm", input_size=task.input_size, hidden_size=32)
head = torch.nn.Linear(32, 1)
optimizer = torch.optim.AdamW([*layer.parameters(), *head.parameters()], lr=0.01)
batches = [*sn.loader(splits["train"], topology, batch_size=16, shuffle=True)]
schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, 4 * len(batches))
for batch in 4 * batches:
    optimizer.zero_grad()
    task.loss(head(layer(batch.x, batch.plans)), batch).backward()
    optimizer.step()
    schedule.step()
test = sn.collate(splits["test"], topology)
nse = task.metrics()["nse"](*task.measured(head(layer(test.x, test.plans)), test)["nse"])
print(f"NSE {nse:.3f}, by regression {task.baselines()['inflow upstream']['nse']:.3f}")
# Hour by hour another river; the first node is the reach at its outlet.
hours = sn.tasks.create("river", basins=1, hours=500, sources=16).load(topology)["test"]
river = sn.collate(hours, topology)
predicted = task.values(head(layer(river.x, river.plans))).detach()
_, (top, bottom) = plt.subplots(2, sharex=True, height_ratios=[1, 3])
top.bar(range(500), river.x[:, task.window - 1].view(500, -1).mean(1), width=1)
top.set(title="A river of 31 reaches", ylabel="inflow (mm/h)", ylim=(5, 0))
bottom.plot(river.y.view(500, -1)[:, 0], "k.", markersize=3, label="measured at the outlet")
bottom.plot(predicted.view(500, -1)[:, 0], label="predicted")
bottom.set(xlabel="time (hours)", ylabel="discharge (mm/h)")
bottom.legend()
plt.show()
