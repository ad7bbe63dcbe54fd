"""Noise in a recurrence: the same for every executor and in a whole sample, and none in use."""

import pytest
import torch
from conftest import assert_same, batches, everything, features, pairs, recurrence
from hypothesis import given, settings
from hypothesis import strategies as st

import structnet as sn

ALL = {"recurrent_dropout": 0.4, "zoneout": 0.3, "weight_drop": 0.5}
RATES = [{name: rate} for name, rate in ALL.items()] + [ALL]


def noisy(layer, x, plans, executor):
    torch.manual_seed(3)
    return everything(layer, x, plans, executor=executor)


NOISY = [
    pytest.param((cell, rates), id="-".join((cell, *rates)))
    for cell in ("lstm", "gru", "mut1")
    for rates in RATES
]
# Linear cells have no recurrent matrix for other noise.
NOISY.append(pytest.param(("mingru", {"zoneout": 0.3}), id="mingru-zoneout"))


@pairs("noise", NOISY)
@settings(max_examples=2)
@given(data=st.data())
def test_every_executor_sees_the_same_noise(topology, noise, data):
    cell, rates = noise
    plans = topology.plan(data.draw(batches(topology)))
    layer, x = recurrence(topology, cell, **rates), features(plans)
    assert_same(noisy(layer, x, plans, "batched"), noisy(layer, x, plans, "reference"))


@pytest.mark.parametrize("rates", RATES, ids=lambda rates: "-".join(rates))
def test_noise_is_drawn_anew_in_training_and_not_at_all_in_use(rates):
    topology = sn.topologies.create("chain")
    plans = topology.plan([6, 3])
    layer, x = recurrence(topology, "lstm", hidden_size=8, **rates), features(plans)
    assert not layer(x, plans).equal(layer(x, plans))
    layer.eval()
    assert layer(x, plans).equal(layer(x, plans))
    if "zoneout" not in rates:
        assert_same(layer(x, plans).detach(), plain(layer)(x, plans).detach())


def plain(layer):
    """The same weights without noise."""
    quiet = sn.Recurrence("chain", "lstm", 3, 8).double()
    quiet.load_state_dict(layer.state_dict())
    return quiet


def test_recurrent_dropout_has_one_mask_for_all_nodes_of_a_sample():
    """With h = h_before + x the mask is read off the outputs of a chain."""
    layer = sn.Recurrence("chain", "elman", 1, 64, nonlinearity="relu", recurrent_dropout=0.25)
    with torch.no_grad():
        layer.cells[0].recurrent.copy_(torch.eye(64))
        layer.cells[0].input.weight.fill_(1.0)
    plans = sn.topologies.create("chain").plan([5, 5, 5])
    h = layer(torch.ones(15, 1), plans).view(3, 5, 64)
    scale = 1 / 0.75
    masks = ((h[:, 1] - 1) / scale).round(decimals=5)
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    assert not masks[0].equal(masks[1])
    for step in range(1, 5):
        assert_same(h[:, step], 1 + h[:, step - 1] * masks * scale, 1e-5)
    assert masks.mean().item() == pytest.approx(0.75, abs=0.12)


def test_zoneout_keeps_a_share_of_the_units_and_mixes_in_use():
    """Krueger et al. (2016), eq. 2-5."""
    layer = recurrence(sn.topologies.create("chain"), "lstm", hidden_size=400, zoneout=0.2)
    plans = sn.topologies.create("chain").plan([4])
    x = features(plans)
    _, states = layer(x, plans, return_states=True)
    for state in states:
        kept = state[1:] == state[:-1]
        assert kept.double().mean().item() == pytest.approx(0.2, abs=0.04)
    layer.eval()
    _, (h, c) = layer(x, plans, return_states=True)
    one = sn.topologies.create("chain").plan([1])
    quiet = recurrence(sn.topologies.create("chain"), "lstm", hidden_size=400)
    quiet.load_state_dict(layer.state_dict())
    before = [torch.zeros(1, 400, dtype=torch.float64)] * 2
    for step in range(4):
        _, new = quiet(x[step : step + 1], one, initial=before, return_states=True)
        before = [0.8 * value + 0.2 * old for value, old in zip(new, before, strict=True)]
        assert_same([h[step : step + 1].detach(), c[step : step + 1].detach()],
                    [value.detach() for value in before])  # fmt: skip


def test_weight_drop_is_a_mask_on_the_recurrent_weights():
    topology = sn.topologies.create("chain")
    layer, plans = recurrence(topology, "lstm", weight_drop=0.5), topology.plan([4, 2])
    x, weight = features(plans), layer.cells[0].recurrent
    torch.manual_seed(3)
    found = layer(x, plans)
    (grad,) = torch.autograd.grad(found.sum(), weight)
    torch.manual_seed(3)
    mask = torch.nn.functional.dropout(torch.ones_like(weight), 0.5)
    quiet = recurrence(topology, "lstm")
    quiet.load_state_dict(layer.state_dict())
    with torch.no_grad():
        quiet.cells[0].recurrent.mul_(mask)
    expected = quiet(x, plans)
    assert_same(found.detach(), expected.detach())
    (unmasked,) = torch.autograd.grad(expected.sum(), quiet.cells[0].recurrent)
    assert_same(grad, unmasked * mask)


@pytest.mark.parametrize("cell", ["gru", "mgu", "mut2", "lstm", "elman"])
def test_recurrent_dropout_acts_on_what_enters_matrices_not_on_what_is_carried(cell):
    """A carried state, scaled up at every step, would grow without bound."""
    layer = sn.Recurrence("chain", cell, 8, 16, recurrent_dropout=0.5)
    plans = sn.topologies.create("chain").plan([300])
    assert layer(torch.randn(300, 8), plans).abs().max() < 10


def test_a_gru_with_recurrent_dropout_is_gal_and_ghahramanis():
    layer = recurrence(sn.topologies.create("chain"), "gru", hidden_size=8, recurrent_dropout=0.5)
    plans = sn.topologies.create("chain").plan([5])
    x, cell = features(plans), layer.cells[0]
    torch.manual_seed(3)
    found = layer(x, plans)
    torch.manual_seed(3)
    mask = torch.empty(1, 8, dtype=torch.float64).bernoulli_(0.5)[0] / 0.5
    h = torch.zeros(8, dtype=torch.float64)
    for step in range(5):
        r_x, u_x, n_x = cell.input(x[step]).chunk(3)
        r_h, u_h, n_h = ((h * mask) @ cell.recurrent).chunk(3)
        n = torch.tanh(n_x + torch.sigmoid(r_x + r_h) * (n_h + cell.candidate_bias))
        u = torch.sigmoid(u_x + u_h)
        h = (1 - u) * n + u * h
        assert_same(found[step].detach(), h.detach())


@pytest.mark.parametrize("option", ["recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("cell", ["mingru", "ssm", "indrnn", "mlstm"])
def test_noise_of_recurrent_matrices_is_refused_where_there_are_none(cell, option):
    with pytest.raises(ValueError, match=f"'{option}' is for recurrent matrices, .* has none"):
        sn.Recurrence("chain", cell, 3, 4, **{option: 0.2})


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_out_of_range_is_refused(name, rate):
    with pytest.raises(ValueError, match=f"'{name}' is from 0 to below 1, got {rate}"):
        sn.Recurrence("chain", "lstm", 3, 2, **{name: rate})
