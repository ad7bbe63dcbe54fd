"""The scan is a loop over time, on chains; and what linear cells do with several predecessors."""

import numpy as np
import pytest
import torch
from conftest import (
    SEEDS,
    assert_same,
    create_cells,
    everything,
    features,
    initial_states,
    recurrence,
)
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn
from structnet.cells.linear import LinearCell, shares
from structnet.execute.scan import CHUNK, can_scan, linear_recurrence


def is_linear(name, options):
    cell = sn.cells.create(name, 2, 2, 1, **options)
    return isinstance(cell, LinearCell) and cell.is_linear


CELLS = [case for case in create_cells() if is_linear(*case.values[0])]
every_linear_cell = pytest.mark.parametrize("cell", CELLS)
# What needs 0, 1, 2 and 3 rounds of chunks, with nothing, one and all but one left over.
LENGTHS = [0, 1, 2, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1,
           4 * CHUNK**2 - 1, 4 * CHUNK**2 + CHUNK + 1]  # fmt: skip


def loop(a, b, reverse=False):
    """h_t = a_t h_{t-1} + b_t, in plain autograd."""
    h, states = torch.zeros_like(b[0]) if len(b) else None, {}
    for t in reversed(range(len(b))) if reverse else range(len(b)):
        h = states[t] = a[t] * h + b[t]
    return torch.stack([states[t] for t in range(len(b))]) if len(b) else b * 1


def coefficients(length, size, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(length)
    a, b = torch.randn(2, length, size, generator=generator, dtype=dtype)
    return (scale * a).requires_grad_(), b.requires_grad_()


def chains(lengths, shuffle=None):
    """An edge list: chains, their nodes numbered at random; (index, num_nodes, nodes by chain)."""
    ids = np.arange(sum(lengths))
    if shuffle is not None:
        np.random.default_rng(shuffle).shuffle(ids)
    nodes = np.split(ids, np.cumsum(lengths)[:-1])
    pairs = [np.stack([chain[:-1], chain[1:]]) for chain in nodes]
    return np.concatenate(pairs, axis=1), len(ids), nodes


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_scan_is_a_loop_over_time(length, reverse):
    a, b = coefficients(length, 3)
    found, expected = linear_recurrence(a, b, reverse), loop(a, b, reverse)
    assert_same(found.detach(), expected.detach())
    weight = torch.randn(length, 3, dtype=torch.float64)
    grads = [torch.autograd.grad(h, (a, b), weight) for h in (found, expected)] if length else []
    if grads:
        assert_same(dict(zip("ab", grads[0], strict=True)), dict(zip("ab", grads[1], strict=True)))


@pytest.mark.parametrize("length", [1, 5, 2 * CHUNK + 1])
def test_a_scan_is_differentiable_twice(length):
    a, b = coefficients(length, 1, scale=0.5)
    assert torch.autograd.gradcheck(linear_recurrence, (a, b))
    assert torch.autograd.gradgradcheck(linear_recurrence, (a, b))


@pytest.mark.parametrize("a_is", [0.0, 1.0, -1.0, 1.5, 1e30])
def test_a_scan_is_finite_where_a_loop_is(a_is):
    # 1e30 stands at one step in ten only, between zeros: its powers overflow, and in no loop.
    length = 5 * CHUNK + 3
    a = torch.full((length, 2), a_is)
    if a_is > 2:
        a[torch.arange(length) % 10 != 0] = 0
    b = torch.randn(length, 2)
    found, expected = linear_recurrence(a, b), loop(a, b)
    assert torch.isfinite(expected).all()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_two_scans_give_the_same_bits():
    a, b = coefficients(4 * CHUNK**2 + 5, 3, torch.float32)
    assert torch.equal(linear_recurrence(a, b), linear_recurrence(a, b))


@every_linear_cell
@pytest.mark.parametrize("name", ["chain", "bichain", "tree", "any_dag"])
@pytest.mark.parametrize("lengths", [[], [1], [2 * CHUNK + 1], [5, 5, 5], [3, 40, 1], [4, 4, 3]])
def test_a_scan_is_the_reference_on_chains(cell, name, lengths):
    structures = {
        "chain": lengths,
        "bichain": lengths,
        "tree": [[[t + 1 if t + 1 < n else -1] for t in range(n)] for n in lengths],
        "any_dag": [[[t - 1] * (t > 0) for t in range(n)] for n in lengths],
    }[name]
    topology = sn.topologies.create(name, **({"arity": 1} if name == "tree" else {}))
    plans = topology.plan(structures)
    layer = recurrence(topology, cell)
    x, starts = features(plans), [None]
    if initial_states(layer, plans):
        starts.append(initial_states(layer, plans))
    for start in starts:
        expected = everything(layer, x, plans, start, "reference")
        assert_same(everything(layer, x, plans, start, "scan"), expected)
        assert_same(everything(layer, x, plans, start), everything(layer, x, plans, start, "scan"))


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), seed=SEEDS)
def test_chains_are_found_wherever_their_nodes_stand(lengths, seed):
    index, size, nodes = chains(lengths, seed)
    plan = sn.schedule(index, num_nodes=size)
    found = plan.order[plan.chains].tolist()
    at = {node: place for place, node in enumerate(found)}
    for chain in nodes:
        first = at[chain[0]]
        assert found[first : first + len(chain)] == chain.tolist()
    layer = recurrence("any_dag", "mingru", seed=seed)
    x = features([plan])
    assert_same(layer(x, [plan], executor="scan"), layer(x, [plan], executor="reference"))


