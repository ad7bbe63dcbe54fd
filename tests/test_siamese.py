"""Two structures compared with shared weights."""

import functools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import every_topology, randomise
from test_seq2seq import STRUCTURES

import structnet as sn
from structnet.training.weighing import shares, weighed

WORDS = sn.Vocabulary({"a": 3, "b": 2, "c": 1})
SIZES = [(3, 2), (1, 4), (5, 1), (2, 2)]


def tokens(ids):
    return sn.Tokens(np.asarray(ids, np.int64), np.arange(len(ids) + 1))


def pair(first, second, draw):
    (one, n), (other, m) = first, second
    x, y = tokens(draw.integers(0, 4, n)), tokens(draw.integers(0, 4, m))
    part = sn.Sample(other, y, np.int64(sn.IGNORE))
    return sn.Sample(one, x, np.int64(draw.integers(3)), parts=(part,))


def chains(sizes=SIZES):
    draw = np.random.default_rng(0)
    return [pair((n, n), (m, m), draw) for n, m in sizes]


def build(topology="bichain", readout="root", head="softmax", **options):
    torch.manual_seed(0)
    sizes = sn.Sizes(WORDS, None, 3, parts=("second",))
    sized = {"hidden_size": 4, "embedding_size": 3, "comparison_size": 5} | options
    score = functools.partial(sn.heads.create, head)
    net = sn.nets.create("siamese", sizes, topology, "gru", readout, score, **sized)
    return randomise(net.double()).eval()


def exchanged(samples):
    return [
        sn.Sample(two.structure, two.x, one.y, parts=(sn.Sample(one.structure, one.x, two.y),))
        for one in samples
        for two in one.parts
    ]


@pytest.mark.parametrize("symmetric", [True, False])
def test_scores_are_those_of_the_equations(symmetric):
    net, topology = (
        build(symmetric=symmetric, activation="sigmoid"),
        sn.topologies.create("bichain"),
    )
    batch = sn.collate(chains(), topology)
    a, b = net.encode(sn.collate([*map(alone, chains())], topology)), net.encode(batch.parts[0])
    linear = net.comparison[0]
    h_angle, h_distance = a * b, (a - b).abs()
    weights = linear.weight.split(a.shape[1], dim=1)
    parts = [h_distance, h_angle] if symmetric else [a, b, h_distance, h_angle]
    total = sum(part @ weight.T for part, weight in zip(parts, weights, strict=True))
    h = (total + linear.bias).sigmoid()
    torch.testing.assert_close(net(batch), h @ net.head.weight.T + net.head.bias)


def alone(sample):
    return sn.Sample(sample.structure, sample.x, sample.y)


def test_only_a_symmetric_net_gives_both_orders_the_same_scores():
    topology = sn.topologies.create("bichain")
    one, other = (sn.collate(some, topology) for some in (chains(), exchanged(chains())))
    net = build(symmetric=True)
    torch.testing.assert_close(net(one), net(other))
    assert not torch.allclose(build()(one), build()(other))


def test_both_structures_have_the_same_weights_and_both_gradients_reach_them():
    topology = sn.topologies.create("bichain")
    net = build()
    net(sn.collate(chains(), topology)).sum().backward()
    weights = dict(net.named_parameters())
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in weights.values())
    # Of each structure by itself, the other one held fixed.
    total = {name: torch.zeros_like(one) for name, one in weights.items() if "encoder" in name}
    batch = sn.collate(chains(), topology)
    first = sn.collate([*map(alone, chains())], topology)
    for side in (0, 1):
        net.zero_grad()
        both = [net.encode(first), net.encode(batch.parts[0])]
        both[1 - side] = both[1 - side].detach()
        net.head(net.comparison(net.compare(*both))).sum().backward()
        for name in total:
            total[name] += weights[name].grad
    net.zero_grad()
    net(batch).sum().backward()
    for name, gradient in total.items():
        torch.testing.assert_close(weights[name].grad, gradient)


@every_topology
def test_any_topology_is_compared(topology):
    draw = np.random.default_rng(0)
    sized = [(one, topology.plan([one])[0].num_nodes) for one in STRUCTURES[topology.takes]]
    some = [pair(one, other, draw) for one in sized for other in sized]
    net = build(topology, readout="mean")
    found = net(sn.collate(some, topology))
    alone = torch.cat([net(sn.collate([one], topology)) for one in some])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-10)


def test_what_can_not_be_compared_is_refused():
    with pytest.raises(ValueError, match="this task has no part 'second'"):
        sn.nets.create("siamese", sn.Sizes(WORDS, None, 3), "chain", "gru", "root",
                       functools.partial(sn.heads.create, "softmax"))  # fmt: skip
    with pytest.raises(ValueError, match="take readout=root"):
        build(readout="every")(sn.collate(chains(), sn.topologies.create("bichain")))
    with pytest.raises(ValueError, match="take head=softmax"):
        build(head="crf")
    with pytest.raises(ValueError, match="these samples have 0 parts"):
        build()(sn.collate([*map(alone, chains())], sn.topologies.create("bichain")))


def test_the_penalty_is_that_of_both_structures():
    net = build(readout="self_attentive", dropout=0.0, word_dropout=0.0).train()
    net(sn.collate(chains(), sn.topologies.create("bichain")))
    both = net.penalty
    batch = sn.collate(chains(), sn.topologies.create("bichain"))
    found = []
    for one in (
        sn.collate([*map(alone, chains())], sn.topologies.create("bichain")),
        batch.parts[0],
    ):
        torch.manual_seed(0)
        net.encoder(one)
        found.append(net.encoder.penalty)
    assert both is not None and both > 0
    torch.testing.assert_close(both, found[0] + found[1])


@pytest.mark.parametrize("readout", ["attention", "self_attentive", "root"])
def test_the_words_of_both_structures_are_told_with_their_shares(readout):
    net, topology, samples = build(readout=readout), sn.topologies.create("bichain"), chains()
    task = SimpleNamespace(node_names=lambda one: [f"word {i}" for i in one.x.ids.tolist()])
    batch = sn.collate(samples, topology)
    with torch.inference_mode(), shares(net) as kept:
        net(batch)
        found = weighed(task, batch, samples, kept)
    if readout == "root":
        assert found == [()] * len(samples)
        return
    weights = net.encoder.readout.weights
    for sample, words in zip(samples, found, strict=True):
        (part,) = sample.parts
        said = [*task.node_names(sample), *task.node_names(part)]
        assert [name for name, _ in words] == said
        expected = []
        for one in (alone(sample), part):
            alone_batch = sn.collate([one], topology)
            h = net.encoder.states(alone_batch)
            expected += weights(h, alone_batch).mean(1).tolist()
        assert [share for _, share in words] == pytest.approx(expected)
        assert sum(expected) == pytest.approx(2)
