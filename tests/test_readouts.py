"""Readouts are what a plain loop over the samples computes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import assert_same, randomise

import structnet as sn

TREES = [
    np.array([[1, 2], [-1, -1], [3, -1], [-1, -1]]),
    np.array([[-1, -1]]),
    np.array([[-1, -1], [-1, -1], [0, 1]]),
]
TOPOLOGIES = {
    "tree": (sn.topologies.create("tree"), TREES),
    "both": (sn.topologies.create("tree", direction="both"), TREES),
    "bichain": (sn.topologies.create("bichain"), [4, 1, 3]),
}
every_kind = pytest.mark.parametrize("kind", TOPOLOGIES)
SIZE = 6
# Of samples of one structure; `pair`, of two, is in tests/test_pair.py.
NAMES = [name for name in sn.readouts.names() if name != "pair"]


def batch_of(kind, order=(0, 1, 2)):
    """A batch, its states and the first node of every sample; a sample's states are its own."""
    topology, structures = TOPOLOGIES[kind]
    states = torch.randn(8, SIZE, generator=torch.Generator().manual_seed(5)).double()
    states = states.split([4, 1, 3])
    samples = [sn.Sample(structures[i], np.zeros((len(states[i]), 1)), i) for i in order]
    h = torch.cat([states[i] for i in order]).requires_grad_()
    return topology, sn.collate(samples, topology), h


def readout_of(name, topology):
    return randomise(sn.readouts.create(name, SIZE, len(topology.directions)).double())


def in_a_loop(name, kind, readout, states):
    """One sample's readout; `states` (n, SIZE)."""
    forward, backward = states.chunk(2, dim=1)
    first, last = states[0], states[-1]
    match name:
        case "mean":
            return sum(states) / len(states)
        case "max":
            return torch.stack([max(column) for column in states.T])
        case "ends":
            return torch.cat([first, last])
        case "attention":
            weights = [readout.score(h).exp() for h in states]
            return sum(w * h for w, h in zip(weights, states, strict=True)) / sum(weights)
        case "self_attentive":
            shares = shares_in_a_loop(readout, states)
            return torch.cat(
                [sum(a * h for a, h in zip(row, states, strict=True)) for row in shares]
            )
    # The root, or the last step; in the other direction the leaves, or the first step.
    root = 2 if len(states) == 3 else 0
    leaves = {4: [1, 3], 1: [0], 3: [0, 1]}[len(states)]
    match kind:
        case "tree":
            return states[root]
        case "both":
            return torch.cat([forward[root], sum(backward[leaves]) / len(leaves)])
        case "bichain":
            return torch.cat([forward[-1], backward[0]])
    raise AssertionError(kind)


def shares_in_a_loop(readout, states):
    """The matrix A of one sample: a row of shares for every mean."""
    hidden, out = readout.score[0].weight, readout.score[2].weight
    return torch.stack([row.exp() / row.exp().sum() for row in out @ (hidden @ states.T).tanh()])


POOLING = ["mean", "max", "ends", "attention", "self_attentive", "root", "last"]


@every_kind
@pytest.mark.parametrize("name", POOLING)
def test_a_readout_is_a_loop_over_the_samples_in_values_and_gradients(name, kind):
    topology, batch, h = batch_of(kind)
    readout = readout_of(name, topology)
    found = readout(h, batch)
    parts = h.split(batch.ptr.diff().tolist())
    expected = torch.stack([in_a_loop(name, kind, readout, states) for states in parts])
    assert found.shape == (3, readout.output_size)
    assert_same(found.detach(), expected.detach())
    inputs = (h, *readout.parameters())
    weight = torch.randn_like(expected)
    for ours, theirs in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        assert_same(ours, theirs)


@every_kind
@pytest.mark.parametrize("name", NAMES)
def test_samples_in_another_order_give_their_rows_in_that_order(name, kind):
    topology, batch, h = batch_of(kind)
    readout = readout_of(name, topology)
    order = (2, 0, 1)
    _, other, other_h = batch_of(kind, order)
    found, permuted = readout(h, batch), readout(other_h, other)
    rows = list(order)
    if readout.per_node:
        # Of a node there may be several.
        rows_each = len(found) // len(h)
        parts = found.split((rows_each * batch.ptr.diff()).tolist())
        expected = torch.cat([parts[sample] for sample in order])
    else:
        expected = found[rows]
    assert_same(permuted.detach(), expected.detach())


