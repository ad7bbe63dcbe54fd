"""Undirected graphs in an order of their nodes, and Graph LSTM on them."""

import networkx as nx
import numpy as np
import pytest
import torch
from conftest import (
    SEEDS,
    assert_same,
    everything,
    features,
    initial_states,
    randomise,
    recurrence,
    undirected,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.utils import to_undirected

import structnet as sn
from structnet.data.synthetic import SizeRange, draw
from structnet.nn.stack import Stack


def ordered(**options):
    return sn.topologies.create("ordered_graph", **options)


def path(size, score=None):
    """Nodes in a row."""
    edges = [(u, u + 1) for u in range(size - 1)]
    pairs = [*edges, *((v, u) for u, v in edges)]
    return sn.Edges(np.array(pairs, np.int64).reshape(-1, 2).T, size, score)


def neighbours_of(graph):
    """The neighbours of every node, as often as they are listed."""
    found = [[] for _ in range(graph.num_nodes)]
    for u, v in np.asarray(graph.index).T.tolist():
        found[v].append(u)
    return found


def places(graph, order):
    """When every node is visited, by the words of the topology's docstring."""
    if order == "id":
        return list(range(graph.num_nodes))
    if order == "score":
        visits = sorted(range(graph.num_nodes), key=lambda v: (-graph.score[v], v))
    else:
        links = nx.MultiGraph(zip(*np.asarray(graph.index).tolist(), strict=True))
        links.add_nodes_from(range(graph.num_nodes))
        depth = {}
        for part in nx.connected_components(links):
            hub = min(part, key=lambda v: (-links.degree(v), v))
            depth.update(nx.single_source_shortest_path_length(links, hub))
        visits = sorted(range(graph.num_nodes), key=lambda v: (depth[v], v))
    return [visits.index(v) for v in range(graph.num_nodes)]


@pytest.mark.parametrize("order", ["score", "breadth", "id"])
@pytest.mark.parametrize("unvisited", ["previous", "nothing"])
@given(graph=undirected())
def test_a_node_reads_who_was_visited_and_of_the_others_the_layer_below(order, unvisited, graph):
    topology = ordered(order=order, unvisited=unvisited, direction="both")
    place = places(graph, order)
    for direction, table in zip((1, -1), topology.predecessors(graph), strict=True):
        expected = [
            (u if direction * place[u] < direction * place[v] else
             -1 if unvisited == "nothing" else graph.num_nodes + u, v)
            for u, v in np.asarray(graph.index).T.tolist()
        ]  # fmt: skip
        assert np.asarray(table.index).T.tolist() == list(map(list, expected))


def test_nodes_that_do_not_wait_for_each_other_share_a_level():
    (by_id,) = ordered(order="id").plan([path(6)])
    assert by_id.level_sizes == (1,) * 6
    (by_score,) = ordered(order="score").plan([path(6, [1.0, 0, 1, 0, 1, 0])])
    assert by_score.level_sizes == (3, 3)
    assert by_score.order.tolist() == [0, 2, 4, 5, 1, 3]


@pytest.mark.parametrize("kind", ["uint8", "bool", "int64", "float32"])
def test_scores_of_any_type_are_visited_the_highest_first(kind):
    (plan,) = ordered(order="score", unvisited="nothing").plan([path(3, np.array([0, 1, 1], kind))])
    assert plan.rank.tolist() == [1, 0, 2]


# torch warns of more workers than cores, which other tests make one.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_a_random_order_is_drawn_anew_in_every_epoch_and_by_the_seed():
    samples = [sn.Sample(path(12), np.zeros((12, 1), np.float32), 0)] * 4

    def epochs(seed):
        batches = sn.loader(
            samples, ordered(order="random"), batch_size=2, shuffle=True, seed=seed, num_workers=2
        )
        for epoch in range(2):
            batches.batch_sampler.set_epoch(epoch)
            yield from [str(batch.plans[0].rows.tolist()) for batch in batches]

    drawn = list(epochs(5))
    assert len(set(drawn)) == 4
    assert list(epochs(5)) == drawn
    assert not set(epochs(6)) & set(drawn)


def graph_lstm_in_a_loop(cell, x, neighbours, place, below):
    """Liang et al. (2016), eq. 1 and 2, node by node; `below` are h and m of the layer below."""
    size = cell.hidden_size
    W, b = cell.input.weight.split(size), cell.input.bias.split(size)
    W, b = (dict(zip("uocf", parts, strict=True)) for parts in (W, b))
    U = dict.fromkeys("uocf", x.new_zeros(size, size))
    if cell.reads_own:
        U = dict(zip("uocf", cell.recurrent_own.T.split(size), strict=True))
    Un = dict(zip("uoc", cell.recurrent.T.split(size), strict=True))
    Uf_n = cell.recurrent_edge.T
    h, m = {}, {}
    for i in sorted(range(len(x)), key=lambda node: place[node]):
        of_h = [h[j] if j in h else below[0][j] for j in neighbours[i]]
        of_m = [m[j] if j in m else below[1][j] for j in neighbours[i]]
        mean = sum(of_h, x.new_zeros(size)) / max(len(of_h), 1)
        u, o, c = (W[g] @ x[i] + U[g] @ below[0][i] + Un[g] @ mean + b[g] for g in "uoc")
        g_own = torch.sigmoid(W["f"] @ x[i] + U["f"] @ below[0][i] + b["f"])
        m[i] = torch.sigmoid(u) * torch.tanh(c)
        if cell.reads_own:
            m[i] = m[i] + g_own * below[1][i]
        for h_j, m_j in zip(of_h, of_m, strict=True):
            gate = torch.sigmoid(W["f"] @ x[i] + Uf_n @ h_j + b["f"])
            m[i] = m[i] + gate * m_j / len(of_h)
        h[i] = torch.tanh(torch.sigmoid(o) * m[i])
    return [torch.stack([state[i] for i in range(len(x))]) for state in (h, m)]


def assert_equal_with_gradients(found, expected, inputs):
    assert_same(found.detach(), expected.detach())
    weight = torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad((value * weight).sum(), inputs, allow_unused=True)
        for value in (found, expected)
    )
    for value, one, other in zip(inputs, ours, theirs, strict=True):
        assert_same(*(torch.zeros_like(value) if g is None else g for g in (one, other)))


