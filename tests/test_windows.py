"""Truncated backpropagation: the same numbers, and gradients no further than a window."""

import networkx as nx
import pytest
import torch
from conftest import (
    assert_same,
    batches,
    every_topology,
    everything,
    features,
    graphs_of,
    initial_states,
    recurrence,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import structnet as sn


def depth_in(graph):
    """The level of every node."""
    return {v: level for level, some in enumerate(nx.topological_generations(graph)) for v in some}


@every_topology
@pytest.mark.parametrize("length", [1, 2, 100])
@settings(max_examples=4)
@given(data=st.data())
def test_windows_give_the_same_states(topology, length, data):
    plans = topology.plan(data.draw(batches(topology)))
    layer, x = recurrence(topology, "lstm", truncate=length), features(plans)
    initial = initial_states(layer, plans)
    for start in (None, initial) if initial else (None,):
        found = layer(x, plans, initial=start, return_states=True)[1]
        layer.eval()
        expected = layer(x, plans, initial=start, return_states=True)[1]
        layer.train()
        assert_same([s.detach() for s in found], [s.detach() for s in expected])


@every_topology
def test_one_window_that_holds_everything_changes_no_gradient(topology):
    structures = {
        "sequence": [3, 1],
        "tree": [[[1, 2], [-1, -1], [-1, -1]]],
        "dag": [[[], [0], [0, 1]]],
        "grid": [(2, 3)],
        "graph": [sn.Edges([[0, 0, 1], [1, 2, 2]], 3)],
        "undirected": [sn.Edges([[0, 1, 1, 2], [1, 0, 2, 1]], 3)],
    }[topology.takes]
    plans = topology.plan(structures)
    layer, x = recurrence(topology, "gru", truncate=50), features(plans)
    initial = initial_states(layer, plans)
    found = everything(layer, x, plans, initial)
    layer.truncate = None
    assert_same(found, everything(layer, x, plans, initial))


@pytest.mark.parametrize("executor", ["auto", "reference"])
@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_gradients_end_where_a_window_begins(cell, executor):
    topology = sn.topologies.create("any_dag")
    structures = [[[], [0], [1, 0], [2], [3, 1], [4]], [[], [0], [1]]]
    plans = topology.plan(structures)
    layer, x = recurrence(topology, cell, truncate=2), features(plans)
    h = layer(x, plans, executor=executor)
    (graph,) = graphs_of(topology, structures)
    level = depth_in(graph)
    for node in graph:
        (grad,) = torch.autograd.grad(h[node].sum(), x, retain_graph=True)
        window = [v for v in graph if level[v] // 2 == level[node] // 2]
        seen = nx.ancestors(graph.subgraph(window), node) | {node}
        assert set(grad.abs().sum(1).nonzero()[:, 0].tolist()) == seen


def test_windows_are_a_loop_that_carries_detached_states():
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, "lstm", truncate=3)
    plans = topology.plan([8, 8])
    x = features(plans)
    found = torch.autograd.grad(layer(x, plans).square().sum(), [x, *layer.parameters()])
    by_step, states, loss = x.view(2, 8, 3), None, 0
    layer.truncate = None
    for steps in by_step.split(3, dim=1):
        plans = topology.plan([steps.shape[1]] * 2)
        h, states = layer(steps.reshape(-1, 3), plans, initial=states, return_states=True)
        last = plans[0].sinks
        states = [state[last].detach() for state in states]
        loss = loss + h.square().sum()
    assert_same(list(found), list(torch.autograd.grad(loss, [x, *layer.parameters()])))


def test_a_window_of_no_levels_is_refused():
    with pytest.raises(ValueError, match="'truncate' is at least 1 level, got 0"):
        sn.Recurrence("chain", "lstm", 3, 2, truncate=0)
