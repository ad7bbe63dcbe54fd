"""Structures as they are given: parts of batches, odd Data, graphs of networkx, and wrong ones."""

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import assert_same, create_topologies
from torch_geometric.data import Batch, Data

import structnet as sn

OURS = [case for case in create_topologies() if case.values[0].takes != "dag"]
every_topology = pytest.mark.parametrize("topology", OURS)


def path(nodes, **more):
    index = torch.tensor([[i, i + 1] for i in range(nodes - 1)]).reshape(-1, 2).T.long()
    return Data(x=torch.randn(nodes, 3), edge_index=index, **more)


def both_ways(data):
    data = data.clone()
    data.edge_index = torch.cat([data.edge_index, data.edge_index.flip(0)], dim=1)
    return data


def parts():
    """Parts of a batch of four graphs: the nodes that are kept."""
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor([3, 1, 4, 2]))
    every = torch.arange(10)
    return {
        "without a graph": batch != 2,
        "without the first": batch != 0,
        "without the last node": every != 9,
        "without a node in the middle": every != 5,
        "of one graph": batch == 2,
        "of nothing": every < 0,
        "of everything": every >= 0,
    }


TREES = [{"arity": 2}, {"arity": None}, {"direction": "both"}]
GRAPHS = [("graph", {}), ("graph", {"direction": "both"}), ("ordered_graph", {}),
          ("ordered_graph", {"order": "id", "unvisited": "nothing"}),
          *(("tree", options) for options in TREES)]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), GRAPHS)
@pytest.mark.parametrize("part", parts())
def test_a_part_of_a_batch_has_the_bounds_of_its_nodes(name, options, part):
    topology = sn.topologies.create(name, **options)
    data = [path(nodes) for nodes in (3, 1, 4, 2)]
    if name == "ordered_graph":
        data = [both_ways(one) for one in data]
    mask = parts()[part]
    some = Batch.from_data_list(data).subgraph(mask)
    layer = sn.Recurrence(topology, "lstm", 3, 4)
    plan = topology.plan(some)[0]
    count = torch.bincount(some.batch, minlength=4)
    assert plan.ptr.diff().tolist() == count.tolist()
    edges = [
        sn.Edges(one.edge_index, one.num_nodes)
        for one, keep in zip(data, mask.split([3, 1, 4, 2]), strict=True)
        for one in [one.subgraph(keep)]
    ]
    if name == "tree":
        edges = [Data(edge_index=one.index, num_nodes=one.num_nodes) for one in edges]
    assert_same(layer(some.x, some), layer(some.x, topology.plan(edges)), 1e-6)
    assert len(topology.plan(Batch.from_data_list(data).index_select([2, 0]))[0].order) == 7


@pytest.mark.parametrize("name", ["graph", "tree"])
@pytest.mark.parametrize(
    "ptr",
    [[0, 2, 5], [0.0, 2.0, 4.0], [0, 3, 2, 4], [1, 2, 4], [], 4, [[0, 4]], [0, -1, 4]],
    ids=str,
)
def test_bounds_that_are_none_are_refused_by_name(name, ptr):
    data = path(4)
    data.ptr = torch.tensor(ptr)
    with pytest.raises(ValueError, match="ptr must be the bounds of the graphs' nodes"):
        sn.topologies.create(name).plan(data)
    data.batch = torch.tensor([0, 0, 1, 1])
    data.edge_index = data.edge_index[:, ::2]
    assert sn.topologies.create(name).plan(data)[0].ptr.tolist()[:3] == [0, 2, 4]


@pytest.mark.parametrize("batch", [[0, 1, 0, 1], [0, 0, 1], [0.0, 0, 1, 1], [-1, 0, 0, 0]], ids=str)
def test_a_batch_vector_that_is_none_is_refused_by_name(batch):
    data = path(4, ptr=torch.tensor([0, 2, 4]), batch=torch.tensor(batch))
    with pytest.raises(ValueError, match="batch must be the graph of every node"):
        sn.topologies.create("graph").plan(data)


def test_an_edge_out_of_a_part_is_named():
    data = Batch.from_data_list([path(3), path(2), path(2)]).subgraph(torch.arange(7) != 6)
    data.edge_index[1, 0] = 4
    with pytest.raises(ValueError, match="node 0 of sample 0 to node 1 of sample 1"):
        sn.topologies.create("graph").plan(data)


class OneByOne(sn.Topology):
    """Graphs that are not read side by side."""

    arity = None

    def predecessors(self, structure):
        return sn.Edges.of(structure)


def test_a_part_of_a_batch_is_refused_where_graphs_are_taken_one_by_one():
    some = Batch.from_data_list([path(3), path(2)])
    assert OneByOne().plan(some)[0].ptr.tolist() == [0, 3, 5]
    with pytest.raises(ValueError, match=r"ptr has other bounds than batch.*list of Data"):
        OneByOne().plan(some.subgraph(torch.arange(5) != 0))


@pytest.mark.parametrize("name", ["graph", "tree", "ordered_graph"])
@pytest.mark.parametrize("score", [torch.tensor([0.7]), 0.7, "high", [1, 2], torch.tensor(3)])
def test_a_score_of_a_graph_is_its_users(name, score):
    data = [both_ways(path(3)) if name == "ordered_graph" else path(3) for _ in range(2)]
    plain = sn.topologies.create(name).plan(Batch.from_data_list(data))[0]
    for one in data:
        one.score = score
    plan = sn.topologies.create(name).plan(Batch.from_data_list(data))[0]
    assert plan.rows.equal(plain.rows) and plan.ptr.equal(plain.ptr)
    assert sn.topologies.create(name).plan(data)[0].rows.equal(plain.rows)


