"""torch.func's transformations and forward-mode derivatives run through the reference executor."""

import numpy as np
import pytest
import torch
from conftest import assert_same, every_cell, features, initial_states, random_tree, recurrence
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, stack_module_state, vmap

import structnet as sn

PLANS = {
    "chain": ("chain", [2, 1]),
    "tree": ("tree", [random_tree(4, np.random.default_rng(0))]),
    "bidiagonal": ("bidiagonal", [(2, 2)]),
    "any_dag": ("any_dag", [[[], [0], [0, 1]]]),
    "ordered_graph": ("ordered_graph", [sn.Edges([[0, 1], [1, 0]], 2)]),
}
SAMPLES = 3


def case(kind, cell, **options):
    """A layer, and the sum of its outputs' cosines as a function of its weights and an input."""
    topology, structures = PLANS[kind]
    layer = recurrence(sn.topologies.create(topology), cell, 2, 2, **options)
    plans = layer.topology.plan(structures)
    initial = initial_states(layer, plans)
    weights = {name: one.detach() for name, one in layer.named_parameters()}

    def loss(weights, x, **keywords):
        given = {"initial": initial, **keywords}
        return functional_call(layer, weights, (x, plans), given).cos().sum()

    xs = torch.stack([features(plans, 2, seed).detach() for seed in range(SAMPLES)])
    return layer, loss, weights, xs


def by_autograd(loss, weights, x):
    weights = {name: one.clone().requires_grad_() for name, one in weights.items()}
    found = torch.autograd.grad(
        loss(weights, x, executor="reference"), list(weights.values()), allow_unused=True
    )
    return {name: torch.zeros_like(one) if g is None else g
            for (name, one), g in zip(weights.items(), found, strict=True)}  # fmt: skip


def assert_transforms(kind, cell, **options):
    _, loss, weights, xs = case(kind, cell, **options)
    each = [by_autograd(loss, weights, x) for x in xs]
    expected = {name: torch.stack([one[name] for one in each]) for name in weights}
    assert_same(vmap(grad(loss), (None, 0))(weights, xs), expected)
    first = {name: one[0] for name, one in expected.items()}
    assert_same(jacrev(loss)(weights, xs[0]), first)
    assert_same(jacfwd(loss)(weights, xs[0]), first)


@pytest.mark.parametrize("kind", ["chain", "any_dag"])
@every_cell
def test_gradients_of_samples_and_jacobians_are_autograds(cell, kind):
    if cell[1].get("aggregate") and kind == "chain":
        pytest.skip("the aggregate is of unordered predecessors")
    if cell[1].get("forget") == 0 and kind == "any_dag":
        pytest.skip("the slot is of ordered predecessors")
    assert_transforms(kind, cell)


@pytest.mark.parametrize("kind", PLANS)
def test_they_are_on_every_topology(kind):
    assert_transforms(kind, "lstm")
    assert_transforms(kind, "lstm", save="windows")


@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_truncated_gradients_of_samples_are_autograds(kind):
    layer, loss, weights, xs = case(kind, "gru", truncate=1)
    each = [by_autograd(loss, weights, x) for x in xs]
    expected = {name: torch.stack([one[name] for one in each]) for name in weights}
    assert_same(vmap(grad(loss), (None, 0))(weights, xs), expected)
    assert layer.training


@pytest.mark.parametrize("kind", PLANS)
def test_an_ensemble_is_its_members(kind):
    topology, structures = PLANS[kind]
    layers = [
        recurrence(sn.topologies.create(topology), "gru", 2, 2, seed) for seed in range(SAMPLES)
    ]
    plans = layers[0].topology.plan(structures)
    x = features(plans, 2).detach()
    weights, buffers = stack_module_state(layers)
    found = vmap(lambda w, b: functional_call(layers[0], (w, b), (x, plans)))(weights, buffers)
    assert_same(found.detach(), torch.stack([layer(x, plans) for layer in layers]).detach())


def test_a_forward_derivative_is_the_one_along_a_direction():
    _, loss, weights, xs = case("tree", "lstm")
    x, direction = xs[0], xs[1]
    with forward_ad.dual_level():
        found = forward_ad.unpack_dual(loss(weights, forward_ad.make_dual(x, direction))).tangent
    expected = (grad(loss, 1)(weights, x) * direction).sum()
    assert_same(found, expected)


