"""Layers on top of each other, and what skips them."""

import functools
from typing import get_args

import pytest
import torch
from conftest import assert_same, features, randomise

import structnet as sn
from structnet.nn.stack import Skip, Stack


def stack_of(skip, num_layers=3, input_size=3, hidden_size=4, **options):
    topology = sn.topologies.create("bichain")
    layer = functools.partial(sn.Recurrence, topology, "gru", hidden_size=hidden_size)
    stack = Stack(lambda size: layer(size), input_size, num_layers, skip=skip, **options)
    plans = topology.plan([3, 1])
    return randomise(stack.double()), features(plans, input_size), plans


def expected_output(stack, x, plans):
    h, below = x, [x]
    for depth, layer in enumerate(stack.layers):
        if stack.skip == "dense":
            out = layer(torch.cat(below[::-1], 1), plans)
        elif stack.skip == "input" and depth:
            out = layer(torch.cat([h, x], 1), plans)
        else:
            out = layer(h, plans)
        if stack.skip == "residual":
            out = out + (h @ stack.carries[depth].weight.T if depth == 0 else h)
        if stack.skip == "highway":
            gate = torch.sigmoid(stack.transforms[depth](h))
            carried = h @ stack.carries[depth].weight.T if depth == 0 else h
            out = gate * out + (1 - gate) * carried
        h = out
        below.append(out)
    return torch.cat(below[::-1], 1) if stack.skip == "dense" else h


@pytest.mark.parametrize("skip", get_args(Skip))
def test_a_stack_is_its_layers_with_what_skips_them(skip):
    stack, x, plans = stack_of(skip)
    found = stack(x, plans)
    assert found.shape == (4, stack.output_size)
    assert_same(found.detach(), expected_output(stack, x, plans).detach())


@pytest.mark.parametrize("skip", ["residual", "highway"])
def test_equal_sizes_are_carried_as_they_are(skip):
    stack, _, _ = stack_of(skip, input_size=8)
    assert all(isinstance(carry, torch.nn.Identity) for carry in stack.carries)


def test_a_highway_starts_by_carrying():
    topology = sn.topologies.create("chain")
    stack = Stack(lambda size: sn.Recurrence(topology, "gru", size, 4), 4, 2, skip="highway")
    assert all((gate.bias == -1).all() for gate in stack.transforms)


@pytest.mark.parametrize("skip", get_args(Skip))
def test_a_net_learns_through_every_skip(skip):
    stack, x, plans = stack_of(skip)
    stack(x, plans).square().sum().backward()
    assert all(parameter.grad is not None for parameter in stack.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"skip": "residul"}, "'skip' is 'none' or .* got 'residul'; did you mean 'residual'"),
        ({"skip": "none", "num_layers": 0}, "'num_layers' is at least 1, got 0"),
        ({"skip": "none", "dropout": 1}, "'dropout' is from 0 to below 1, got 1"),
    ],
)
def test_a_bad_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        stack_of(**options)
