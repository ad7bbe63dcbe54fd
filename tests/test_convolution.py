"""Layers of torch_geometric beside recurrences, over the batch's own edges."""

import functools
from typing import get_args

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import assert_same, batches, every_topology, graphs_of, randomise
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import nn as pyg

import structnet as sn
from structnet.nn.convolution import Convolution, Kind

# The second sample is a node alone; parallel edges count twice.
GRAPHS = [sn.Edges([[0, 0, 2, 3, 3], [1, 2, 1, 0, 0]], 4), sn.Edges(np.zeros((2, 0), int), 1)]
LAYERS = {"gat": pyg.GATConv, "gcn": pyg.GCNConv, "sage": pyg.SAGEConv}


def mlp():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_convolution_is_pygs_on_the_edges_in_both_directions(kind):
    layer = randomise(Convolution(kind, 3, 4).double())
    theirs = (LAYERS[kind](3, 4) if kind in LAYERS else pyg.GINConv(mlp())).double()
    theirs.load_state_dict(layer.layer.state_dict())
    (plan,) = sn.topologies.create("graph").plan(GRAPHS)
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    index = torch.tensor([[0, 0, 2, 3, 3], [1, 2, 1, 0, 0]])
    expected = theirs(x, torch.cat([index, index.flip(0)], 1)).relu()
    found = layer(x, plan)
    assert_same(found.detach(), expected.detach())
    weight = torch.randn_like(found)
    grads = [torch.autograd.grad((one * weight).sum(), x)[0] for one in (found, expected)]
    assert_same(*grads)


@every_topology
@settings(max_examples=5)
@given(data=st.data())
def test_the_arrows_of_a_plan_are_those_of_the_structures(topology, data):
    structures = data.draw(batches(topology))
    plans = topology.plan(structures)
    for plan, graph in zip(plans, graphs_of(topology, structures), strict=True):
        arrows = plan.arrows[:, plan.arrows[0] < plan.num_nodes]
        assert sorted(map(tuple, arrows.T.tolist())) == sorted(graph.edges())
        assert ((plan.arrows == plan.num_nodes).sum(0) != 1).all()
        assert plan.arrows is plan.arrows and plan.links.shape == (2, 2 * len(plan.rows))


def net_of(topology, **options):
    net = sn.nets.create(
        "stack",
        sn.Sizes(None, 3, 2),
        topology,
        functools.partial(sn.cells.create, "gru"),
        functools.partial(sn.readouts.create, "every"),
        **{"hidden_size": 4, **options},
    )
    return randomise(net.double()).eval()


STRUCTURES = {
    "graph": GRAPHS,
    "tree": [[[1, 2], [-1, -1], [-1, -1]], [[-1, -1]]],
    "multidirectional": [(2, 3), (1, 1)],
    "bichain": [4, 1],
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_net_has_convolutions_below_and_above_its_recurrences(name):
    topology = sn.topologies.create(name)
    sizes = [plan.num_nodes for (plan, *_) in map(topology.plan, ([s] for s in STRUCTURES[name]))]
    samples = [
        sn.Sample(structure, np.random.default_rng(0).normal(size=(size, 3)), 0)
        for structure, size in zip(STRUCTURES[name], sizes, strict=True)
    ]
    batch = sn.collate(samples, topology)
    net = net_of(topology, before="gcn", after="sage", num_layers=2)
    h = net.stack(net.before(batch.x, batch.plans[0]), batch.plans)
    expected = net.head(net.after(h, batch.plans[0]))
    assert_same(net(batch).detach(), expected.detach())
    net(batch).sum().backward()
    assert all(one.grad is not None for one in net.before.parameters())


def test_a_convolution_below_shows_a_node_its_neighbours_on_both_sides():
    topology = sn.topologies.create("graph")
    index = np.array([[0, 1, 2], [1, 2, 3]])
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (plan,) = topology.plan([sn.Edges(index, 4)])
    net = net_of(topology, before="sage")
    h = net.stack(net.before(x, plan), (plan,))
    (grad,) = torch.autograd.grad(h[1].sum(), x)
    path = nx.ancestors(nx.path_graph(4, nx.DiGraph), 1) | {1}
    assert set(grad.abs().sum(1).nonzero()[:, 0].tolist()) == path | {2}


def test_a_net_of_given_parameters_counts_its_convolutions():
    net = net_of(sn.topologies.create("graph"), before="gin", after="gat", parameters=2000)
    count = sum(parameter.numel() for parameter in net.parameters())
    assert 1500 < count <= 2000


@pytest.mark.parametrize("place", ["before", "after"])
def test_an_unknown_convolution_is_refused_by_its_exact_name(place):
    for name in ("gcnn", "torch_geometric.nn.GCNConv"):
        with pytest.raises(ValueError, match=f"'{place}' is 'gat' or 'gcn' .*got '{name}'"):
            net_of(sn.topologies.create("graph"), **{place: name})
