"""Aggregates of unordered predecessors: in plain formulas, and on every executor."""

import pytest
import torch
from conftest import assert_same, everything, features, recurrence
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import structnet as sn
from structnet.cell.aggregate import AGGREGATES

# Nodes without predecessors, parallel edges and a hub, ids in no topological order.
DAG = [[[5], [0], [0, 1, 1], [2], [2, 3, 0], []], [[]]]
BEFORE, ORDER = [*DAG[0], []], [5, 0, 1, 2, 3, 4, 6]
every_aggregate = pytest.mark.parametrize("aggregate", AGGREGATES)


def aggregated(cell, name, h):
    """One row of the predecessors' outputs, a list."""
    if not h:
        return torch.zeros(cell.output_size, dtype=torch.float64)
    match name:
        case "sum":
            return sum(h)
        case "mean":
            return sum(h) / len(h)
        case "max":
            return torch.stack([max(column) for column in torch.stack(h).T])
        case "attention":
            weights = [(one @ cell.pool.score).exp() for one in h]
            return sum(w * one for w, one in zip(weights, h, strict=True)) / sum(weights)
        case "gated":
            gate, bias, mapping = cell.pool.recurrent_gate, cell.pool.bias, cell.pool.recurrent_map
            return sum(torch.sigmoid(one @ gate + bias) * (one @ mapping) for one in h)
    raise AssertionError(name)


def elman(cell, x, h, before):
    return (torch.tanh(x + h @ cell.recurrent),)


def gru(cell, x, h, before):
    """Thost and Chen (2021), Zhang et al. (2019): torch's GRU cell, the aggregate its state."""
    weight = torch.eye(len(x), dtype=torch.float64)
    bias = torch.cat([torch.zeros(2 * len(h)).double(), cell.candidate_bias])
    # torch has the gate that keeps the state second, as we have.
    args = (x[None], h[None], weight, cell.recurrent.T, torch.zeros_like(x), bias)
    return (torch.gru_cell(*args)[0],)


def gru_before(cell, x, h, before):
    r, u, n = x.chunk(3)
    r_h, u_h = (h @ cell.recurrent).chunk(2)
    r, u = torch.sigmoid(r + r_h), torch.sigmoid(u + u_h)
    return ((1 - u) * torch.tanh(n + (r * h) @ cell.recurrent_candidate) + u * h,)


def mgu(cell, x, h, before):
    f, n = x.chunk(2)
    f = torch.sigmoid(f + h @ cell.recurrent)
    return ((1 - f) * h + f * torch.tanh(n + (f * h) @ cell.recurrent_candidate),)


def lstm(cell, x, h, before):
    i, o, u, f = x.chunk(4)
    i_h, o_h, u_h = (h @ cell.recurrent).chunk(3)
    c = torch.sigmoid(i + i_h) * torch.tanh(u + u_h)
    c = c + sum(torch.sigmoid(f + h_k @ cell.recurrent_edge) * c_k for h_k, c_k in before)
    return torch.sigmoid(o + o_h) * torch.tanh(c), c


def graph_lstm(cell, x, h, before):
    u, o, c, f = x.chunk(4)
    u_h, o_h, c_h = (h @ cell.recurrent).chunk(3)
    m = torch.sigmoid(u + u_h) * torch.tanh(c + c_h)
    kept = [torch.sigmoid(f + h_k @ cell.recurrent_edge) * m_k for h_k, m_k in before]
    m = m + (sum(kept) / len(kept) if kept else 0)
    return torch.tanh(torch.sigmoid(o + o_h) * m), m


STEPS = {
    ("elman", None): elman,
    ("gru", None): gru,
    ("gru", "before"): gru_before,
    ("mgu", None): mgu,
    ("lstm", None): lstm,
    ("graph_lstm", None): graph_lstm,
}


def built(cell, reset, aggregate, **options):
    options.update({"reset": reset} if reset else {}, aggregate=aggregate)
    topology = sn.topologies.create("any_dag")
    return recurrence(topology, cell, **options), topology.plan(DAG)


def in_a_loop(layer, step, aggregate, x):
    (cell,), states = layer.cells, {}
    for node in ORDER:
        before = [states[k] for k in BEFORE[node]]
        h = aggregated(cell, aggregate, [one[0] for one in before])
        states[node] = step(cell, cell.project(x[node][None])[0], h, before)
    return [torch.stack([states[v][s] for v in range(len(x))]) for s in range(len(cell.states))]


def gradients(states, inputs):
    generator = torch.Generator().manual_seed(3)
    loss = sum((s * torch.randn(s.shape, generator=generator).double()).sum() for s in states)
    return list(torch.autograd.grad(loss, inputs, materialize_grads=True))


