"""A selective state space model, made for sequences, on a tree and on a custom DAG topology."""

import torch

import structnet as sn

topology = sn.topologies.create("tree")  # child indices, -1 where absent
layer = sn.Recurrence(topology, "ssm", input_size=8, hidden_size=16)
plans = topology.plan([[[1, 2], [3, 4], [-1, -1], [-1, -1], [-1, -1]]])
h = layer(torch.randn(5, 8), plans)
h[0].square().sum().backward()
print("tree: root", tuple(h[0].shape), "in levels of", plans[0].level_sizes)


class Dag(sn.Topology):
    """Any number of predecessors. Structure: edges (2, E) and the number of nodes."""

    arity = None

    def predecessors(self, structure):
        return sn.Edges(*structure)


# A diamond with a tail: 0 feeds 1 and 2, which feed 3, which feeds 4.
plan = sn.schedule(torch.tensor([[0, 0, 1, 2, 3], [1, 2, 3, 3, 4]]), num_nodes=5)
layer = sn.Recurrence(Dag(), "ssm", input_size=8, hidden_size=16)
x = torch.randn(5, 8)
h = layer(x, [plan])
one_by_one = layer(x, [plan], executor="reference")
print("DAG: node 4 sees node 0:", plan.level_sizes, torch.allclose(h, one_by_one, atol=1e-5))

# On a chain the same layer runs in parallel over time.
steps = torch.arange(10_000)
chain = sn.schedule(torch.stack([steps[:-1], steps[1:]]), num_nodes=len(steps))
h = layer(torch.randn(len(steps), 8), [chain], executor="scan")
print("chain:", tuple(h.shape), "in one scan")
