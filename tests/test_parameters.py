"""A net of a given number of parameters."""

import functools

import pytest
import torch

import structnet as sn

SIZES = sn.Sizes(sn.Vocabulary(dict.fromkeys("abcdef", 1)), None, num_outputs=3)


def net_of(cell="lstm", topology="chain", **options):
    torch.manual_seed(0)
    return sn.nets.create(
        "stack",
        SIZES,
        sn.topologies.create(topology),
        functools.partial(sn.cells.create, cell),
        functools.partial(sn.readouts.create, "every"),
        embedding_size=5,
        **options,
    )


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def width(net):
    return net.head.size // len(net.layers[0].cells)


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "mut1"])
@pytest.mark.parametrize("limit", [500, 4321])
def test_the_net_is_the_widest_that_has_at_most_so_many(cell, limit):
    size = width(net_of(cell, parameters=limit))
    assert count(net_of(cell, hidden_size=size)) <= limit
    assert count(net_of(cell, hidden_size=size + 1)) > limit


@pytest.mark.parametrize("limit", range(100, 160, 7))
def test_the_limit_itself_is_within_it(limit):
    net = net_of("elman", "bichain", num_layers=2, parameters=limit)
    assert count(net) <= limit
    exact = net_of("elman", "bichain", num_layers=2, parameters=count(net))
    assert width(exact) == width(net)


def test_its_weights_are_those_of_the_net_of_that_hidden_size():
    net = net_of(parameters=2000)
    same = net_of(hidden_size=width(net)).state_dict()
    assert all(torch.equal(value, same[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("limit", [0, -1, 20])
def test_a_number_that_no_net_keeps_to_is_refused(limit):
    least = count(net_of(hidden_size=1))
    with pytest.raises(ValueError, match=f"'parameters' is at least {least} for this net"):
        net_of(parameters=limit)
    assert count(net_of(parameters=least)) == least