def test_second_derivatives_are_those_of_plain_autograd():
    _, loss, weights, xs = case("tree", "gru")
    x = xs[0]
    expected = torch.autograd.functional.hessian(
        lambda x: loss(weights, x, executor="reference"), x
    )
    assert_same(torch.func.hessian(loss, 1)(weights, x), expected)


@pytest.mark.parametrize("executor", ["batched", "scan", "compiled", "auto"])
def test_batches_of_gradients_come_from_the_reference(executor):
    # Where torch has a layer, `auto` takes that, which has batches of gradients.
    cell = {"scan": "mingru", "auto": "mgu"}.get(executor, "lstm")
    layer, _, _, xs = case("chain", cell)
    plans, x = layer.topology.plan(PLANS["chain"][1]), xs[0].requires_grad_()
    ones = torch.eye(2, dtype=torch.float64)
    sums = layer(x, plans, executor="reference").sum(0)
    found = torch.autograd.grad(sums, x, ones, is_grads_batched=True, retain_graph=True)[0]
    each = [torch.autograd.grad(sums, x, one, retain_graph=True)[0] for one in ones]
    assert_same(found, torch.stack(each))
    if executor == "compiled":
        return
    sums = layer(x, plans, executor=executor).sum(0)
    with pytest.raises(RuntimeError, match=r"batches of gradients .* executor='reference'"):
        torch.autograd.grad(sums, x, ones, is_grads_batched=True)


@pytest.mark.parametrize("executor", ["batched", "scan", "compiled", "fused", "replayed"])
def test_other_executors_name_the_reference(executor):
    _, loss, weights, xs = case("chain", "mingru")

    def refused(function):
        with pytest.raises(
            ValueError, match=f"{executor!r} takes no transformations .* executor='auto'"
        ):
            function()

    refused(lambda: grad(lambda w: loss(w, xs[0], executor=executor))(weights))
    refused(lambda: vmap(lambda x: loss(weights, x, executor=executor))(xs))
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(xs[0], xs[1])
        refused(lambda: loss(weights, dual, executor=executor))


@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_an_rnn_has_them_and_plans_for_training_too(cell):
    rnn = sn.RNN(cell, 2, 3, bidirectional=True, batch_first=True).double()
    weights = {name: one.detach() for name, one in rnn.named_parameters()}
    x = torch.randn(SAMPLES, 7, 2, dtype=torch.float64)

    def loss(weights, x):
        return functional_call(rnn, weights, (x[None],))[0].cos().sum()

    found = vmap(grad(loss), (None, 0))(weights, x)
    assert_same(jacfwd(loss)(weights, x[0]), {name: one[0] for name, one in found.items()})
    for place, one in enumerate(x):
        rnn.zero_grad()
        rnn(one[None])[0].cos().sum().backward()
        assert_same(
            {name: weight.grad for name, weight in rnn.named_parameters()},
            {name: gradient[place] for name, gradient in found.items()},
        )


def test_plans_made_under_a_transformation_last():
    topology = sn.topologies.create("tree")
    layer = sn.Recurrence(topology, "gru", 2, 2).double()
    tree, x = [random_tree(5, np.random.default_rng(1))], torch.randn(5, 2, dtype=torch.float64)
    plans = []

    def loss(x):
        plans.append(topology.plan(tree))
        return layer(x, plans[-1]).cos().sum()

    found = grad(loss)(x)
    x.requires_grad_()
    layer(x, plans[0]).cos().sum().backward()
    assert_same(x.grad, found)


def test_a_graph_is_planned_under_a_transformation():
    from torch_geometric.data import Data

    layer = sn.Recurrence("graph", "gru", 2, 2).double()
    x = torch.randn(3, 2, dtype=torch.float64)
    data = Data(x=x, edge_index=torch.tensor([[0, 0], [1, 2]]))
    found = grad(lambda x: layer(x, data).cos().sum())(x)
    x.requires_grad_()
    layer(x, data).cos().sum().backward()
    assert_same(x.grad, found)
