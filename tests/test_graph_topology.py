"""Recurrence along DAGs, on edge lists and on torch_geometric's data."""

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import SEEDS, assert_same, everything, features, recurrence
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

import structnet as sn


def graph_topology(**options):
    return sn.topologies.create("graph", **options)


@st.composite
def networks(draw, max_nodes=12):
    """A DAG of several components: a hub, isolated nodes, parallel edges, ids in any order."""
    size = draw(st.integers(1, max_nodes))
    ids = np.array(draw(st.permutations(range(size))))
    pairs = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))
    pairs = [sorted(pair) for pair in draw(st.lists(pairs, max_size=2 * size)) if len({*pair}) > 1]
    if pairs and draw(st.booleans()):
        # All that come before it feed the hub, some of them twice.
        hub = pairs[0][1]
        pairs += [[u, hub] for u in range(hub)]
    return sn.Edges(ids[np.array(pairs, np.int64).reshape(-1, 2).T], size)


ONE = sn.Edges(np.zeros((2, 0), np.int64), 1)
HUB = sn.Edges([[*range(300), 300, 300], [300] * 300 + [301, 301]], 400)


@pytest.mark.parametrize("cell", ["lstm", "gru", "graph_lstm", "elman"])
@settings(max_examples=10)
@example(graphs=[ONE], seed=0)
@example(graphs=[HUB, ONE], seed=1)
@given(graphs=st.lists(networks(), min_size=1, max_size=3), seed=SEEDS)
def test_batched_is_one_node_at_a_time(cell, graphs, seed):
    topology = graph_topology(direction="both")
    layer, plans = recurrence(topology, cell, seed=seed), topology.plan(graphs)
    x = features(plans)
    assert_same(everything(layer, x, plans), everything(layer, x, plans, executor="reference"))


def child_sum_lstm(cell, graph, x):
    """Tai et al. (2015), eq. 2-8, in the topological order of a networkx graph."""
    size = cell.hidden_size
    W, b = cell.input.weight.split(size), cell.input.bias.split(size)
    U, U_f = cell.recurrent.T.split(size), cell.recurrent_edge.T
    h, c = {}, {}
    for node in nx.topological_sort(graph):
        before = [u for u, _ in graph.in_edges(node)]
        summed = sum((h[u] for u in before), x.new_zeros(size))
        i, o, g = (W[k] @ x[node] + b[k] + U[k] @ summed for k in range(3))
        c[node] = torch.sigmoid(i) * torch.tanh(g)
        for u in before:
            f = torch.sigmoid(W[3] @ x[node] + b[3] + U_f @ h[u])
            c[node] = c[node] + f * c[u]
        h[node] = torch.sigmoid(o) * torch.tanh(c[node])
    return torch.stack([h[node] for node in range(len(x))])


@settings(max_examples=10)
@given(edges=networks(), seed=SEEDS)
def test_both_directions_are_walks_of_networkx_in_topological_order(edges, seed):
    topology = graph_topology(direction="both")
    layer, plans = recurrence(topology, "lstm", seed=seed), topology.plan([edges])
    x = features(plans)
    graph = nx.MultiDiGraph(np.asarray(edges.index).T.tolist())
    graph.add_nodes_from(range(edges.num_nodes))
    walks = zip(layer.cells, (graph, graph.reverse()), strict=True)
    expected = torch.cat([child_sum_lstm(cell, one, x) for cell, one in walks], 1)
    found, inputs = layer(x, plans), [x, *layer.parameters()]
    assert_same(found.detach(), expected.detach())
    weight = torch.randn_like(expected)
    for value, ours, theirs in zip(
        inputs,
        torch.autograd.grad((found * weight).sum(), inputs, allow_unused=True),
        torch.autograd.grad((expected * weight).sum(), inputs, allow_unused=True),
        strict=True,
    ):
        zero = torch.zeros_like(value)
        assert_same(zero if ours is None else ours, zero if theirs is None else theirs)


