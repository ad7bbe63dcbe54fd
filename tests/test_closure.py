"""A large graph, target by target with what leads to it: the same states, and what was cut."""

import warnings

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import SEEDS, assert_same
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Data

import structnet as sn
from structnet.data.synthetic import dag, layered


def random_graph(seed, size=60):
    """A DAG of mixed up nodes, with isolated ones and parallel edges."""
    random = np.random.default_rng(seed)
    edges = dag(size, random, degree=1.5)
    index = np.concatenate([edges.index, edges.index[:, :5]], axis=1)
    return sn.Edges(random.permutation(size)[index], size)


def network(edges):
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(edges.num_nodes))
    graph.add_edges_from(edges.index.T.tolist())
    return graph


@given(seed=SEEDS, depth=st.integers(0, 5) | st.none(), count=st.integers(0, 5))
def test_a_closure_is_the_graph_of_what_leads_to_its_targets(seed, depth, count):
    edges = random_graph(seed)
    targets = np.random.default_rng(seed).choice(edges.num_nodes, count, replace=False)
    found = sn.ancestors(edges, targets, depth)
    graph = network(edges)
    inside = set()
    for target in targets.tolist():
        inside |= set(nx.single_source_shortest_path_length(graph.reverse(), target, depth))
    assert found.nodes.tolist() == sorted(inside)
    assert found.nodes[found.targets].tolist() == targets.tolist()
    assert (found.nodes[found.edges.index] == edges.index[:, found.kept]).all()
    expected = graph.subgraph(inside).edges()
    assert sorted(map(tuple, found.nodes[found.edges.index].T.tolist())) == sorted(expected)
    cut = [u for u, v in graph.edges() if v in inside and u not in inside]
    assert (found.cut_edges, found.cut_nodes) == (len(cut), len(set(cut)))
    assert depth is not None or not cut


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize("limit", ["none", "longest path"])
def test_targets_have_the_states_and_gradients_of_the_whole_graph(direction, limit):
    edges = random_graph(3)
    topology = sn.topologies.create("graph", direction=direction)
    torch.manual_seed(0)
    # What the second layer reads has to be right as well.
    layers = [sn.Recurrence(topology, "lstm", size, 4).double() for size in (3, 4 if
              direction != "both" else 8)]  # fmt: skip
    x = torch.randn(edges.num_nodes, 3, dtype=torch.double)
    weights = [weight for layer in layers for weight in layer.parameters()]

    def run(x, plans):
        for layer in layers:
            x = layer(x, plans)
        return x

    whole = run(x, topology.plan([edges]))
    depth = None if limit == "none" else 2 * edges.num_nodes
    y = np.arange(edges.num_nodes)
    batches = list(
        sn.node_loader(edges, x.numpy(), y, topology, depth=depth, batch_size=7, shuffle=True)
    )
    assert len(batches) == -(-edges.num_nodes // 7)
    seen = []
    for batch in batches:
        h = run(batch.x, batch.plans)[batch.targets]
        nodes = batch.nodes[batch.targets]
        assert_same(h.detach(), whole[nodes].detach(), 1e-12)
        expected = torch.autograd.grad(whole[nodes].sum(), weights, retain_graph=True)
        assert_same(list(torch.autograd.grad(h.sum(), weights)), list(expected), 1e-10)
        assert batch.cut_edges == batch.cut_nodes == 0
        scored = batch.y != sn.IGNORE
        assert scored.nonzero()[:, 0].tolist() == sorted(batch.targets.tolist())
        assert batch.y[scored].tolist() == sorted(nodes.tolist())
        seen += nodes.tolist()
    assert sorted(seen) == list(range(edges.num_nodes))


def test_a_task_s_loss_counts_the_targets_alone():
    class Parity(sn.Task):
        """Whether a node has an even number of predecessors."""

        structures = ("graph",)
        classes = ("even", "odd")

        def load(self, topology):
            return {}

    edges = random_graph(0)
    y = np.bincount(edges.index[1], minlength=edges.num_nodes) % 2
    x = np.ones((edges.num_nodes, 1), np.float32)
    topology = sn.topologies.create("graph")
    for batch in sn.node_loader(edges, x, y, topology, nodes=[5, 8, 13], batch_size=2):
        scores = torch.randn(batch.num_nodes, 2)
        target = torch.from_numpy(y)[batch.nodes[batch.targets]]
        expected = torch.nn.functional.cross_entropy(scores[batch.targets], target)
        assert Parity().loss(scores, batch).item() == pytest.approx(expected.item())
    (batch,) = sn.node_loader(edges, x, y.astype(np.float32), topology, nodes=[5, 8])
    assert batch.y.isnan().sum() == batch.num_nodes - 2
    assert batch.to("cpu").targets.equal(batch.targets)


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_targets_of_a_type_without_a_sign_are_ignored_as_others(kind):
    edges, topology = sn.Edges([[0, 1], [1, 2]], 3), sn.topologies.create("graph")
    x, y = np.ones((3, 1)), np.ones(3, kind)
    (batch,) = sn.node_loader(edges, x, y, topology, nodes=[2])
    assert batch.y.tolist() == [sn.IGNORE, sn.IGNORE, 1]


def test_a_graph_of_torch_geometric_and_one_without_edges_are_loaded():
    topology = sn.topologies.create("graph")
    data = Data(x=torch.eye(3), edge_index=torch.tensor([[0, 1], [1, 2]]))
    for graph, sizes in ((data, [1, 2, 3]), (sn.Edges([[], []], 3), [1, 1, 1])):
        loader = sn.node_loader(graph, data.x, np.zeros(3), topology, batch_size=1)
        assert [batch.num_nodes for batch in loader] == sizes
        assert len(sn.ancestors(graph, [2]).nodes) == sizes[-1]


def test_tokens_of_nodes_come_with_them():
    vocabulary = sn.Vocabulary({"a": 1, "b": 1})
    words = [("a",), (), ("a", "b"), ("b",)]
    edges = sn.Edges([[0, 1, 2], [2, 2, 3]], 4)
    topology = sn.topologies.create("graph")
    with pytest.warns(sn.DataWarning, match="depth=1 cut 2 edges, from 2 nodes, off the 1 batch"):
        (batch,) = sn.node_loader(
            edges, vocabulary.tokens(words), np.zeros(4, int), topology, nodes=[3], depth=1
        )
    assert batch.nodes.tolist() == [2, 3]
    assert vocabulary.words(batch.x) == [["a", "b"], ["b"]]
    assert (batch.cut_edges, batch.cut_nodes) == (2, 2)


def test_features_of_edges_come_with_them():
    edges = random_graph(3)
    features = np.arange(edges.index.shape[1], dtype=np.float32)[:, None]
    x, y = np.ones((60, 1), np.float32), np.arange(60)
    topology = sn.topologies.create("graph")
    layer = sn.Recurrence(topology, "lstm", 1, 4, edge_size=1)
    whole = layer(torch.from_numpy(x), topology.plan([edges]), edge_x=torch.from_numpy(features))
    for batch in sn.node_loader(edges, x, y, topology, edge_x=features, batch_size=9):
        h = layer(batch.x, batch.plans, edge_x=batch.edge_x)[batch.targets]
        assert_same(h.detach(), whole[batch.nodes[batch.targets]].detach(), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_says_once_what_it_cut(num_workers):
    edges = layered(400, 20, np.random.default_rng(0))
    x, y = np.ones((400, 1), np.float32), np.zeros(400, int)
    topology = sn.topologies.create("graph")
    loader = sn.node_loader(
        edges,
        x,
        y,
        topology,
        nodes=range(300, 400),
        depth=2,
        batch_size=50,
        num_workers=num_workers,
    )
    with pytest.warns(sn.DataWarning, match=r"depth=2 cut .* edges, from .* off the 2 batches of"):
        batches = list(loader)
    total = sum(batch.cut_edges for batch in batches)
    assert total > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sum(batch.cut_edges for batch in loader) == total


def test_the_order_is_that_of_seed_and_epoch_alone():
    edges = random_graph(0)
    x, y = np.ones((60, 1), np.float32), np.arange(60)
    topology = sn.topologies.create("graph")

    def order(seed, epoch):
        loader = sn.node_loader(edges, x, y, topology, batch_size=9, shuffle=True, seed=seed)
        loader.set_epoch(epoch)
        return [node for batch in loader for node in batch.nodes[batch.targets].tolist()]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3) != order(2, 3)


WRONG = {
    "node 60 at index 1 is out of range: valid are 0 to 59": {"nodes": [3, 60]},
    "node 3 is given twice": {"nodes": [3, 4, 3]},
    "nodes must be integers, got float64": {"nodes": [0.5]},
    "depth must be None or a whole number, at least 0, got -1": {"depth": -1},
    "batch_size is at least 1, got 0": {"batch_size": 0},
    "index must be integers, got float64": {"edges": sn.Edges([[0.5], [1]], 60)},
    "x has 59 rows for 60 nodes": {"x": np.ones((59, 1))},
    "y has 61 rows for 60 nodes": {"y": np.ones(61)},
    "edge_x has 3 rows for 106 edges": {"edge_x": np.ones((3, 1))},
    "Chain takes 'sequence'; take topology 'graph'": {"topology": sn.topologies.create("chain")},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_mistake_is_named_with_the_way_out(message):
    given = {
        "edges": random_graph(0),
        "x": np.ones((60, 1)),
        "y": np.ones(60),
        "topology": sn.topologies.create("graph"),
        **WRONG[message],
    }
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        sn.node_loader(**given)
