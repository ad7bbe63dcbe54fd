"""Nets of papers on graphs are compositions of options: against loops over their equations."""

import functools

import numpy as np
import torch
from conftest import assert_same, randomise, recurrence

import structnet as sn
from structnet.config.composing import compose
from structnet.registry import topologies

SIZE = 4
# Node ids in no topological order; the second graph has two sources and two sinks.
GRAPHS = [
    (5, [[4, 2], [2, 0], [4, 0], [0, 3], [2, 3], [3, 1]], [4, 2, 0, 3, 1]),
    (4, [[3, 0], [1, 0], [3, 2]], [3, 1, 0, 2]),
]
DAGNN = "topology=graph topology.direction=both cell=gru cell.aggregate=attention net.apart=true \
net.skip=dense net.num_layers=2 readout=root readout.pool=max"
DVAE = "topology=graph topology.direction=both cell=gru cell.aggregate=gated net.apart=true \
readout=root"


def composed(words):
    """The net that the command line names, on features, and a batch of the graphs."""
    config = compose(words.split())
    parts = {group: {k: v for k, v in config[group].items() if k != "name"}
             for group in ("topology", "cell", "readout", "net")}  # fmt: skip
    topology = topologies.create(config["topology"]["name"], **parts["topology"])
    net = sn.nets.create(
        config["net"]["name"],
        sn.Sizes(None, 3, 2),
        topology,
        functools.partial(sn.cells.create, config["cell"]["name"], **parts["cell"]),
        functools.partial(sn.readouts.create, config["readout"]["name"], **parts["readout"]),
        **{**parts["net"], "hidden_size": SIZE},
    )
    rng = np.random.default_rng(0)
    samples = [
        sn.Sample(sn.Edges(np.array(edges).T, count), rng.normal(size=(count, 3)), 0)
        for count, edges, _ in GRAPHS
    ]
    return randomise(net.double()).eval(), sn.collate(samples, topology)


def gru_cell(cell, x, h):
    bias = torch.cat([torch.zeros(2 * SIZE).double(), cell.candidate_bias])
    weights = (cell.input.weight, cell.recurrent.T, cell.input.bias, bias)
    return torch.gru_cell(x[None], h[None], *weights)[0]


def attention(cell, x, before):
    """Thost and Chen (2021): the query of the node itself is in the scores, to no effect."""
    query = x.sum()
    weights = [(query + h @ cell.pool.score).exp() for h in before]
    return sum(w * h for w, h in zip(weights, before, strict=True)) / sum(weights)


def gated_sum(cell, x, before):
    """Zhang et al. (2019), eq. 5."""
    pool = cell.pool
    return sum(torch.sigmoid(h @ pool.recurrent_gate + pool.bias) * (h @ pool.recurrent_map)
               for h in before)  # fmt: skip


def passes(net, x, edges, order, message):
    """Every direction's layers on one graph: the input, then the states of each layer."""
    for stack, backward in zip(net.stack.stacks, (False, True), strict=True):
        pairs = [(v, u) for u, v in edges] if backward else edges
        below = [x]
        for layer in stack.layers:
            (cell,), h = layer.cells, {}
            # skip=dense puts what is above before what is below.
            given = torch.cat(below[::-1], 1)
            for v in order[::-1] if backward else order:
                before = [h[u] for u, target in pairs if target == v]
                zero = torch.zeros(SIZE, dtype=torch.float64)
                h[v] = gru_cell(cell, given[v], message(cell, given[v], before) if before else zero)
            below.append(torch.stack([h[v] for v in range(len(x))]))
        yield below, sorted(set(range(len(x))) - {u for u, _ in pairs})


def scores(net, batch, message, pool, dense):
    rows = []
    parts = batch.x.split(batch.ptr.diff().tolist())
    for x, (_, edges, order) in zip(parts, GRAPHS, strict=True):
        read = [
            pool(torch.cat(below[::-1] if dense else below[-1:], 1)[ends])
            for below, ends in passes(net, x, edges, order, message)
        ]
        rows.append(net.head(torch.cat(read)))
    return torch.stack(rows)


