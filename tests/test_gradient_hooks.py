"""Hooks of parameters get the whole gradient, once."""

import numpy as np
import pytest
import torch
from conftest import assert_same, create_cells, features, random_tree, recurrence
from torch.nn.utils import parametrizations

CELLS = [one.values[0] for one in create_cells() if "aggregate" not in one.values[0][1]]
EXECUTORS = [("auto", "gates"), ("auto", "windows"), ("compiled", "gates"),
             ("compiled", "recompute")]  # fmt: skip


def gradients(layer, plans, x, executor=None):
    """Gradients under hooks that are no linear functions, and how often each is called."""
    calls = dict.fromkeys(dict(layer.named_parameters()), 0)

    def hook(name):
        def clip(grad):
            calls[name] += 1
            return 3 * grad.clamp(-0.1, 0.2)

        return clip

    handles = [one.register_hook(hook(name)) for name, one in layer.named_parameters()]
    layer.zero_grad()
    layer(x, plans, executor=executor).sum().backward()
    for handle in handles:
        handle.remove()
    found = {name: torch.zeros_like(one) if one.grad is None else one.grad
             for name, one in layer.named_parameters()}  # fmt: skip
    return found, calls


def assert_hooked_once(layer, structures, executor, save="gates"):
    plans = layer.topology.plan(structures)
    x = features(plans)
    expected, _ = gradients(layer, plans, x, "reference")
    layer.save = save
    found, calls = gradients(layer, plans, x, executor)
    assert_same(found, expected)
    assert max(calls.values()) == 1


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_they_do_level_by_level_for_every_cell(cell):
    assert_hooked_once(recurrence("chain", cell), [4, 1, 2], "batched")


@pytest.mark.parametrize(("executor", "save"), EXECUTORS)
@pytest.mark.parametrize("cell", ["lstm", "gru", "mingru", "graph_lstm"])
def test_they_do_however_it_is_run(traced, cell, executor, save):
    tree = random_tree(7, np.random.default_rng(0))
    assert_hooked_once(recurrence("tree", cell), [tree], executor, save)


@pytest.mark.parametrize("executor", ["batched", "compiled"])
def test_they_do_where_a_weight_is_made_of_them(traced, executor):
    layer = recurrence("chain", "lstm")
    parametrizations.weight_norm(layer.cells[0], "recurrent")
    assert_hooked_once(layer, [4, 1, 2], executor)


@pytest.mark.parametrize("executor", ["batched", "compiled"])
def test_they_do_where_a_weight_is_empty(traced, executor):
    """A cell without edge gates has a matrix of no columns for them."""
    assert_hooked_once(recurrence("any_dag", "gru"), [[[], [0], [0, 1]]], executor)
