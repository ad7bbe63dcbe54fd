"""An acceptor of e-mail addresses, trained in a plain loop: one label per string."""

import torch

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
for epoch in range(6):
    batches.batch_sampler.set_epoch(epoch)
    for batch in batches:
        loss = task.loss(net(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

net.eval()
with torch.inference_mode():
    test = sn.collate(splits["test"], topology)
    right = (net(test).argmax(1) == test.y).float().mean().item()
    print(f"{right:.3f} of {test.num_samples} test strings are labelled correctly")
    asked = ["ada@lovelace.org", "ada.lovelace", "ada@@lovelace.org", "a.b+c@x-y.co"]
    scores = net(sn.collate([task.sample(string) for string in asked], topology)).softmax(1)
    for string, row in zip(asked, scores.tolist(), strict=True):
        print(f"{string}: an address with probability {row[1]:.2f}")