def test_a_score_is_checked_where_it_is_the_order():
    topology = sn.topologies.create("ordered_graph", order="score")
    data = both_ways(path(3))
    data.score = torch.tensor([0.7])
    with pytest.raises(ValueError, match=r"score must be one number per node, \(3,\), got \(1,\)"):
        topology.plan(data)
    data.score = torch.tensor([0.0, float("nan"), 1.0])
    with pytest.raises(ValueError, match="score is nan at node 1"):
        topology.plan(data)


@pytest.mark.parametrize("name", ["graph", "tree", "ordered_graph"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bool, torch.int32])
def test_no_edges_have_any_type(name, kind):
    data = [Data(x=torch.randn(2, 3), edge_index=torch.zeros(2, 0, dtype=kind)) for _ in range(2)]
    data.insert(1, Data(x=torch.randn(0, 3), edge_index=torch.zeros(2, 0, dtype=kind)))
    topology = sn.topologies.create(name)
    (plan,), (by_one,) = topology.plan(Batch.from_data_list(data)), topology.plan(data)
    assert plan.ptr.tolist() == by_one.ptr.tolist() == [0, 2, 2, 4]
    assert plan.level_sizes == (4,)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.tensor(3.0), "x has no rows for 3 nodes"),
        (["a", "b", "c"], "x must be numbers, got a list"),
        (torch.zeros(2, 1), "x has 2 rows for 3 nodes"),
        (torch.eye(3).to_sparse(), "x is sparse"),
    ],
)
def test_features_that_are_none_are_refused_by_name(x, message):
    data = path(3)
    data.x = x
    data.num_nodes = 3
    with pytest.raises(ValueError, match=message):
        sn.topologies.create("graph").plan([data])


def test_graphs_of_networkx_are_taken_as_they_are():
    graph = nx.DiGraph([("a", "c"), ("b", "c"), ("c", "d")])
    graph.add_node("alone")
    index, expected = [[0, 2, 1], [1, 1, 3]], sn.Edges.of(graph)
    assert expected.num_nodes == 5 and list(graph) == ["a", "c", "b", "d", "alone"]
    assert sorted(zip(*expected.index.tolist(), strict=True)) == [(0, 1), (1, 3), (2, 1)]
    layer = sn.Recurrence("graph", "lstm", 2, 3)
    x = torch.randn(5, 2)
    plans = layer.topology.plan([sn.Edges(expected.index, 5)])
    for given in (graph, layer.topology.plan([graph]), layer.topology.plan(graph)):
        assert_same(layer(x, given), layer(x, plans))
    tree = nx.DiGraph([(1, 0), (2, 0)])
    assert sn.topologies.create("tree").plan(tree)[0].level_sizes == (2, 1)
    assert len(index) == 2


def test_a_graph_of_networkx_without_direction_has_its_edges_both_ways():
    graph = nx.Graph([(0, 1), (1, 2)])
    nx.set_node_attributes(graph, {0: 3.0, 1: 1.0, 2: 2.0}, "score")
    topology = sn.topologies.create("ordered_graph", order="score", unvisited="nothing")
    (plan,) = topology.plan([graph])
    assert plan.level_sizes == (2, 1)
    assert sn.topologies.create("ordered_graph").plan([graph, nx.path_graph(4)])[0].num_nodes == 7
    with pytest.raises(ValueError, match=r"cycle.*undirected"):
        sn.topologies.create("graph").plan([graph])


WRONG = [3, 3.0, "text", None, {"a": 1}, [3.0], ["text"], [None], [[3.0]], [Ellipsis], [{}],
         [[[1, 2], [3]]], [(2.0, 3)], [(0, 4)], [()]]  # fmt: skip


@every_topology
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_is_no_structure_is_refused_in_words(topology, wrong):
    with pytest.raises(ValueError) as caught:
        topology.plan(wrong)
    said = str(caught.value)
    assert "\n" not in said
    for raw in ("object is not", "cannot be interpreted", "has no attribute", "not subscriptable"):
        assert raw not in said, said


@pytest.mark.parametrize(
    ("name", "structures", "message"),
    [
        ("chain", 3, r"structures must be a list with one per sample, got int 3; .* list of it"),
        ("chain", [3.0], "a sequence is its length, a whole number of steps from 1 on, got 3.0"),
        ("diagonal", (3, 4), r"a grid has 2 sizes, \(height, width\), whole numbers .* got 3"),
        ("tree", [[[1, 2], [3]]], "an integer table .* all rows of the same length"),
        (
            "graph",
            [[0, 1]],
            "a graph is sn.Edges or .* or a networkx graph, or a mapping with edge_index, got list",
        ),
        ("chain", [nx.DiGraph()], "Chain takes a sequence, got a networkx DiGraph"),
    ],
)
def test_the_error_names_what_is_wanted(name, structures, message):
    with pytest.raises(ValueError, match=message):
        sn.topologies.create(name).plan(structures)


def test_a_batch_may_be_any_sequence():
    topology = sn.topologies.create("chain")
    expected = topology.plan([3, 2])[0].rows
    for given in ((3, 2), np.array([3, 2]), torch.tensor([3, 2]), iter([3, 2])):
        assert topology.plan(given)[0].rows.equal(expected)


def test_an_input_of_integers_is_refused_in_words():
    layer = sn.Recurrence("chain", "lstm", 2, 3)
    for x in (torch.ones(3, 2).long(), np.ones((3, 2)), [[1.0, 2.0]] * 3):
        with pytest.raises(ValueError, match="x is a tensor of floating-point numbers, got"):
            layer(x, layer.topology.plan([3]))