@pytest.mark.parametrize("before", [[[], [0], [0]], [[], [], [0, 1]]], ids=["feeds", "has"])
def test_a_scan_is_refused_where_a_node_has_or_feeds_two(before):
    topology = sn.topologies.create("any_dag")
    plans = topology.plan([before])
    layer = recurrence(topology, "mingru")
    message = "linear cells on chains, and nodes of this plan of 3 have several slots or"
    with pytest.raises(ValueError, match=f"{message} feed several.*take executor='auto'"):
        layer(features(plans), plans, executor="scan")
    layer(features(plans), plans)


@pytest.mark.parametrize(
    ("cell", "options", "name"),
    [
        ("lstm", {}, "LSTM"),
        ("indrnn", {}, "IndRNN"),
        ("sru", {"peephole": True}, "SRU"),
    ],
)
def test_a_scan_is_refused_for_cells_that_are_not_linear(cell, options, name):
    topology = sn.topologies.create("chain")
    plans = topology.plan([3])
    layer = recurrence(topology, cell, **options)
    assert not can_scan(layer.cells[0], plans[0])
    with pytest.raises(ValueError, match=f"{name} is not linear .*take executor='auto'"):
        layer(features(plans), plans, executor="scan")


@every_linear_cell
def test_a_scan_in_single_precision_is_the_loop(cell):
    topology = sn.topologies.create("chain")
    plans = topology.plan([300, 70])
    # As a cell starts, not with random parameters: some of those grow by 10^30 in 300 steps.
    layer = sn.Recurrence(topology, cell[0], 3, 4, **cell[1])
    x, initial = features(plans, dtype=torch.float32), initial_states(layer, plans)
    initial = initial and [state.detach().float().requires_grad_() for state in initial]
    expected = everything(layer, x, plans, initial, "batched")
    assert_same(everything(layer, x, plans, initial, "scan"), expected, 1e-5)


