"""Extreme inputs leave every cell finite; memory cells are their papers' on trees and graphs."""

import numpy as np
import pytest
import torch
from conftest import assert_same, features, random_tree, randomise, recurrence
from equations_memory import forget_gate

import structnet as sn

CELLS = [
    name
    for name in sn.cells.names()
    if sn.cells.create(name, 2, 2, 1).__module__.startswith("structnet.")
]
# Cells whose states may grow with the steps, and why: for 10,000 steps they keep the parameters
# they start with.
UNBOUNDED = {"indrnn": "rectified and without gates, a unit of weight u > 1 grows as u^t"}
TREE = np.array([[1, 2], [3, -1], [-1, 4], [-1, -1], [-1, -1]])
LEAVES_FIRST = [3, 4, 1, 2, 0]
DENORMAL = {torch.float32: 1e-40, torch.float64: 1e-310}


def extreme_inputs(num_nodes, size, dtype):
    """Name -> x (num_nodes, size)."""
    generator = torch.Generator().manual_seed(7)
    signs = torch.randn(num_nodes, size, generator=generator).sign().to(dtype)
    return {
        "large": torch.full_like(signs, 1e4),
        "large negative": torch.full_like(signs, -1e4),
        "large of either sign": 1e4 * signs,
        "denormal": DENORMAL[dtype] * signs,
        "zero": torch.zeros_like(signs),
    }


def extreme_layer(topology, cell, dtype, drawn):
    """A layer as it starts, or with parameters drawn at random, biases included."""
    torch.manual_seed(0)
    layer = sn.Recurrence(topology, cell, 3, 4).to(dtype)
    return randomise(layer) if drawn else layer


def assert_finite(name, *tensors):
    for tensor in tensors:
        assert tensor.isfinite().all(), f"{name}: {tensor[~tensor.isfinite()][:3]}"


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("structure", ["chain", "tree"])
@pytest.mark.parametrize("cell", CELLS)
def test_extreme_inputs_give_finite_states_and_gradients(cell, structure, dtype, drawn):
    topology = sn.topologies.create(structure)
    tree = random_tree(15, np.random.default_rng(0))
    plans = topology.plan([5] if structure == "chain" else [tree, TREE])
    layer = extreme_layer(topology, cell, dtype, drawn)
    for name, x in extreme_inputs(plans[0].num_nodes, 3, dtype).items():
        x.requires_grad_()
        h, states = layer(x, plans, return_states=True)
        assert_finite(name, h, *states)
        grads = torch.autograd.grad(h.sum(), [x, *layer.parameters()], allow_unused=True)
        assert_finite(name, *(grad for grad in grads if grad is not None))


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
def test_10_000_steps_of_extreme_inputs_give_finite_states(cell):
    topology, steps = sn.topologies.create("chain"), 10_000
    inputs = extreme_inputs(steps, 3, torch.float32)
    plans = topology.plan([steps] * len(inputs))
    layer = extreme_layer(topology, cell, torch.float32, cell not in UNBOUNDED)
    with torch.no_grad():
        h, states = layer(torch.cat(list(inputs.values())), plans, return_states=True)
    for part in (h, *states):
        for name, values in zip(inputs, part.split(steps), strict=True):
            assert_finite(name, values)


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("cell", ["slstm", "mlstm"])
def test_a_stabilised_memory_does_not_grow_with_the_number_of_paths(cell, forget):
    topology, levels = sn.topologies.create("any_dag"), 1500
    plans = topology.plan([[[]] + [[node, node] for node in range(levels)]])
    layer = recurrence(topology, cell, forget=forget, dtype=torch.float32)
    x = features(plans, dtype=torch.float32)
    with torch.no_grad():
        # Forget gates that are open: the last node is reached on 2^1500 paths.
        count = 2 if cell == "slstm" else 1
        layer.cells[0].input.bias[-count:] = 20
    h, states = layer(x, plans, return_states=True)
    assert_finite(cell, h, *states, torch.autograd.grad(h.sum(), x)[0])


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
def test_on_one_slot_the_stabiliser_is_that_of_the_paper(forget):
    """Beck et al. (2024), eq. 15-17, from a first step that has nothing to forget."""
    topology = sn.topologies.create("chain")
    plans = topology.plan([6])
    layer = recurrence(topology, "slstm", 3, 4, forget=forget)
    x, cell = features(plans), layer.cells[0]
    h, c, n, m = *(x.new_zeros(4) for _ in range(3)), x.new_full((4,), -torch.inf)
    states = []
    for x_t in x:
        z, i, o, f = (cell.input(x_t) + h @ cell.recurrent).split(4)
        log_f, m_before = torch.log(forget_gate(cell)(f)), m
        m = torch.maximum(log_f + m_before, i)
        i, f = torch.exp(i - m), torch.exp(log_f + m_before - m)
        c, n = f * c + i * torch.tanh(z), f * n + i
        h = torch.sigmoid(o) * c / n
        states.append(torch.stack([h, c, n, m]))
    _, found = layer(x, plans, return_states=True)
    for state, expected in zip(found, torch.stack(states, 1), strict=True):
        assert_same(state, expected)


def test_on_ordered_slots_a_recursive_tensor_network_is_that_of_the_paper():
    """Socher et al. (2013), section 4.3; a parent's own input is zero, as there is none."""
    size, topology = 4, sn.topologies.create("tree")
    plans = topology.plan([TREE])
    layer = recurrence(topology, "recursive", 3, size, tensor=True)
    cell, x = layer.cells[0], features(plans).detach()
    x[:3] = 0
    with torch.no_grad():
        cell.input.bias.zero_()
    W = cell.recurrent.T
    V = cell.quadratic.view(2 * size, size, 2 * size) / (2 * size)
    p = {-1: x.new_zeros(size)}
    for node in LEAVES_FIRST:
        if node >= 3:
            p[node] = torch.tanh(cell.input.weight @ x[node])
            continue
        b, c = TREE[node]
        bc = torch.cat([p[b], p[c]])
        quadratic = torch.stack([bc @ V[:, unit] @ bc for unit in range(size)])
        p[node] = torch.tanh(quadratic + W @ bc)
    assert_same(layer(x, plans), torch.stack([p[node] for node in range(5)]))


@pytest.mark.parametrize(
    ("name", "sizes", "options", "message"),
    [
        ("slstm", (3, 4), {"forget": "tanh"}, "'forget' is 'sigmoid' or 'exp', got 'tanh'"),
        ("mlstm", (3, 4), {"forget": "tanh"}, "'forget' is 'sigmoid' or 'exp', got 'tanh'"),
        ("mlstm", (3, 4), {"heads": 3}, "'heads' is a divisor of hidden_size = 4, got 3"),
        ("mlstm", (3, 4), {"heads": 0}, "'heads' is a divisor of hidden_size = 4, got 0"),
    ],
)
def test_options_out_of_range_are_refused(name, sizes, options, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create(name, *sizes, 1, **options)
