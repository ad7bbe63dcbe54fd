"""Two structures side by side in a sample, compared by readout=pair."""

import numpy as np
import pytest
import torch
from conftest import assert_same, randomise

import structnet as sn

# Each of two trees: a table of children, and the nodes of the first and of the second.
FORESTS = [
    ([[1, 2], [-1, -1], [-1, -1], [4, -1], [-1, -1]], [0, 1, 2], [3, 4]),
    ([[-1, -1], [-1, -1]], [0], [1]),
    ([[-1, -1], [-1, -1], [0, 3], [-1, -1]], [1], [0, 2, 3]),
]
ROOTS = [(0, 3), (0, 1), (1, 2)]
SIZE = 3


def as_table(children):
    return np.array(children)


def as_edges(children):
    pairs = [(child, node) for node, row in enumerate(children) for child in row if child >= 0]
    return sn.Edges(np.array(pairs, np.int64).reshape(-1, 2).T, len(children))


def net_of(topology, readout="pair"):
    sizes = sn.Sizes(None, SIZE, 2)
    torch.manual_seed(1)
    return randomise(sn.Net(sizes, topology, "lstm", readout, hidden_size=4).double()).eval()


def batch_of(structures, topology):
    draw = np.random.default_rng(0)
    counts = [len(topology.plan([one])[0].order) for one in structures]
    samples = [
        sn.Sample(one, draw.normal(size=(n, SIZE)), 0)
        for one, n in zip(structures, counts, strict=True)
    ]
    batch = sn.collate(samples, topology)
    return batch.map(lambda one: one.double() if one.is_floating_point() else one)


@pytest.mark.parametrize("form", [as_table, as_edges])
def test_it_compares_the_two_roots_in_values_and_gradients(form):
    topology = sn.topologies.create("tree")
    batch = batch_of([form(children) for children, *_ in FORESTS], topology)
    h = torch.randn(batch.num_nodes, 4, dtype=torch.float64, requires_grad=True)
    found = sn.readouts.create("pair", 4, 1)(h, batch)
    rows = []
    for start, (one, other) in zip(batch.ptr.tolist(), ROOTS, strict=False):
        a, b = h[start + one], h[start + other]
        rows.append(torch.cat([torch.abs(a - b), a * b]))
    expected = torch.stack(rows)
    assert found.shape == (3, 8)
    assert_same(found.detach(), expected.detach())
    weight = torch.randn_like(expected)
    (ours,) = torch.autograd.grad((found * weight).sum(), h)
    (theirs,) = torch.autograd.grad((expected * weight).sum(), h)
    assert_same(ours, theirs)


@pytest.mark.parametrize("arity", [2, None])
def test_a_pair_is_read_as_each_of_its_trees_alone(arity):
    topology = sn.topologies.create("tree", arity=arity)
    batch = batch_of([as_table(children) for children, *_ in FORESTS], topology)
    net = net_of(topology)
    alone = sn.readouts.create("root", 4, 1)
    rows = []
    for start, (children, *trees) in zip(batch.ptr.tolist(), FORESTS, strict=False):
        states = []
        for nodes in trees:
            place = {node: at for at, node in enumerate(nodes)}
            table = np.array([[place.get(one, -1) for one in children[node]] for node in nodes])
            x = batch.x[start + np.array(nodes)]
            one = sn.collate([sn.Sample(table, x.numpy(), 0)], topology)
            one = one.map(lambda given: given.double() if given.is_floating_point() else given)
            states.append(alone(net.states(one), one))
        a, b = states
        rows.append(torch.cat([(a - b).abs(), a * b], 1))
    assert_same(net(batch).detach(), net.head(torch.cat(rows)).detach())


def test_a_net_of_pairs_has_the_gradients_of_finite_differences():
    topology = sn.topologies.create("tree")
    batch = batch_of([as_table(children) for children, *_ in FORESTS], topology)
    net = net_of(topology)
    weights = dict(net.named_parameters())

    def loss(*given):
        values = dict(zip(weights, given, strict=True))
        return torch.func.functional_call(net, values, (batch,)).square().sum()

    torch.autograd.gradcheck(loss, tuple(weights.values()))


def test_both_directions_are_compared_where_each_has_two_ends():
    topology = sn.topologies.create("graph", direction="both")
    chains = sn.Edges(np.array([[0, 1, 3], [1, 2, 4]]), 5)
    batch = batch_of([chains, chains], topology)
    h = torch.randn(10, 6, dtype=torch.float64)
    found = sn.readouts.create("pair", 6, 2)(h, batch)
    forward, backward = h.chunk(2, 1)
    for row, start in enumerate((0, 5)):
        expected = []
        for part, (one, other) in ((forward, (2, 4)), (backward, (0, 3))):
            a, b = part[start + one], part[start + other]
            expected += [(a - b).abs(), a * b]
        assert_same(found[row], torch.cat(expected))


def test_the_order_of_the_two_does_not_matter():
    topology = sn.topologies.create("tree", arity=1)
    net = net_of(topology)
    x = torch.randn(5, SIZE, dtype=torch.float64)
    scores = []
    for sizes, order in (((2, 3), [0, 1, 2, 3, 4]), ((3, 2), [2, 3, 4, 0, 1])):
        children = [[at - 1] for n in sizes for at in range(n)]
        children = [[one + sizes[0] * (row >= sizes[0]) if one >= 0 else -1]
                    for row, (one,) in enumerate(children)]  # fmt: skip
        sample = sn.Sample(np.array(children), x[order].numpy(), 0)
        batch = sn.collate([sample], topology)
        scores.append(net(batch.map(lambda one: one.double() if one.is_floating_point() else one)))
    assert_same(scores[0].detach(), scores[1].detach())


# The roots of the samples of a batch: in all there are as many as two for each.
@pytest.mark.parametrize(("roots", "wrong", "count"), [((2, 1, 3), 1, 1), ((3, 1), 0, 3)])
def test_a_sample_without_two_roots_is_named(roots, wrong, count):
    topology = sn.topologies.create("tree")
    batch = batch_of([np.full((n, 2), -1) for n in roots], topology)
    message = f"sample {wrong} of the batch has {count} nodes that no other node reads, expected 2"
    with pytest.raises(ValueError, match=message):
        net_of(topology)(batch)


def test_trees_read_both_ways_are_refused_by_direction():
    topology = sn.topologies.create("tree", direction="both")
    batch = batch_of([as_table(FORESTS[0][0])], topology)
    message = "sample 0 of the batch has 3 nodes that no other node reads in direction 2 of 2"
    with pytest.raises(ValueError, match=message):
        net_of(topology)(batch)


def test_pairs_are_learned_from_rows(tmp_path):
    draw, rows = np.random.default_rng(0), []
    for _ in range(200):
        same = bool(draw.integers(2))
        a = draw.choice(["a", "b"])
        b = a if same else "ab".replace(a, "")
        n = draw.integers(1, 4)
        children = np.array([[at - 1 if at else -1] for at in range(n)] + [[-1]])
        rows.append((children, ["c"] * (n - 1) + [a, b], same))
    run = sn.fit(
        rows, {"hidden_size": 8, "embedding_size": 8}, readout="pair",
        trainer={"max_epochs": 15, "num_workers": 0, "learning_rate": 0.02, "batch_size": 16},
        run=tmp_path / "run", quiet=True,
    )  # fmt: skip
    assert run.metrics["test"]["accuracy"] == 1
    assert list(run.predict(rows[:3]).classes) == [str(y) for *_, y in rows[:3]]