@every_linear_cell
@pytest.mark.parametrize("scale", [0.0, 1e-40, 1.0, 1e4])
def test_10_000_steps_are_finite(cell, scale):
    topology = sn.topologies.create("chain")
    plans = topology.plan([10_000])
    layer = sn.Recurrence(topology, cell[0], 3, 4, **cell[1])
    x = (scale * features(plans, dtype=torch.float32)).detach().requires_grad_()
    h = layer(x, plans)
    h.mean().backward()
    assert torch.isfinite(h).all()
    for value in (x, *layer.parameters()):
        assert torch.isfinite(value.grad).all()


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_shares_sum_to_one_and_are_exact_far_out(slots):
    logits = torch.tensor([-1e4, -200.0, -3.0, 0.0, 200.0, 1e4]).double().view(-1, 1, 1)
    own, kept = shares(logits, slots)
    assert kept.shape == (6, slots, 1)
    assert_same(own + kept.sum(1), torch.ones(6, 1).double())
    assert_same(own[1:4], 1 / (1 + slots * logits[1:4, 0].exp()))
    assert own[4] == pytest.approx(np.exp(-200.0) / slots, rel=1e-12)


@pytest.mark.parametrize("cell", ["mingru", "minlstm", "fo", "sru"])
@pytest.mark.parametrize("arity", [3, None])
def test_a_gated_state_stays_among_its_candidates_however_many_paths(cell, arity):
    levels = 60
    # Three nodes a level, each of which reads all three before: 3^60 paths.
    before = [
        list(range(3 * (v // 3) - 3, 3 * (v // 3))) if v > 2 else [] for v in range(3 * levels)
    ]
    topology = sn.topologies.create("any_dag" if arity is None else "slotted_dag")
    plans = topology.plan([before])
    layer = recurrence(topology, cell, 2, 2)
    x = features(plans, 2)
    c = layer(x, plans, return_states=True)[1][0]
    made = layer.cells[0]
    candidates = made.candidate(x) if cell == "sru" else made.input(x)[:, :2]
    candidates = candidates.tanh() if cell == "fo" else candidates
    assert (c.abs() <= candidates.abs().amax(0) + 1e-12).all()


@pytest.mark.parametrize("arity", [3, None])
def test_a_state_space_model_takes_the_mean_or_the_sum(arity):
    topology = sn.topologies.create("any_dag" if arity is None else "slotted_dag")
    plans = topology.plan([[[], [], [], [0, 1, 2]]])
    h = {}
    for combine in ("mean", "sum"):
        layer = recurrence(topology, "ssm", state_size=3, combine=combine)
        x = features(plans)
        h[combine] = layer(x, plans, return_states=True)[1][0]
        _, b = layer.cells[0].coefficients(layer.cells[0].project(x), 3)
        assert_same(h[combine][:3].detach(), b[:3].detach())
    assert_same(3 * (h["mean"][3] - b[3]).detach(), (h["sum"][3] - b[3]).detach())


def test_options_of_linear_cells_are_checked():
    for name, options, message in [
        ("indrnn", {"nonlinearity": "sin"}, "'relu' or 'tanh' or 'none', got 'sin'"),
        ("ssm", {"combine": "max"}, "'mean' or 'sum', got 'max'"),
        ("ssm", {"state_size": 0}, "'state_size' is at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            sn.cells.create(name, 3, 4, 1, **options)


def test_a_state_space_model_starts_at_the_integers_and_with_small_steps():
    cell = sn.cells.create("ssm", 3, 50, 2)
    assert_same(cell.log_rate.exp().detach(), torch.arange(1.0, 17).repeat(50, 1), 1e-6)
    step = torch.nn.functional.softplus(cell.step)
    assert step.shape == (2, 50)
    assert step.min() >= 0.001 * 0.999 and step.max() <= 0.1 * 1.001


def test_a_plan_first_used_under_inference_mode_is_trained_on():
    topology = sn.topologies.create("chain")
    plans = topology.plan([5, 3])
    layer, x = recurrence(topology, "mingru"), features(plans)
    with torch.inference_mode():
        layer(x, plans)
    layer(x, plans).sum().backward()
    assert x.grad is not None