@pytest.mark.parametrize("cell", ["lstm", "gru", "graph_lstm"])
@settings(max_examples=10)
@given(edges=networks(), data=st.data())
def test_names_of_nodes_and_the_order_of_edges_change_nothing(cell, edges, data):
    index = np.asarray(edges.index)
    names = np.array(data.draw(st.permutations(range(edges.num_nodes))))
    shuffle = list(data.draw(st.permutations(range(index.shape[1]))))
    topology = graph_topology(direction="both")
    layer, plans = recurrence(topology, cell), topology.plan([edges])
    x = features(plans).detach()
    moved = torch.empty_like(x)
    moved[names] = x
    renamed = topology.plan([sn.Edges(names[index][:, shuffle], edges.num_nodes)])
    assert_same(layer(moved, renamed)[names], layer(x, plans))


@settings(max_examples=10)
@given(edges=networks())
def test_gradients_flow_to_the_ancestors_and_nowhere_else(edges):
    topology = graph_topology(direction="both")
    layer, plans = recurrence(topology, "lstm"), topology.plan([edges])
    x = features(plans)
    graph = nx.DiGraph(np.asarray(edges.index).T.tolist())
    graph.add_nodes_from(range(edges.num_nodes))
    forward, backward = layer(x, plans).chunk(2, dim=1)
    for h, reach in ((forward, nx.ancestors), (backward, nx.descendants)):
        for node in range(edges.num_nodes):
            (grad,) = torch.autograd.grad(h[node].sum(), x, retain_graph=True)
            assert set(grad.abs().sum(1).nonzero()[:, 0].tolist()) == reach(graph, node) | {node}


def sample(size, pairs, **fields):
    index = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T
    return Data(x=torch.randn(size, 3), edge_index=index, **fields)


GOOD = sample(4, [(0, 1), (0, 2), (2, 3), (1, 3)])


def test_a_batch_of_a_loader_goes_straight_into_a_layer():
    data = [GOOD, sample(1, []), sample(3, [(2, 0), (2, 0)]), sample(5, [(0, 4), (4, 1)])]
    layer = sn.Recurrence("graph", "lstm", input_size=3, hidden_size=4)
    for batch in DataLoader(data, batch_size=3):
        h = layer(batch.x, batch)
        assert h.shape == (batch.num_nodes, 4)
        for graph, part in enumerate(h.split(batch.ptr.diff().tolist())):
            one = batch[graph]
            assert_same(part, layer(one.x, one), 1e-6)
        h.sum().backward()


@pytest.mark.parametrize(
    ("name", "options"),
    [("graph", {}), ("ordered_graph", {}), ("ordered_graph", {"unvisited": "nothing"})],
)
def test_features_of_edges_come_along_in_any_order(name, options):
    topology = sn.topologies.create(name, direction="both", **options)
    layer = recurrence(topology, "lstm", edge_size=2)
    pairs = [(0, 1), (0, 2), (2, 3), (1, 3)]
    if name == "ordered_graph":
        pairs += [(v, u) for u, v in pairs]
    data = [sample(4, pairs), sample(1, []), sample(4, pairs)]
    for one in data:
        one.x, one.edge_attr = one.x.double(), torch.randn(one.num_edges, 2).double()
    batch = Batch.from_data_list(data)
    h = layer(batch.x, batch)
    assert_same(h, layer(batch.x, batch, executor="reference"))
    given = layer(batch.x, topology.plan(batch), edge_x=batch.edge_attr)
    assert h.equal(given)
    shuffle = torch.randperm(batch.num_edges)
    batch.edge_index, batch.edge_attr = batch.edge_index[:, shuffle], batch.edge_attr[shuffle]
    assert_same(layer(batch.x, batch), h)
    batch.edge_attr = batch.edge_attr.flip(0)
    assert not torch.allclose(layer(batch.x, batch), h)


