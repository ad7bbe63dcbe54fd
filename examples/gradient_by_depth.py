"""How far a gradient reaches
==========================

The gradient of a chain's last state by the input of every step, and of a tree's root by its nodes'
inputs, of cells with initial weights. On a chain it vanishes exponentially (Bengio et al. 1994),
or slowly, as for an LSTM whose gates start with long memories (`chrono`, Tallec and Ollivier 2018).
"""

import matplotlib.pyplot as plt
import torch

import structnet as sn

CELLS = {"elman": {}, "gru": {}, "lstm": {}, "lstm chrono=200": {"chrono": 200}, "ssm": {}}
CHAIN = torch.arange(-1, 199)[:, None]
TREE = torch.tensor([[2 * i + 1, 2 * i + 2] if i < 127 else [-1, -1] for i in range(255)])


def gradients(label, children, output):
    """The norm (n,) of the gradient of one node's state by every node's input, mean of 16."""
    topology = sn.topologies.create("tree", arity=children.shape[1])
    layer = sn.Recurrence(topology, label.split()[0], 32, 32, **CELLS[label])
    x = torch.randn(16, len(children), 32, requires_grad=True)
    h = layer(x.flatten(0, 1), topology.plan([children] * len(x))).view_as(x)
    h[:, output].sum().backward()
    return x.grad.norm(dim=2).mean(0)


torch.manual_seed(0)
_, (chain, tree) = plt.subplots(1, 2, sharey=True, figsize=(6.4, 3.8), layout="constrained")
for label in CELLS:
    by_step, by_node = gradients(label, CHAIN, -1).flip(0), gradients(label, TREE, 0)
    print(f"{label}: {by_step[100] / by_step[0]:.1e} of the gradient is left after 100 steps")
    chain.semilogy(by_step)
    by_level = [level.mean() for level in by_node.split([2**depth for depth in range(8)])]
    tree.semilogy(by_level, label=label)
chain.set(title="chain of 200", xlabel="steps back", ylabel="norm of the gradient", ylim=(1e-9, 9))
tree.set(title="tree of 255", xlabel="levels below the root")
tree.legend()
plt.show()