def assert_is(net, batch, expected):
    found = net(batch)
    assert_same(found.detach(), expected.detach())
    weight, inputs = torch.randn_like(found), list(net.parameters())
    assert_same(*(
        list(torch.autograd.grad((one * weight).sum(), inputs, materialize_grads=True))
        for one in (found, expected)
    ))  # fmt: skip


def test_the_command_line_of_dagnn_is_its_equations():
    """Two passes of attention and GRU; the maximum of all layers over sinks and over sources."""
    net, batch = composed(DAGNN)
    assert_is(net, batch, scores(net, batch, attention, lambda rows: rows.amax(0), dense=True))


def test_the_command_line_of_d_vaes_encoder_is_its_equations():
    net, batch = composed(DVAE)
    assert_is(net, batch, scores(net, batch, gated_sum, lambda rows: rows.mean(0), dense=False))


def test_a_graph_lstm_of_two_dags_is_a_loop_over_its_equations():
    """Peng et al. (2017), eq. of section 3.2, the kind of an edge shifting its forget gate."""
    options = {"order": "id", "unvisited": "nothing", "direction": "both"}
    topology = sn.topologies.create("ordered_graph", **options)
    # Words beside each other, and two dependencies; there and back are of different kinds.
    index = np.array([[0, 1, 1, 2, 2, 3, 3, 0, 0, 2], [1, 0, 2, 1, 3, 2, 0, 3, 2, 0]])
    kinds = [0, 1, 0, 1, 0, 1, 2, 3, 2, 3]
    layer = recurrence(topology, "lstm", 3, SIZE, edge_size=4)
    plans = topology.plan([sn.Edges(index, 4), sn.Edges(index[:, :2], 2)])
    x = torch.randn(6, 3, dtype=torch.float64, requires_grad=True)
    edge_x = torch.eye(4, dtype=torch.float64)[kinds + kinds[:2]]
    outputs = []
    for cell, projection, order in zip(layer.cells, layer.edges, (1, -1), strict=True):
        U_i, U_o, U_u = cell.recurrent.split(SIZE, 1)
        h, c = {}, {}
        for t in list(range(6))[::order]:
            first = 0 if t < 4 else 4
            edges = index if t < 4 else index[:, :2]
            before = [
                (int(u) + first, projection.weight[:, kind])
                for u, v, kind in zip(*edges, kinds[: edges.shape[1]], strict=True)
                if v + first == t and (u < v) == (order > 0)
            ]
            i, o, u, f = (cell.input.weight @ x[t] + cell.input.bias).chunk(4)
            i = torch.sigmoid(i + sum(h[j] @ U_i for j, _ in before))
            o = torch.sigmoid(o + sum(h[j] @ U_o for j, _ in before))
            c[t] = i * torch.tanh(u + sum(h[j] @ U_u for j, _ in before))
            for j, b in before:
                c[t] = c[t] + torch.sigmoid(f + h[j] @ cell.recurrent_edge + b) * c[j]
            h[t] = o * torch.tanh(c[t])
        outputs.append(torch.stack([h[t] for t in range(6)]))
    found, expected = layer(x, plans, edge_x=edge_x), torch.cat(outputs, 1)
    assert_same(found.detach(), expected.detach())
    weight, inputs = torch.randn_like(found), [x, *layer.parameters()]
    assert_same(*(list(torch.autograd.grad((h * weight).sum(), inputs)) for h in (found, expected)))


def test_directions_apart_see_nothing_of_each_other():
    net, batch = composed(DAGNN)
    x = batch.x.requires_grad_()
    h = net.stack(x, batch.plans)
    forward, backward = h.chunk(2, 1)
    # Node 4 is the first graph's source, node 1 its sink.
    for part, node in ((forward, 4), (backward, 1)):
        (grad,) = torch.autograd.grad(part[node].sum(), x, retain_graph=True)
        assert grad.abs().sum(1).nonzero()[:, 0].tolist() == [node]
    (layer, *_), topology = net.layers, sn.topologies.create("graph", direction="both")
    assert layer.directions == ("forward",) and len(net.layers) == 4
    assert len(net.layers) == len(topology.directions) * 2