@pytest.mark.parametrize("options", [{}, {"direction": "both"}])
def test_a_batch_is_planned_as_its_samples(options):
    data = [GOOD, sample(1, []), sample(3, [(2, 0), (2, 0)])]
    topology = graph_topology(**options)
    for joined, single in zip(
        topology.plan(Batch.from_data_list(data)), topology.plan(data), strict=True
    ):
        assert joined.order.equal(single.order) and joined.rows.equal(single.rows)
        assert joined.ptr.equal(single.ptr) and joined.steps == single.steps


def test_a_tree_of_data_is_planned_from_a_batch_as_well():
    data = [sample(3, [(1, 0), (2, 0)]), sample(2, [(1, 0)])]
    for arity in (2, None):
        topology = sn.topologies.create("tree", arity=arity, direction="both")
        for joined, single in zip(
            topology.plan(Batch.from_data_list(data)), topology.plan(data), strict=True
        ):
            assert joined.rows.equal(single.rows) and joined.ptr.equal(single.ptr)


def test_a_topology_of_ones_own_is_given_the_samples_one_by_one():
    class Starting(sn.Topology):
        arity = None
        num_initial = 1

        def predecessors(self, structure):
            return sn.Edges([[structure.num_nodes], [0]], structure.num_nodes)

    (plan,) = Starting().plan(Batch.from_data_list([GOOD, GOOD]))
    assert plan.num_initial == 2 and plan.rows[plan.rank[[0, 4]]].tolist() == [1, 2]


def with_fields(**fields):
    data = GOOD.clone()
    for name, value in fields.items():
        data[name] = value
    return data


def changed(field, at, value):
    data = GOOD.clone()
    data[field][at] = value
    return data


NAN, INF = float("nan"), float("inf")
BAD = {
    "edge_index must be integers, got float32 .0.0 at edge 0.": with_fields(
        edge_index=GOOD.edge_index.float()
    ),
    r"edge_index must be \(2, edges\), got an array of shape \(4, 2\)": with_fields(
        edge_index=GOOD.edge_index.T
    ),
    "edge_index has node 9 as the source of edge 2, but there are 4 nodes": changed(
        "edge_index", (0, 2), 9
    ),
    "edge_index has node -1 as the target of edge 0, but there are 4 nodes": changed(
        "edge_index", (1, 0), -1
    ),
    "num_nodes is missing.*set data.num_nodes": Data(edge_index=GOOD.edge_index),
    "x has 4 rows for 5 nodes": with_fields(num_nodes=5),
    "x is nan at node 2, column 1": changed("x", (2, 1), NAN),
    "x is -inf at node 3, column 0": changed("x", (3, 0), -INF),
    "edge_attr has 3 rows for 4 edges": with_fields(edge_attr=torch.zeros(3, 2)),
    r"x is sparse, .*; take x.to_dense\(\)": with_fields(x=torch.eye(4).to_sparse()),
    "edge_attr is inf at edge 1$": with_fields(edge_attr=torch.tensor([0, INF, 0, 0])),
}


@pytest.mark.parametrize("message", BAD)
def test_data_that_is_wrong_is_refused_with_sample_field_and_value(message):
    data = [GOOD, BAD[message]]
    with pytest.raises(ValueError, match="^sample 1: " + message):
        graph_topology().plan(data)
    with pytest.raises(ValueError, match="^sample 0: " + message):
        graph_topology().plan(BAD[message])
    layer = sn.Recurrence("graph", "lstm", 3, 4)
    try:
        batch = Batch.from_data_list([BAD[message]] * 2)
        x = batch.x
    except (RuntimeError, UserWarning):
        # What torch_geometric itself does not put together.
        return
    with pytest.raises(ValueError, match="^sample 0: " + message):
        layer(x, batch)


def test_an_edge_between_the_samples_of_a_batch_is_refused():
    batch = Batch.from_data_list([GOOD, GOOD, GOOD])
    batch.edge_index[1, 5] = 9
    with pytest.raises(ValueError, match=r"sample 1: edge_index has node 5 .* target of edge 1,"):
        graph_topology().plan(batch)
    # An edge that was added to the batch belongs to none of its samples.
    batch = Batch.from_data_list([GOOD, GOOD])
    batch.edge_index = torch.cat([batch.edge_index, torch.tensor([[1], [6]])], 1)
    message = "edge 8 of the batch leads from node 1 of sample 0 to node 2 of sample 1"
    with pytest.raises(ValueError, match=message):
        graph_topology().plan(batch)


