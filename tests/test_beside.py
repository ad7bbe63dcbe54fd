"""What stands beside tokens: numbers at the same nodes, and a vector of numbers for a sample."""

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.fitting.stream import steps_of

WORDS = sn.Vocabulary({"a": 3, "b": 2})


def mixed(rng, n):
    tokens = WORDS.tokens([["a"] * (i % 2) + ["b"] * (i % 3) for i in range(n)])
    return sn.Mixed(tokens, rng.standard_normal((n, 2)).astype(np.float32))


def sizes(**given):
    return sn.Sizes(**{"vocabulary": None, "input_size": 3, "num_outputs": 2, **given})


def samples(rng, lengths, condition=None):
    for n in lengths:
        x = rng.standard_normal((n, 3)).astype(np.float32)
        given = None if condition is None else rng.standard_normal(condition).astype(np.float32)
        yield sn.Sample(n, x, 0, condition=given)


def test_a_net_reads_tokens_and_numbers_side_by_side():
    rng, chain = np.random.default_rng(0), sn.topologies.create("chain")
    batch = sn.collate([sn.Sample(n, mixed(rng, n), 0) for n in (1, 4, 2)], chain)
    net = sn.nets.create("stack", sizes(vocabulary=WORDS, input_size=2), chain, "gru", "root")
    entered = net.eval().enter(batch)
    assert entered.shape == (7, 128 + 2)
    assert torch.equal(entered[:, 128:], batch.x.numbers)
    assert torch.equal(entered[:, :128], net.input.layer(batch.x.tokens))
    assert net(batch).shape == (3, 2)


def test_steps_of_tokens_beside_numbers_are_the_whole_sequence():
    rng, chain = np.random.default_rng(0), sn.topologies.create("chain")
    net = sn.nets.create("stack", sizes(vocabulary=WORDS, input_size=2), chain, "gru", "every")
    sample = sn.Sample(5, mixed(rng, 5), 0)
    whole = net.eval()(sn.collate([sample], chain))
    stepper = net.stepper()
    steps = torch.cat([stepper.push(x) for x in steps_of(sample)])
    torch.testing.assert_close(steps, whole, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="a step of 1 rows takes one input per row, got those of"):
        stepper.push(sample.x)


def test_a_batch_moves_both():
    rng, chain = np.random.default_rng(0), sn.topologies.create("chain")
    batch = sn.collate([sn.Sample(3, mixed(rng, 3), 0)], chain)
    doubled = batch.map(lambda tensor: tensor * 2)
    assert torch.equal(doubled.x.numbers, batch.x.numbers * 2)
    assert torch.equal(doubled.x.tokens.ids, batch.x.tokens.ids * 2)
    assert torch.equal(batch.in_one_piece().x.numbers, batch.x.numbers)


def test_both_have_as_many_nodes():
    with pytest.raises(ValueError, match="tokens of 1 nodes and numbers of 2"):
        sn.Mixed(WORDS.tokens([["a"]]), np.zeros((2, 1), np.float32))


@pytest.mark.parametrize("topology", ["chain", "bichain", "row", "tree"])
def test_a_condition_joined_to_the_input_is_that_input(topology):
    rng, on = np.random.default_rng(0), sn.topologies.create(topology)
    structures = {"row": [(2, 3), (1, 1)], "tree": [[[1, 2], [-1, -1], [-1, -1]], [[-1, -1]]]}
    some = [
        sn.Sample(structure, rng.standard_normal((n, 3)).astype(np.float32), 0, condition=given)
        for structure, n, given in zip(
            structures.get(topology, [6, 1]),
            {"row": (6, 1), "tree": (3, 1)}.get(topology, (6, 1)),
            np.float32([[1, 2], [3, 4]]),
            strict=True,
        )
    ]
    net = sn.nets.create("stack", sizes(condition=2), on, "lstm", "root", dropout=0.0)
    wide = sn.nets.create("stack", sizes(input_size=5), on, "lstm", "root", dropout=0.0)
    wide.load_state_dict(net.state_dict())
    given = [np.tile(one.condition, (len(one.x), 1)) for one in some]
    joined = [
        sn.Sample(one.structure, np.concatenate([one.x, more], 1), 0)
        for one, more in zip(some, given, strict=True)
    ]
    assert torch.equal(net(sn.collate(some, on)), wide(sn.collate(joined, on)))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_condition_may_be_where_chains_start_from(cell, apart):
    rng, on = np.random.default_rng(0), sn.topologies.create("bichain")
    net = sn.nets.create(
        "stack", sizes(condition=2), on, cell, "root",
        condition="initial", num_layers=2, dropout=0.0, apart=apart, hidden_size=5,
    ).double()  # fmt: skip
    batch = sn.collate(list(samples(rng, [4, 1], condition=2)), on)
    batch = batch.map(lambda one: one.double() if one.is_floating_point() else one)
    states = net.condition.states(batch)
    assert len(states) == len(net.layers)
    net.layers[0].executor = "reference"
    truth = net(batch)
    net.layers[0].executor = "auto"
    assert torch.allclose(net(batch), truth, atol=1e-12)
    net.condition.start.weight.data.zero_()
    net.condition.start.bias.data.zero_()
    zero = net.stack(net.enter(batch), batch.plans)
    assert torch.allclose(net.states(batch), zero, atol=1e-12)
    assert not torch.allclose(net(batch), truth)


def test_initial_states_are_for_chains():
    with pytest.raises(ValueError, match=r"net\.condition=initial is for chains"):
        sn.nets.create("stack", sizes(condition=2), "tree", "gru", "root", condition="initial")


@pytest.mark.parametrize("given", [None, 3])
def test_a_condition_of_another_size_is_refused(given):
    rng, on = np.random.default_rng(0), sn.topologies.create("chain")
    net = sn.nets.create("stack", sizes(condition=2), on, "gru", "root")
    with pytest.raises(ValueError, match="a condition of 2 numbers for this net, got"):
        net(sn.collate(list(samples(rng, [4], condition=given)), on))


def test_a_net_with_a_condition_has_no_steps():
    net = sn.nets.create("stack", sizes(condition=2), "chain", "gru", "every")
    with pytest.raises(ValueError, match=r"net\.condition is for whole samples"):
        net.stepper()