@every_aggregate
@pytest.mark.parametrize(("cell", "reset"), STEPS)
def test_an_aggregate_is_its_formula_in_a_loop(cell, reset, aggregate):
    layer, plans = built(cell, reset, aggregate)
    x = features(plans)
    expected = in_a_loop(layer, STEPS[cell, reset], aggregate, x)
    inputs = (x, *layer.parameters())
    wanted = gradients(expected, inputs)
    for executor in ("batched", "reference"):
        _, found = layer(x, plans, return_states=True, executor=executor)
        assert_same([s.detach() for s in found], [s.detach() for s in expected])
        assert_same(gradients(found, inputs), wanted)


@pytest.mark.parametrize("aggregate", ["max", "attention", "gated"])
def test_an_aggregate_is_traced_as_it_is(traced, aggregate):
    layer, plans = built("gru", None, aggregate)
    x = features(plans)
    expected = everything(layer, x, plans, executor="reference")
    assert_same(everything(layer, x, plans, executor="compiled"), expected)


class Own(sn.Cell):
    """A cell of a user's own, which says nothing of how predecessors become one."""

    node_gates = ("g",)

    def __init__(self, input_size, hidden_size, arity, *, aggregate: str = "sum"):
        self.aggregate = aggregate
        super().__init__(input_size, hidden_size, arity)

    def forward(self, z, h):
        (g,), () = self.gates(z, h)
        return g.tanh()


@every_aggregate
def test_a_cell_of_ones_own_has_every_aggregate(aggregate):
    topology = sn.topologies.create("any_dag")
    plans = topology.plan(DAG)
    own = recurrence(topology, lambda *sizes: Own(*sizes, aggregate=aggregate))
    x = features(plans)
    theirs = everything(recurrence(topology, "elman", aggregate=aggregate), x, plans)
    assert_same(everything(own, x, plans), theirs)


@pytest.mark.parametrize(
    "options",
    [{"diagonal": True, "peephole": True}, {"layer_norm": True, "projection_size": 3}],
    ids=str,
)
@pytest.mark.parametrize("aggregate", ["max", "gated"])
def test_an_aggregate_goes_with_other_options_of_the_lstm(aggregate, options):
    layer, plans = built("lstm", None, aggregate, **options)
    x = features(plans)
    assert_same(everything(layer, x, plans), everything(layer, x, plans, executor="reference"))


@pytest.mark.parametrize("aggregate", ["attention", "gated"])
def test_noise_is_that_of_the_reference_on_an_aggregate(aggregate):
    topology = sn.topologies.create("any_dag")
    noise = {"recurrent_dropout": 0.4, "zoneout": 0.3, "weight_drop": 0.3}
    layer = recurrence(topology, "gru", aggregate=aggregate, **noise)
    plans = topology.plan(DAG)
    x, found = features(plans), []
    for executor in ("batched", "reference"):
        torch.manual_seed(0)
        found.append(everything(layer, x, plans, executor=executor))
    assert_same(*found)


@every_aggregate
def test_a_hub_costs_its_edges_and_nothing_more(aggregate):
    topology = sn.topologies.create("any_dag")
    layer = recurrence(topology, "gru", 8, 32, aggregate=aggregate, dtype=torch.float32)
    made = []
    # Ten thousand edges into one node, or one into each of as many.
    for before in ([[]] * 10_000 + [list(range(10_000))], [[]] + [[0]] * 10_000):
        plans = topology.plan([before])
        assert len(plans[0].rows) <= 20_001
        x = features(plans, 8, dtype=torch.float32)
        with Entries() as entries:
            layer(x, plans).sum().backward()
        made.append(entries.count)
    assert made[0] < 2 * made[1]


class Entries(TorchDispatchMode):
    """Counts the entries of all tensors that are made within."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        self.count += sum(one.numel() for one in tree_leaves(out) if isinstance(one, torch.Tensor))
        return out


@pytest.mark.parametrize(
    ("cell", "arity", "aggregate", "message"),
    [
        ("gru", None, "median", "'sum' or 'mean' or 'max' or 'attention' or 'gated', got 'median'"),
        ("gru", 1, "mean", "is for unordered predecessors, and 1 ordered slots .* leave it 'sum'"),
        ("graph_lstm", 2, "sum", "2 ordered slots .* got 'sum'; leave it 'mean', or take a topo"),
    ],
)
def test_an_aggregate_that_cannot_be_is_refused_with_the_way_out(cell, arity, aggregate, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create(cell, 3, 4, arity, aggregate=aggregate)
