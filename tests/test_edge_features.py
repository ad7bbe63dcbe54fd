"""Features of edges enter the gates that come once per predecessor."""

import numpy as np
import pytest
import torch
from conftest import assert_same, randomise, recurrence
from torch_geometric.data import Batch, Data

import structnet as sn
from structnet.diagnosis.gradients import diagnose

# Parallel edges, a hub and nodes without edges; ids and edges in no topological order.
INDEX = np.array([[5, 1, 0, 0, 3, 1, 2, 0, 5], [0, 2, 1, 2, 4, 2, 3, 4, 4]])
SAMPLES = [sn.Edges(INDEX, 7), sn.Edges(np.zeros((2, 0), int), 1), sn.Edges(INDEX[:, ::-1], 6)]
ORDER = [[5, 6, 0, 1, 2, 3, 4], [0], [5, 0, 1, 2, 3, 4]]
SIZE = 4


def graph(direction="forward"):
    return sn.topologies.create("graph", direction=direction)


def inputs(plans, edge_size=2):
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    return draw(plans[0].num_nodes, 3), draw(plans[0].num_edges, edge_size)


def layer_of(direction, cell, **options):
    layer = recurrence(graph(direction), cell, 3, SIZE, edge_size=2, **options)
    return layer, graph(direction).plan(SAMPLES)


def lstm(cell, x, before):
    """Tai et al. (2015), eq. 2-8, with V e of the edge in every forget gate."""
    i, o, u, f = cell.project(x[None])[0].chunk(4)
    total = sum((h for (h, _), _ in before), x.new_zeros(SIZE))
    i_h, o_h, u_h = (total @ cell.recurrent).chunk(3)
    c = torch.sigmoid(i + i_h) * torch.tanh(u + u_h)
    for (h_k, c_k), e in before:
        c = c + torch.sigmoid(f + h_k @ cell.recurrent_edge + e) * c_k
    return torch.sigmoid(o + o_h) * torch.tanh(c), c


def graph_lstm(cell, x, before):
    """Liang et al. (2016), eq. 1-2, with V e of the edge in every forget gate."""
    u, o, c, f = cell.project(x[None])[0].chunk(4)
    count = max(1, len(before))
    mean = sum((h for (h, _), _ in before), x.new_zeros(SIZE)) / count
    u_h, o_h, c_h = (mean @ cell.recurrent).chunk(3)
    m = torch.sigmoid(u + u_h) * torch.tanh(c + c_h)
    for (h_k, m_k), e in before:
        m = m + torch.sigmoid(f + h_k @ cell.recurrent_edge + e) * m_k / count
    return torch.tanh(torch.sigmoid(o + o_h) * m), m


def gru(cell, x, before):
    """Thost and Chen (2021), with a term of the edge in the scores of the attention."""
    r, u, n = cell.project(x[None])[0].chunk(3)
    weights = [(h @ cell.pool.score + e).exp() for (h,), e in before]
    total = sum(weights) if before else 1
    h = sum((w * one[0] for w, (one, _) in zip(weights, before, strict=True)), x.new_zeros(SIZE))
    h = h / total
    r_h, u_h, n_h = (h @ cell.recurrent).chunk(3)
    r, u = torch.sigmoid(r + r_h), torch.sigmoid(u + u_h)
    return ((1 - u) * torch.tanh(n + r * (n_h + cell.candidate_bias)) + u * h,)


CELLS = {
    "lstm": (lstm, {}),
    "graph_lstm": (graph_lstm, {}),
    "gru": (gru, {"aggregate": "attention"}),
}