@pytest.mark.parametrize("own", [False, True])
@settings(max_examples=10)
@given(graph=undirected(), seed=SEEDS)
def test_two_layers_of_graph_lstm_are_the_papers_equations(own, graph, seed):
    topology = ordered(order="score")
    stack = Stack(lambda size: sn.Recurrence(topology, "graph_lstm", size, 4, own=own), 3, 2)
    randomise(stack.double(), seed)
    plans = topology.plan([graph])
    x = features(plans)
    neighbours, place = neighbours_of(graph), places(graph, "score")
    states = [x.new_zeros(len(x), 4)] * 2
    h = x
    for layer in stack.layers:
        states = graph_lstm_in_a_loop(layer.cells[0], h, neighbours, place, states)
        h = states[0]
    assert_equal_with_gradients(stack(x, plans), h, [x, *stack.parameters()])


def test_every_layer_has_the_states_of_the_one_below_in_its_own_direction():
    topology, graph = ordered(order="id", direction="both"), path(5)
    stack = Stack(lambda size: sn.Recurrence(topology, "graph_lstm", size, 4, own=True), 3, 2)
    randomise(stack.double())
    plans = topology.plan([graph])
    x = features(plans)
    below = [[x.new_zeros(5, 4)] * 2] * 2
    orders = range(5), range(5)[::-1]
    h = x
    for layer in stack.layers:
        below = [
            graph_lstm_in_a_loop(cell, h, neighbours_of(graph), place, states)
            for cell, place, states in zip(layer.cells, orders, below, strict=True)
        ]
        h = torch.cat([states[0] for states in below], 1)
    assert_equal_with_gradients(stack(x, plans), h, [x, *stack.parameters()])


@pytest.mark.parametrize(
    ("name", "structure"),
    [("bichain", 4), ("tree", [[1, 2], [-1, -1], [-1, -1]]), ("any_dag", [[], [0], [0, 1], [2]])],
)
def test_a_graph_lstm_takes_up_its_own_states_on_every_arity(name, structure):
    topology = sn.topologies.create(name)
    topology.num_initial = None
    plans = topology.plan([structure])
    layer = recurrence(topology, "graph_lstm", 3, 3, own=True)
    x, initial = features(plans), initial_states(layer, plans)
    for start in (None, initial):
        reference = everything(layer, x, plans, start, executor="reference")
        assert_same(everything(layer, x, plans, start), reference)
    assert (reference["gradient of initial 0"].abs() > 0).all()


def test_own_states_are_refused_where_a_topology_has_none():
    for topology in (sn.topologies.create("graph"), ordered(unvisited="nothing")):
        with pytest.raises(ValueError, match=r"own=false, or topology ordered_graph"):
            sn.Recurrence(topology, "graph_lstm", 3, 4, own=True)


