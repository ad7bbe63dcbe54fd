"""One layer: node order in, node order out, a cell of its own in every direction."""

import functools

import pytest
import torch
from conftest import assert_same, features, initial_states, recurrence

import structnet as sn
from structnet.cells.lstm import LSTM


def test_directions_stand_side_by_side_each_with_a_cell_of_its_own():
    both = sn.topologies.create("tree", direction="both")
    layer = recurrence(both, "lstm")
    structures = [[[1, 2], [-1, -1], [-1, 3], [-1, -1]], [[-1, -1]]]
    plans = both.plan(structures)
    x = features(plans)
    h, states = layer(x, plans, return_states=True)
    assert h is states[0] and layer.output_size == 4
    for direction, one in enumerate(("up", "down")):
        topology = sn.topologies.create("tree", direction=one)
        single = recurrence(topology, "lstm")
        single.cells[0] = layer.cells[direction]
        _, alone = single(x, topology.plan(structures), return_states=True)
        for state, expected in zip(states, alone, strict=True):
            assert_same(state.chunk(2, dim=1)[direction].detach(), expected.detach())


def test_a_sample_gets_the_same_numbers_alone_and_in_a_batch():
    topology = sn.topologies.create("bichain")
    layer, lengths = recurrence(topology, "gru"), [3, 1, 5]
    plans = topology.plan(lengths)
    x = features(plans)
    h = layer(x, plans)
    for part, one, length in zip(x.split(lengths), h.split(lengths), lengths, strict=True):
        assert_same(layer(part, topology.plan([length])).detach(), one.detach())


def test_final_states_carry_a_sequence_on():
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, "lstm")
    whole, first, rest = (topology.plan([length]) for length in (7, 4, 3))
    x = features(whole)
    h, states = layer(x[:4], first, return_states=True)
    carried = layer(x[4:], rest, initial=[state[-1:] for state in states])
    assert_same(torch.cat([h, carried]).detach(), layer(x, whole).detach())


def test_initial_states_of_zeros_are_those_of_none():
    topology = sn.topologies.create("bichain")
    layer, plans = recurrence(topology, "lstm"), topology.plan([2, 4])
    x = features(plans)
    zeros = [torch.zeros_like(state) for state in initial_states(layer, plans)]
    assert_same(layer(x, plans, initial=zeros).detach(), layer(x, plans).detach())


def test_names_and_objects_make_the_same_layer():
    topology = sn.topologies.create("chain")
    relu = functools.partial(sn.cells.create, "elman", nonlinearity="relu")
    by_name = sn.Recurrence("chain", "elman", 3, 2, nonlinearity="relu")
    by_object = sn.Recurrence(topology, relu, 3, 2)
    by_object.load_state_dict(by_name.state_dict())
    x, plans = torch.randn(5, 3), topology.plan([4, 1])
    assert by_name(x, plans).equal(by_object(x, plans))


def test_the_executor_is_chosen_when_made_or_when_called():
    topology = sn.topologies.create("tree")
    plans = topology.plan([[[1, -1], [-1, -1]]])
    layer = sn.Recurrence(topology, "lstm", 3, 2, executor="reference").double()
    x = features(plans)
    (grad,) = torch.autograd.grad(layer(x, plans).sum(), x, create_graph=True)
    torch.autograd.grad(grad.sum(), x)
    batched = layer(x, plans, executor="batched")
    assert_same(batched.detach(), layer(x, plans).detach())


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (("chian", "lstm"), {}, KeyError, "no topology 'chian' among .* did you mean 'chain'"),
        (("chain", "lstmm"), {}, KeyError, "no cell 'lstmm' among .* did you mean 'lstm'"),
        (("chain", "lstm"), {"executor": "batchd"}, ValueError, "did you mean 'batched'"),
        (("chain", "lstm"), {"bias": 1}, ValueError, "no option 'bias' of cell 'lstm'"),
        (("chain", LSTM), {"forget_bias": 1}, ValueError, "cell given by name"),
    ],
)
def test_a_layer_that_cannot_be_made_says_why(arguments, options, error, message):
    with pytest.raises(error, match=message):
        sn.Recurrence(*arguments, 3, 2, **options)


def test_inputs_that_do_not_fit_the_plans_are_refused():
    chain, bichain = sn.topologies.create("chain"), sn.topologies.create("bichain")
    layer = recurrence(chain, "lstm")
    plans = chain.plan([2, 3])
    x = features(plans)
    with pytest.raises(ValueError, match=r"\(5, 3\), got \(4, 3\)"):
        layer(x[:4], plans)
    with pytest.raises(ValueError, match=r"\(5, 3\), got \(5, 2\)"):
        layer(x[:, :2], plans)
    with pytest.raises(ValueError, match="2 plans for 1 directions"):
        layer(x, bichain.plan([2, 3]))
    with pytest.raises(ValueError, match="no executor 'scna'"):
        layer(x, plans, executor="scna")
    h0 = torch.zeros(2, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"initial states are of shapes .*\(2, 2\)\], got"):
        layer(x, plans, initial=[h0])
    with pytest.raises(ValueError, match="initial states are of shapes"):
        layer(x, plans, initial=[h0, h0[:1]])
