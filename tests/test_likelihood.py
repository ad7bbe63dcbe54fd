"""Likelihoods of pixels against their definitions."""

from itertools import product

import pytest
import torch
from conftest import assert_same

import structnet as sn
from structnet.plugins.grid.likelihood import (
    Bernoulli,
    Logistics,
    Softmax,
    create_likelihood,
    scaled,
)

CASES = {
    "bernoulli": Bernoulli(1),
    "bernoulli of two channels": Bernoulli(2),
    "softmax": Softmax(1, 17),
    "softmax of three channels": Softmax(3, 4),
    "logistics": Logistics(1, 256, 10),
    "logistics of two levels": Logistics(1, 2, 2),
    "logistics of two channels": Logistics(2, 5, 3),
    "logistics of three channels": Logistics(3, 4, 3),
}
each = pytest.mark.parametrize("model", CASES.values(), ids=list(CASES))


def outputs(model, count=3, scale=2.0):
    torch.manual_seed(0)
    return scale * torch.randn(count, model.num_outputs, dtype=torch.float64)


def every_value(model):
    return torch.tensor(list(product(range(model.levels), repeat=model.channels)))


@each
def test_probabilities_of_all_values_sum_to_one(model):
    values = every_value(model)
    for output in outputs(model):
        nats = model.nats(output.expand(len(values), -1), values)
        assert (-nats).exp().sum().item() == pytest.approx(1, abs=1e-10)


@each
def test_channels_given_those_before_sum_to_one_and_make_up_the_nats(model):
    values = every_value(model)
    output = outputs(model, len(values))
    total = torch.zeros(len(values), dtype=torch.float64)
    for channel in range(model.channels):
        each = model.log_probabilities(output, values, channel)
        assert each.shape == (len(values), model.levels)
        assert_same(each.exp().sum(1), torch.ones(len(values), dtype=torch.float64))
        total -= each.gather(1, values[:, channel, None])[:, 0]
    assert_same(model.nats(output, values), total)


@each
def test_a_channel_depends_on_the_outputs_that_may_see_so_much_and_on_earlier_channels(model):
    assert len(model.sees) == model.num_outputs
    output = outputs(model, 5).requires_grad_()
    values = torch.randint(model.levels, (5, model.channels))
    for channel in range(model.channels):
        chosen = model.log_probabilities(output, values, channel)
        (gradient,) = torch.autograd.grad(chosen.square().sum(), output)
        for number in gradient.abs().sum(0).nonzero()[:, 0].tolist():
            assert model.sees[number] <= channel
        later = values.clone()
        later[:, channel:] = torch.randint(model.levels, later[:, channel:].shape)
        assert torch.equal(chosen, model.log_probabilities(output, later, channel))


def test_the_mass_of_a_logistic_is_the_difference_of_its_distribution_at_the_ends_of_a_level():
    model, levels = Logistics(2, 8, 1), 8
    output = torch.tensor([[0.0, 0.3, -0.2, -1.0, -0.5, 0.7]], dtype=torch.float64)
    values = every_value(model)
    x = scaled(values.double(), levels)
    means = [0.3, -0.2 + torch.tensor(0.7, dtype=torch.float64).tanh() * x[:, 0]]
    probability = torch.ones(len(values), dtype=torch.float64)
    for channel, log_scale in enumerate((-1.0, -0.5)):
        centre = x[:, channel] - means[channel]
        scale = torch.tensor(log_scale, dtype=torch.float64).exp()
        above = ((centre + 1 / 7) / scale).sigmoid()
        below = ((centre - 1 / 7) / scale).sigmoid()
        above[values[:, channel] == 7], below[values[:, channel] == 0] = 1, 0
        probability *= above - below
    nats = model.nats(output.expand(len(values), -1), values)
    assert_same((-nats).exp(), probability)


@pytest.mark.parametrize("scale", [100.0, 10_000.0])
@each
def test_extreme_outputs_give_finite_nats_and_gradients(model, scale):
    output = outputs(model, 50, scale).float().requires_grad_()
    nats = model.nats(output, torch.randint(model.levels, (50, model.channels)))
    nats.sum().backward()
    assert nats.isfinite().all() and output.grad.isfinite().all()


@pytest.mark.parametrize("model", [model for model in CASES.values() if model.levels < 20])
def test_what_is_drawn_is_as_frequent_as_its_probability(model):
    count = 40_000
    output = outputs(model, 1, 1.0).expand(count, -1)
    random = torch.Generator().manual_seed(1)
    values = torch.zeros(count, model.channels, dtype=torch.long)
    for channel in range(model.channels):
        values[:, channel] = model.draw(output, values, channel, 1.0, random)
    table = every_value(model)
    expected = (-model.nats(output[: len(table)], table)).exp()
    code = torch.zeros(count, dtype=torch.long)
    for channel in range(model.channels):
        code = code * model.levels + values[:, channel]
    found = torch.bincount(code, minlength=len(table)) / count
    assert (found - expected).abs().max() < 0.015


@each
def test_a_draw_is_of_its_seed_and_cold_it_is_the_most_probable_value(model):
    output, values = outputs(model, 20), torch.zeros(20, model.channels, dtype=torch.long)
    one, other = (
        model.draw(output, values, 0, 1.0, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    assert torch.equal(one, other)
    best = model.log_probabilities(output, values, 0).argmax(1)
    cold = model.draw(output, values, 0, 1e-4, torch.Generator().manual_seed(3))
    assert torch.equal(cold, best)
    with pytest.raises(ValueError, match="temperature is above 0, got 0"):
        model.draw(output, values, 0, 0, None)


def test_sizes_are_those_of_the_papers():
    # Salimans et al. (2017): 100 outputs for three channels and ten mixtures.
    assert Logistics(3, 256, 10).num_outputs == 100
    assert Softmax(3, 256).num_outputs == 768
    assert Softmax(3, 2).sees == (0, 0, 1, 1, 2, 2)
    assert Bernoulli(1).sees == (0,)


def test_a_likelihood_is_chosen_by_name_and_by_the_levels_where_none_is_named():
    assert isinstance(create_likelihood(None, 1, 2, 10), Bernoulli)
    assert isinstance(create_likelihood(None, 1, 17, 10), Softmax)
    assert isinstance(create_likelihood("softmax", 1, 2, 10), Softmax)
    assert create_likelihood("logistics", 3, 256, 5).num_outputs == 50
    with pytest.raises(ValueError, match=r"2 levels, these have 256.*likelihood=softmax"):
        create_likelihood("bernoulli", 1, 256, 10)
    with pytest.raises(ValueError, match=r"'likelihood' is 'bernoulli' or .*got 'gauss'"):
        sn.tasks.create("digits", likelihood="gauss")
    with pytest.raises(ValueError, match="'mixtures' is at least 1, got 0"):
        create_likelihood("logistics", 1, 256, 0)
