"""A transducer with two outputs per step: is the prefix read so far a multiple of three?"""

import torch

import structnet as sn

topology = sn.topologies.create("chain")
# Binary numbers, the highest bit first; the automaton keeps the remainder.
threes = "(0|1(01*0)*1)*"
task = sn.tasks.create("automaton", pattern=threes, goal="transduce", longest=10, train_size=2000)
splits = task.keep(task.load(topology))
torch.manual_seed(0)
layer = sn.Recurrence(topology, "gru", input_size=len(task.vocabulary), hidden_size=32)
head = torch.nn.Linear(32, task.num_outputs)
optimizer = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)


def outputs(batch):
    """Scores (N, 2), a row per step."""
    x = torch.nn.functional.one_hot(batch.x.ids, len(task.vocabulary)).float()
    return head(layer(x, batch.plans))


batches = sn.loader(splits["train"], topology, batch_size=32, shuffle=True)
for epoch in range(6):
    batches.batch_sampler.set_epoch(epoch)
    for batch in batches:
        loss = task.loss(outputs(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

with torch.inference_mode():
    test = sn.collate(splits["test"], topology)
    right = (outputs(test).argmax(1) == test.y).float().mean().item()
    print(f"{right:.3f} of {test.num_nodes} prefixes of strings of up to 100 bits are right")
    labels = outputs(sn.collate([task.sample("110110")], topology)).argmax(1)
    for length, label in enumerate(labels):
        print(f"{'110110'[:length]:>6} {task.classes[label]}")