@pytest.mark.parametrize("executor", ["batched", "compiled"])
@pytest.mark.parametrize("save", ["gates", "windows"])
def test_states_of_the_layer_below_enter_in_every_executor(traced, executor, save):
    topology = ordered(order="score")
    graphs = [
        path(5, [0, 2, 0, 1, 0.0]),
        sn.Edges(np.zeros((2, 0), np.int64), 1, [0.0]),
        path(3, [1.0, 0, 2]),
    ]
    plans = topology.plan(graphs)
    layer = recurrence(topology, "graph_lstm", own=True)
    x, initial = features(plans), initial_states(layer, plans)
    expected = everything(layer, x, plans, initial, "reference")
    assert plans[0].num_initial == 9
    assert (expected["gradient of initial 0"].abs().sum(1) > 0).all()
    layer.save = save
    assert_same(everything(layer, x, plans, initial, executor), expected)


@settings(max_examples=5)
@given(data=st.data())
def test_names_of_nodes_and_the_order_of_edges_change_nothing(data):
    graph = data.draw(undirected())
    # Scores of their own: ties would be broken by name.
    score = np.array(data.draw(st.permutations(range(graph.num_nodes))), np.float64)
    graph = graph._replace(score=score)
    names = np.array(data.draw(st.permutations(range(graph.num_nodes))))
    shuffle = data.draw(st.permutations(range(graph.index.shape[1])))
    renamed_score = np.empty_like(score)
    renamed_score[names] = score
    renamed = sn.Edges(names[graph.index][:, list(shuffle)], graph.num_nodes, renamed_score)
    topology = ordered(order="score", direction="both")
    layer = recurrence(topology, "graph_lstm")
    x = features(topology.plan([graph])).detach()
    moved = torch.empty_like(x)
    moved[names] = x
    assert_same(layer(moved, topology.plan([renamed]))[names], layer(x, topology.plan([graph])))


def test_a_batch_of_data_is_planned_as_its_samples():
    index = to_undirected(torch.tensor([[0, 1, 1, 3], [1, 2, 3, 4]]))
    data = [Data(edge_index=index, num_nodes=size, score=torch.rand(size)) for size in (5, 7, 6)]
    batch = next(iter(DataLoader(data, batch_size=3)))
    for order in ("score", "breadth", "id"):
        topology = ordered(order=order, direction="both")
        for joined, single in zip(topology.plan(batch), topology.plan(data), strict=True):
            assert joined.rows.equal(single.rows) and joined.ptr.equal(single.ptr)
            assert joined.steps == single.steps and joined.num_initial == 18


def test_graphs_to_measure_on_are_undirected_with_scores():
    (graph,) = draw(ordered(), SizeRange(50, 50), 1, seed=0)
    (plan,) = ordered(order="score").plan([graph])
    assert plan.num_nodes == plan.num_initial == 50


BOTH = [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (sn.Edges([[0, 1, 1], [1, 0, 2]], 3), "sample 1: edge 2, 1 -> 2, has no edge 2 -> 1 back; "
         "take torch_geometric.utils.to_undirected, or topology 'graph'"),
        (sn.Edges([[0, 0, 1], [1, 1, 0]], 2), "edge 0, 0 -> 1, .*2 times there and 1 back"),
        (sn.Edges([[0, 1, 1], [1, 0, 1]], 2), "sample 1: edge 2 leads from node 1 to itself.*"
         "take torch_geometric.utils.remove_self_loops"),
        (sn.Edges(BOTH, 2), "sample 1: order 'score' needs a score of every node.*order=breadth"),
        (sn.Edges(BOTH, 2, [1.0]), r"sample 1: score .* one number per node, \(2,\), got \(1,\)"),
        (sn.Edges(BOTH, 2, [1.0, np.nan]), "sample 1: score is nan at node 1"),
        (sn.Edges(BOTH, 2, ["a", "b"]), "sample 1: score must be numbers, got <U1 .a at node 0."),
    ],
)  # fmt: skip
def test_what_has_no_order_is_refused_with_the_way_out(graph, message):
    with pytest.raises(ValueError, match=message):
        ordered(order="score").plan([sn.Edges(BOTH, 2, [1.0, 2.0]), graph])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "depth"}, "'order' is .*'score'.* got 'depth'"),
        ({"unvisited": "zero"}, "'unvisited' is .*'previous'.* got 'zero'"),
        ({"direction": "up"}, "'forward' or 'backward' or 'both', got 'up'"),
    ],
)
def test_a_bad_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ordered(**options)