@every_kind
@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_scored_by_its_own_nodes_alone(name, kind):
    topology, batch, h = batch_of(kind)
    readout = readout_of(name, topology)
    found = readout(h, batch)
    row = batch.ptr[1] * (len(found) // len(h)) if readout.per_node else 1
    (grad,) = torch.autograd.grad(found[row].sum(), h)
    assert set(grad.abs().sum(1).nonzero()[:, 0].tolist()) <= {4}


@pytest.mark.parametrize("kind", ["tree", "both"])
def test_the_final_states_of_a_sample_are_pooled_by_their_maximum(kind):
    topology, batch, h = batch_of(kind)
    readout = sn.readouts.create("root", SIZE, len(topology.directions), pool="max")
    parts = h.chunk(len(topology.directions), 1)
    # Where each sample's roots and leaves are, in the nodes of the batch.
    ends = [[[0], [4], [7]], [[1, 3], [4], [5, 6]]]
    expected = [
        torch.stack([part[nodes].amax(0) for nodes in of_samples])
        for part, of_samples in zip(parts, ends, strict=False)
    ]
    assert_same(readout(h, batch).detach(), torch.cat(expected, 1).detach())
    with pytest.raises(ValueError, match="option 'pool' is 'mean' or 'max', got 'sum'"):
        sn.readouts.create("root", SIZE, 1, pool="sum")


def test_every_is_every_nodes_state():
    topology, batch, h = batch_of("tree")
    readout = readout_of("every", topology)
    assert readout.per_node and readout(h, batch) is h


def test_directions_are_rows_of_their_own():
    topology, batch, h = batch_of("bichain")
    readout = readout_of("directions", topology)
    expected = [half[node] for node in range(8) for half in h.chunk(2, dim=1)]
    assert readout.output_size == SIZE // 2
    assert readout(h, batch).equal(torch.stack(expected))


@every_kind
@pytest.mark.parametrize("hops", [1, 3])
def test_the_penalty_is_how_much_the_means_of_a_sample_overlap(kind, hops):
    topology, batch, h = batch_of(kind)
    options = {"hops": hops, "scores": 5, "penalty": 0.3}
    readout = sn.readouts.create("self_attentive", SIZE, len(topology.directions), **options)
    randomise(readout.double())(h, batch)
    expected = []
    for states in h.split(batch.ptr.diff().tolist()):
        shares = shares_in_a_loop(readout, states)
        expected.append(((shares @ shares.T - torch.eye(hops)) ** 2).sum())
    expected = 0.3 * sum(expected) / len(expected)
    assert_same(readout.penalty.detach(), expected.detach())
    inputs = (h, *readout.parameters())
    for ours, theirs in zip(
        torch.autograd.grad(readout.penalty, inputs),
        torch.autograd.grad(expected, inputs),
        strict=True,
    ):
        assert_same(ours, theirs)
    readout.eval()(h, batch)
    assert readout.penalty is None


def test_the_penalty_of_a_readout_is_part_of_its_nets():
    topology, batch, _ = batch_of("bichain")
    net = sn.Net(sn.Sizes(None, 1, 2), topology, "gru", "self_attentive", hidden_size=3)
    net(replace(batch, x=torch.randn(8, 1)))
    assert net.penalty.equal(net.readout.penalty) and net.penalty > 0
    net.penalty.backward()
    assert all(one.grad.abs().sum() > 0 for one in net.readout.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_a_readout_that_weighs_nodes_tells_their_shares(name):
    topology, batch, h = batch_of("bichain")
    readout = readout_of(name, topology)
    shares = readout.weights(h, batch)
    assert (shares is not None) == (name in ("attention", "self_attentive"))
    if shares is not None:
        parts = zip(*(one.split(batch.ptr.diff().tolist()) for one in (shares, h)), strict=True)
        means = [(share[:, :, None] * states[:, None]).sum(0) for share, states in parts]
        assert_same(readout(h, batch).detach(), torch.stack(means).flatten(1).detach())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hops": 0}, "option 'hops' is at least 1, got 0"),
        ({"scores": -1}, "option 'scores' is at least 1, got -1"),
        ({"penalty": -0.1}, "option 'penalty' is at least 0, got -0.1"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.readouts.create("self_attentive", SIZE, 1, **options)


@pytest.mark.parametrize("name", ["attention", "self_attentive"])
def test_attention_stands_scores_of_any_size(name):
    topology, batch, h = batch_of("bichain")
    readout = readout_of(name, topology)
    with torch.no_grad():
        readout.score[2].weight.mul_(1e4)
    found = readout(h, batch)
    assert found.isfinite().all()
    best = [
        states[readout.score(states).argmax(0)].flatten()
        for states in h.split(batch.ptr.diff().tolist())
    ]
    assert_same(found.detach(), torch.stack(best).detach(), 1e-6)


@pytest.mark.parametrize(("name", "options"), [("max", {}), ("root", {"pool": "max"})])
def test_the_maximum_over_no_node_is_zero(name, options):
    topology = sn.topologies.create("graph")
    graphs = [sn.Edges([[0], [1]], 2), sn.Edges([[], []], 0)]
    batch = sn.collate([sn.Sample(one, np.ones((one.num_nodes, 1)), 0) for one in graphs], topology)
    h = torch.randn(2, SIZE, requires_grad=True)
    out = sn.readouts.create(name, SIZE, 1, **options)(h, batch)
    assert out[1].eq(0).all() and out[0].equal(h.amax(0) if name == "max" else h[1])
    out.sum().backward()
    assert h.grad.sum(0).eq(1).all()


def test_the_ends_of_no_nodes_are_zero():
    topology = sn.topologies.create("graph")
    graphs = [sn.Edges([[], []], n) for n in (2, 0, 1, 0)]
    batch = sn.collate([sn.Sample(one, np.ones((one.num_nodes, 1)), 0) for one in graphs], topology)
    h = torch.randn(3, SIZE)
    out = sn.readouts.create("ends", SIZE, 1)(h, batch)
    assert out.equal(torch.stack([h[:2].flatten(), 0 * out[1], h[[2, 2]].flatten(), 0 * out[3]]))