def in_a_loop(layer, step, x, edge_x):
    """The outputs (N, directions * H), a node and an edge at a time."""
    outputs = []
    for direction, name in enumerate(layer.directions):
        cell, terms = layer.cells[direction], edge_x @ layer.edges[direction].weight.T
        first_node, first_edge, h = 0, 0, []
        for sample, order in zip(SAMPLES, ORDER, strict=True):
            index = sample.index if name == "forward" else sample.index[::-1]
            states = {}
            for v in order if name == "forward" else order[::-1]:
                before = [
                    (states[u], terms[first_edge + e])
                    for e, (u, w) in enumerate(index.T.tolist())
                    if w == v
                ]
                states[v] = step(cell, x[first_node + v], before)
            h += [states[v][0] for v in range(sample.num_nodes)]
            first_node, first_edge = first_node + sample.num_nodes, first_edge + index.shape[1]
        outputs.append(torch.stack(h))
    return torch.cat(outputs, 1)


def outcome(h, leaves):
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(h.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad((h * weight).sum(), leaves, materialize_grads=True)
    return [h.detach(), *found]


@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize("cell", CELLS)
def test_edge_features_enter_as_in_a_loop_over_the_edges(cell, direction):
    step, options = CELLS[cell]
    layer, plans = layer_of(direction, cell, **options)
    x, edge_x = inputs(plans)
    leaves = (x, edge_x, *layer.parameters())
    expected = outcome(in_a_loop(layer, step, x, edge_x), leaves)
    for executor in ("auto", "batched", "reference"):
        found = outcome(layer(x, plans, edge_x=edge_x, executor=executor), leaves)
        assert_same(found, expected)


@pytest.mark.parametrize(
    "options",
    [
        {"truncate": 2},
        {"recurrent_dropout": 0.4, "zoneout": 0.3, "weight_drop": 0.3},
        {"layer_norm": True, "aggregate": "attention"},
        {"diagonal": True, "coupled": True},
    ],
    ids=str,
)
def test_edge_features_go_with_other_options(options):
    layer, plans = layer_of("both", "lstm", **options)
    x, edge_x = inputs(plans)
    leaves, found = (x, edge_x, *layer.parameters()), []
    for executor in ("batched", "reference"):
        torch.manual_seed(0)
        found.append(outcome(layer(x, plans, edge_x=edge_x, executor=executor), leaves))
    assert_same(*found)


def test_zeros_for_edge_features_are_none():
    layer, plans = layer_of("both", "lstm")
    plain = recurrence(graph("both"), "lstm", 3, SIZE)
    plain.load_state_dict({k: v for k, v in layer.state_dict().items() if "edges" not in k})
    x, edge_x = inputs(plans)
    found = layer(x, plans, edge_x=torch.zeros_like(edge_x))
    assert_same(found.detach(), plain(x, plans).detach())


class FromOutside(sn.Topology):
    """Every node reads its own initial state, and the one before."""

    arity = None
    num_initial = 3

    def predecessors(self, structure):
        return sn.Edges(np.array([[3, 4, 5, 0, 1], [0, 1, 2, 1, 2]]), 3)


@pytest.mark.parametrize("given", [False, True])
def test_edges_from_initial_states_have_features_too(given):
    topology = FromOutside()
    layer = recurrence(topology, "lstm", 3, SIZE, edge_size=2, coupled=True)
    plans = topology.plan([None, None])
    x, edge_x = inputs(plans)
    initial = None
    if given:
        initial = [torch.randn(6, SIZE, dtype=torch.float64).requires_grad_() for _ in range(2)]
    leaves = (x, edge_x, *layer.parameters(), *(initial or ()))
    found = [
        outcome(layer(x, plans, edge_x=edge_x, initial=initial, executor=name), leaves)
        for name in ("batched", "reference")
    ]
    assert_same(*found)


def test_a_plan_says_which_edge_stands_where():
    forward, backward = graph("both").plan(SAMPLES)
    index = np.concatenate([INDEX, INDEX[:, ::-1] + 8], 1)
    for plan, (source, _) in ((forward, index), (backward, index[::-1])):
        assert plan.num_edges == 18
        known = plan.edges < 18
        assert torch.equal(known, plan.rows > 0)
        assert sorted(plan.edges[known].tolist()) == list(range(18))
        feeding = plan.order[plan.rows[known] - 1]
        assert feeding.tolist() == source[plan.edges[known].numpy()].tolist()
    moved = forward.to("meta")
    assert moved.edges.is_meta and moved.num_edges == 18
    assert sn.topologies.create("tree").plan([[[-1, -1]]])[0].edges is None


def test_an_edge_from_nobody_is_not_read():
    plan = sn.schedule([[0, -1, 0], [1, 1, 2]], num_nodes=3)
    assert plan.num_edges == 3 and plan.edges.tolist() == [3, 0, 2]
    assert plan.rows.tolist() == [0, 1, 1]


def test_samples_put_their_edge_features_together():
    rng = np.random.default_rng(0)
    samples = [
        sn.Sample(one, rng.normal(size=(one.num_nodes, 3)), 0,
                  edge_x=rng.normal(size=(one.index.shape[1], 2)))
        for one in SAMPLES
    ]  # fmt: skip
    batch = sn.collate(samples, graph()).to("cpu")
    assert torch.equal(batch.edge_x, torch.from_numpy(np.concatenate([s.edge_x for s in samples])))
    assert sn.collate([sn.Sample(SAMPLES[0], np.zeros((7, 1)), 0)], graph()).edge_x is None
    bare = [samples[0], sn.Sample(SAMPLES[1], np.zeros((1, 3)), 0)]
    with pytest.raises(ValueError, match="sample 1 of the batch has no edge_x, but others have"):
        sn.collate(bare, graph())
    short = sn.Sample(SAMPLES[2], np.zeros((6, 3)), 0, edge_x=np.zeros((8, 2)))
    with pytest.raises(ValueError, match=r"sample 1 .* edge_x of 8 rows, .* has 9 edges"):
        sn.collate([samples[0], short], graph())


def net_of(cell, edges=True, edge_size=2, **options):
    sizes = sn.Sizes(None, 3, 2, edge_size=edge_size)
    net = sn.nets.create(
        "stack", sizes, graph("both"), lambda *sizes: sn.cells.create(cell, *sizes),
        lambda *sizes: sn.readouts.create("root", *sizes), hidden_size=SIZE, edges=edges, **options,
    )  # fmt: skip
    return randomise(net.double()).eval()


def batch_of():
    rng = np.random.default_rng(0)
    samples = [
        sn.Sample(one, rng.normal(size=(one.num_nodes, 3)), 0,
                  edge_x=rng.normal(size=(one.index.shape[1], 2)))
        for one in SAMPLES
    ]  # fmt: skip
    return sn.collate(samples, graph("both"))


def test_a_net_reads_its_tasks_edge_features_unless_told_not_to():
    batch = batch_of()
    net = net_of("lstm", num_layers=2)
    h = batch.x
    for layer in net.layers:
        h = layer(h, batch.plans, edge_x=batch.edge_x)
    assert_same(net(batch).detach(), net.head(net.readout(h, batch)).detach())
    assert net_of("gru", edges=False)(batch).shape == (3, 2)
    with pytest.raises(ValueError, match=r"GRU has none; take cell 'lstm' .*net.edges=false"):
        net_of("gru")
    with pytest.raises(ValueError, match=r"give edge_x \(edges, 2\)"):
        net(sn.collate([sn.Sample(SAMPLES[1], np.zeros((1, 3)), 0)], graph("both")))


def test_a_net_with_edge_features_is_diagnosed():
    found = diagnose(net_of("lstm"), batch_of())
    assert len(found) == 2


class Deaf(sn.Cell):
    """Declares edge gates, and asks for none of them."""

    edge_gates = ("f",)

    def forward(self, z, h):
        return z.tanh() + h.sum(1)


@pytest.mark.parametrize(
    ("topology", "cell", "options", "message"),
    [
        ("graph", "gru", {}, "GRU has none; take cell 'lstm' or 'graph_lstm', an option aggregate"),
        ("graph", "sru", {}, "SRU has none"),
        ("tree", "lstm", {}, "LSTM has 2 ordered slots here; take a topology such as 'graph'"),
        ("graph", "lstm", {"executor": "compiled"}, "'compiled' takes no edge .* executor='auto'"),
        ("graph", "lstm", {"save": "recompute"}, "'windows', got 'recompute'"),
        ("graph", "lstm", {"edge_size": 0}, "edge_size is at least 1, got 0"),
    ],
)
def test_edge_features_that_cannot_enter_are_refused(topology, cell, options, message):
    with pytest.raises(ValueError, match=message):
        sn.Recurrence(topology, cell, 3, 4, **{"edge_size": 2, **options})


def test_edge_features_that_do_not_fit_are_refused():
    layer, plans = layer_of("forward", "lstm")
    x, edge_x = inputs(plans)
    with pytest.raises(ValueError, match=r"edge_x is \(edges, edge_size\) = \(18, 2\), got \(17,"):
        layer(x, plans, edge_x=edge_x[1:])
    with pytest.raises(ValueError, match=r"give edge_x \(edges, 2\), or make it without edge_size"):
        layer(x, plans)
    with pytest.raises(ValueError, match="make it with edge_size=D, or leave edge_x out"):
        recurrence(graph(), "lstm")(x, plans, edge_x=edge_x)
    with pytest.raises(ValueError, match="'scan' takes no edge features"):
        layer(x, plans, edge_x=edge_x, executor="scan")
    table = sn.schedule(np.full((14, 1), -1))
    with pytest.raises(ValueError, match="a plan of ordered slots has no edges"):
        layer(x, [table], edge_x=edge_x[:0])
    deaf = recurrence(graph(), Deaf, 3, SIZE, edge_size=2)
    with pytest.raises(ValueError, match="Deaf takes no edge features, as it calls neither"):
        deaf(x, plans, edge_x=edge_x)


def test_a_batch_of_pyg_gives_its_edge_attr():
    data = []
    for one in SAMPLES:
        index = torch.from_numpy(np.ascontiguousarray(one.index)).long()
        edge_attr = torch.randn(index.shape[1], 2, dtype=torch.float64)
        data.append(Data(edge_index=index, num_nodes=one.num_nodes, edge_attr=edge_attr))
    batch = Batch.from_data_list(data)
    layer, plans = layer_of("both", "lstm")
    x, _ = inputs(plans)
    expected = layer(x, plans, edge_x=batch.edge_attr)
    assert_same(layer(x, batch).detach(), expected.detach())
    del batch.edge_attr
    with pytest.raises(ValueError, match=r"give edge_x \(edges, 2\)"):
        layer(x, batch)


def test_an_ordered_graph_reads_the_features_of_edges_from_every_neighbour():
    index = np.array([[0, 1, 1, 2, 2, 0, 3, 0], [1, 0, 2, 1, 0, 2, 0, 3]])
    topology = sn.topologies.create("ordered_graph", order="id")
    plans = topology.plan([sn.Edges(index, 4), sn.Edges(index, 5)])
    layer = recurrence(topology, "graph_lstm", 3, SIZE, edge_size=2)
    x, edge_x = inputs(plans)
    assert len(edge_x) == 16
    _, states = layer(x, plans, edge_x=edge_x, return_states=True)
    for initial in (None, [state.detach().requires_grad_() for state in states]):
        leaves, found = (x, edge_x, *layer.parameters(), *(initial or ())), []
        for executor in ("batched", "reference"):
            h = layer(x, plans, edge_x=edge_x, initial=initial, executor=executor)
            found.append(outcome(h, leaves))
        assert_same(*found)
    # With states for all neighbours every edge has its say.
    assert (found[0][2] != 0).any(1).all()


@pytest.mark.parametrize("cell", ["lstm", "slstm", "graph_lstm"])
def test_graphs_without_an_edge_have_no_features_of_edges(cell):
    layer = sn.Recurrence("graph", cell, 3, 4, edge_size=2)
    plans = layer.topology.plan([sn.Edges(np.zeros((2, 0), np.int64), 3)])
    x, none = torch.randn(3, 3), torch.randn(0, 2)
    found, expected = (
        layer(x, plans, edge_x=none, executor=executor) for executor in ("auto", "reference")
    )
    assert torch.allclose(found, expected)