def both_ways(data):
    return with_fields(edge_index=torch.cat([data.edge_index, data.edge_index.flip(0)], 1))


CYCLES = {
    "cycle in sample 1, node (0 -> 1 -> 2|1 -> 2 -> 0|2 -> 0 -> 1) -> .: [^;]*$": sample(
        3, [(0, 1), (1, 2), (2, 0)]
    ),
    "cycle in sample 1, node 2 -> 2: .*; for a graph, take .*remove_self_loops": sample(
        3, [(0, 1), (2, 2)]
    ),
    "cycle in sample 1, node .*both directions.*'ordered_graph'": both_ways(GOOD),
}


@pytest.mark.parametrize("message", CYCLES)
@pytest.mark.parametrize("together", [list, Batch.from_data_list])
def test_a_cycle_is_spelled_out_with_the_way_out(message, together):
    with pytest.raises(ValueError, match=message):
        graph_topology().plan(together([GOOD, CYCLES[message], GOOD]))


def test_what_is_no_graph_and_no_plan_is_refused():
    with pytest.raises(ValueError, match=r"sample 0: a graph is sn.Edges or .* got int"):
        graph_topology().plan([3])
    layer = sn.Recurrence("graph", "lstm", 3, 4)
    for plans, name in (([GOOD], "Data"), (Data(x=GOOD.x), "Data"), (ONE, "Edges")):
        with pytest.raises(ValueError, match=rf"`plan` makes, got a {name}: .* with edge_index"):
            layer(GOOD.x, plans)
    with pytest.raises(ValueError, match="'forward' or 'backward' or 'both', got 'up'"):
        graph_topology(direction="up")


@pytest.mark.parametrize("count", [2.5, -1])
@pytest.mark.parametrize("others", [0, 1])
def test_a_number_of_nodes_is_whole_and_not_negative(count, others):
    graphs = [sn.Edges([[0], [1]], 2)] * others + [sn.Edges(np.zeros((2, 0), int), count)]
    with pytest.raises(ValueError, match=f"sample {others}: num_nodes must be .*got {count}"):
        sn.topologies.create("graph").plan(graphs)


@pytest.mark.parametrize("arity", [None, 4])
@pytest.mark.parametrize("direction", ["up", "down", "both", "in_turn"])
def test_edges_of_trees_have_the_plans_of_their_child_tables(arity, direction):
    draw = np.random.default_rng(0)
    forest = [[-1, *(draw.integers(max(0, i - 3), i) for i in range(1, n))] for n in (1, 2, 9, 30)]
    topology = sn.topologies.create("tree", arity=arity, direction=direction)
    edges = [sn.Edges.of_parents(parent) for parent in [*forest, [-1, -1, 0, 1, 1]]]
    for one, other in zip(
        topology.plan(edges), topology.plan([one.table() for one in edges]), strict=True
    ):
        for name in ("order", "rank", "rows", "ptr"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert (one.levels, one.steps) == (other.levels, other.steps)


@pytest.mark.parametrize(
    ("edges", "what"),
    [
        ([[1, 2, 1], [0, 0, 2]], r"sample 1: node 1 is a child of nodes \[0, 2\]"),
        ([[1, 2, 3], [0, 0, 0]], "sample 1: node 0 has 3 children, the tree's arity is 2"),
        ([[1, 9], [0, 0]], "sample 1: .*9"),
        ([[1, 2], [2, 1]], "sample 1, .*cycle|cycle.* sample 1"),
    ],
)
def test_edges_that_are_no_tree_are_refused_with_their_node(edges, what):
    good = sn.Edges.of_parents([-1, 0, 0])
    with pytest.raises(ValueError, match=what):
        sn.topologies.create("tree").plan([good, sn.Edges(np.array(edges), 4)])
