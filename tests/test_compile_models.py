"""A model under torch.compile gives the same numbers, its recurrence being an executor's."""

import numpy as np
import pytest
import torch
from conftest import assert_same, random_tree
from torch import nn

import structnet as sn

# Dynamo asks for the gradient of what enters a graph.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
    # Of torch's own, where it imports its compiler.
    pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning"),
]
LAYERS = {
    "chain": ("lstm", [[5, 2], [3, 3, 1], [9]]),
    "bichain": ("mingru", [[4, 4], [1, 6]]),
    "tree": ("gru", [[random_tree(n, np.random.default_rng(n))] for n in (5, 9)]),
    "graph": ("lstm", [[sn.Edges([[0, 0, 1], [1, 2, 2]], 3)], [sn.Edges([[1], [0]], 2)]]),
    "diagonal": ("slstm", [[(2, 3)], [(3, 1), (1, 2)]]),
}


class Model(nn.Module):
    def __init__(self, topology, cell, **options):
        super().__init__()
        self.below = nn.Linear(3, 4)
        self.layer = sn.Recurrence(topology, cell, 4, 3, **options)
        self.head = nn.Linear(self.layer.output_size, 2)

    def forward(self, x, plans):
        return self.head(self.layer(self.below(x).relu(), plans)).tanh()


def assert_trains(topology, backend, tolerance=1e-12, dtype=torch.float64, **options):
    cell, batches = LAYERS[topology]
    torch._dynamo.reset()
    models = []
    for _ in range(2):
        torch.manual_seed(0)
        models.append(Model(topology, cell, **options).to(dtype))
    plain, compiled = models[0], torch.compile(models[1], backend=backend)
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    for structures in batches:
        plans = plain.layer.topology.plan(structures)
        x = torch.randn(plans[0].num_nodes, 3, dtype=dtype)
        outs = [plain(x, plans), compiled(x, plans)]
        for out, optimizer in zip(outs, optimizers, strict=True):
            optimizer.zero_grad()
            out.square().sum().backward()
            optimizer.step()
        assert_same(outs[1].detach(), outs[0].detach(), tolerance)
        grads = [[one.grad for one in model.parameters()] for model in models]
        assert_same(grads[1], grads[0], tolerance)
    compiled.eval()
    with torch.no_grad():
        assert_same(compiled(x, plans), plain.eval()(x, plans), tolerance)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("topology", LAYERS)
def test_a_compiled_model_trains_as_it_does_without(topology, backend):
    assert_trains(topology, backend)


def test_it_does_so_whatever_is_kept_for_the_way_back():
    assert_trains("tree", "aot_eager", save="windows")


@pytest.mark.slow
@pytest.mark.parametrize("topology", ["chain", "tree"])
def test_a_model_compiled_by_inductor_trains_as_it_does_without(topology):
    assert_trains(topology, "inductor", tolerance=1e-5, dtype=torch.float32)


@pytest.mark.slow
def test_its_recurrence_may_be_compiled_too():
    assert_trains("chain", "inductor", tolerance=1e-5, dtype=torch.float32, executor="compiled")
