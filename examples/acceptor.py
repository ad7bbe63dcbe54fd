"""An acceptor: is this an e-mail address?
=======================================

One label per string, learned from strings that an automaton draws, in a plain loop. Wrong ones
differ from an address in one place or more.
"""

import torch
from matplotlib import pyplot as plt

import structnet as sn

topology = sn.topologies.create("chain")
task = sn.tasks.create("automaton", language="email", longest=10, times=2, train_size=6000)
splits = task.keep(task.load(topology))
torch.manual_seed(0)
sizes = sn.Sizes(task.vocabulary, None, task.num_outputs)
options = {"embedding_size": 16, "hidden_size": 64, "dropout": 0.0, "word_dropout": 0.0}
net = sn.nets.create("stack", sizes, topology, "gru", "last", "softmax", **options)
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
batches = sn.loader(splits["train"], topology, batch_size=64, shuffle=True)
for epoch in range(4):
    batches.batch_sampler.set_epoch(epoch)
    for batch in batches:
        optimizer.zero_grad()
        task.loss(net(batch), batch).backward()
        optimizer.step()

net.eval()
test = sn.collate(splits["test"], topology)
right, most = (net(test).argmax(1) == test.y).float().mean(), test.y.bincount().max() / len(test.y)
print(f"accuracy on test strings {right:.3f}, of the more frequent label {most:.3f}")
asked = ["ada@lovelace.org", "ada.lovelace", "ada@@lovelace.org", "a.b+c@x-y.co"]
scores = net(sn.collate([task.sample(string) for string in asked], topology)).softmax(1)
axes = plt.figure(figsize=(4.5, 2.5), layout="constrained").subplots()
axes.barh(asked, scores[:, 1].detach())
axes.set(title="Is it an address?", xlabel="probability", xlim=(0, 1))
plt.show()
