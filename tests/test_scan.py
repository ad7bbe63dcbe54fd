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
    pass_of,
    recurrence,
    scans,
)
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn
from structnet.bench.stopwatch import peak_bytes
from structnet.cell.frame import counting
from structnet.cell.library.mingru import MinGRU
from structnet.cell.library.ssm import SSM
from structnet.cell.linear import LinearCell, shares
from structnet.execute import selective
from structnet.execute.chains import chains_of
from structnet.execute.executor import find
from structnet.execute.linear_recurrence import CHUNK, LEAST_CHUNKS, linear_recurrence
from structnet.execute.scan import scan_states


def is_linear(name, options):
    cell = sn.cells.create(name, 2, 2, 1, **options)
    return isinstance(cell, LinearCell) and cell.is_linear


CELLS = [case for case in create_cells() if is_linear(*case.values[0])]
every_linear_cell = pytest.mark.parametrize("cell", CELLS)
# What needs 0, 1 and 2 rounds of chunks, with nothing, one and all but one left over.
LENGTHS = [0, 1, 2, CHUNK - 1, CHUNK, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1,
           4 * CHUNK**2 - 1, 4 * CHUNK**2 + CHUNK + 1,
           LEAST_CHUNKS * CHUNK - 1, LEAST_CHUNKS * CHUNK, LEAST_CHUNKS * CHUNK + 1,
           LEAST_CHUNKS * CHUNK**2 + CHUNK + 1]  # fmt: skip


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
    assert not scans(layer.cells[0], plans[0])
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
        present = torch.tensor([[True, False, False]] * 3 + [[True] * 3])
        with counting(present):
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


# Outputs without states

SHAPES = [[1], [5, 5, 5], [3, 40, 1], [3 * CHUNK] * 2, [3 * CHUNK + 2] * 2, [10 * CHUNK + 7]]
every_shape = pytest.mark.parametrize("lengths", SHAPES, ids=str)


@pytest.fixture(params=[1, 2**21], ids=["small blocks", "one block"])
def block(request, monkeypatch):
    """Blocks of a scan as small as there are, and larger than any here."""
    monkeypatch.setattr(selective, "CPU_BLOCK", request.param)


def scanned(cell, plan, z, initial=None, keep=True):
    layer_pass = pass_of(cell, plan, z, initial, with_states=keep)
    return find("scan").run(layer_pass)


def looped(cell, plan, z, initial):
    return find("reference").run(pass_of(cell, plan, z, initial))


def outputs(run, layer, plan, x, initial=None, **options):
    """The output and the states of the layer's cell on x by rank."""
    cell = layer.cells[0]
    h, states = run(cell, plan, cell.project(x), initial and tuple(initial), **options)
    return [h, *states]


def gradients(layer, found, x, initial=None, **options):
    """Gradients of a random function of all that is found, zeros where there are none."""
    generator = torch.Generator().manual_seed(4)
    weights = [torch.randn(y.shape, generator=generator, dtype=torch.float64) for y in found]
    inputs = [x, *(initial or ()), *layer.parameters()]
    found = torch.autograd.grad(found, inputs, weights, allow_unused=True, **options)
    pairs = zip(inputs, found, strict=True)
    return [torch.zeros_like(x) if grad is None else grad for x, grad in pairs]


def problem(lengths, cell="ssm", with_initial=False, **options):
    topology = sn.topologies.create("chain")
    plans = topology.plan(lengths)
    layer = recurrence(topology, cell, **options)
    # Rates that do not decay within a block.
    with torch.no_grad():
        for name, value in layer.named_parameters():
            if name.endswith("log_rate"):
                value -= 3
    return layer, plans[0], features(plans), initial_states(layer, plans) if with_initial else None


@every_linear_cell
@every_shape
@pytest.mark.parametrize("with_initial", [False, True], ids=["from zeros", "from states"])
@pytest.mark.usefixtures("block")
def test_an_output_with_and_without_states_is_that_of_a_loop(cell, lengths, with_initial):
    layer, plan, x, initial = problem(lengths, cell, with_initial)
    for keep in (True, False):
        found = outputs(scanned, layer, plan, x, initial, keep=keep)
        expected = outputs(looped, layer, plan, x, initial)[: len(found)]
        assert_same(found, expected)
        grads = gradients(layer, found, x, initial)
        assert_same(grads, gradients(layer, expected, x, initial))


def test_an_output_of_nothing_is_empty():
    layer, plan, x, _ = problem([])
    assert [y.shape for y in outputs(scanned, layer, plan, x)] == [(0, 2), (0, 32)]


@pytest.mark.usefixtures("block")
def test_states_alone_have_gradients():
    layer, plan, x, initial = problem([40, 40], with_initial=True)
    found, expected = (outputs(run, layer, plan, x, initial)[1:] for run in (scanned, looped))
    assert_same(gradients(layer, found, x, initial), gradients(layer, expected, x, initial))


@pytest.mark.usefixtures("block")
def test_gradients_of_an_output_are_found_again_with_the_graph_retained():
    layer, plan, x, _ = problem([40, 40])
    found = outputs(scanned, layer, plan, x)
    first = gradients(layer, found, x, retain_graph=True)
    assert_same(gradients(layer, found, x), first, 0)
    with pytest.raises(RuntimeError, match="second time"):
        gradients(layer, found, x)


@every_shape
@pytest.mark.usefixtures("block")
def test_an_output_is_differentiable_twice(lengths):
    layer, plan, x, initial = problem(lengths, with_initial=True, state_size=3)
    second = []
    for run in (scanned, looped):
        found = outputs(run, layer, plan, x, initial)
        grads = gradients(layer, found, x, initial, create_graph=True)
        loss = sum((grad**2).sum() for grad in grads)
        second.append(torch.autograd.grad(loss, [x, *initial, *layer.parameters()]))
    assert_same(list(second[0]), list(second[1]), 1e-10)


@pytest.mark.usefixtures("block")
def test_only_what_requires_a_gradient_has_one():
    layer, plan, x, _ = problem([40, 40])
    expected = gradients(layer, outputs(scanned, layer, plan, x), x)
    names = ["x", *(name for name, _ in layer.named_parameters())]
    layer.requires_grad_(False)
    cell = layer.cells[0]
    cell.log_rate.requires_grad_(True)
    h = outputs(scanned, layer, plan, x.detach())
    generator = torch.Generator().manual_seed(4)
    weights = [torch.randn(y.shape, generator=generator, dtype=torch.float64) for y in h]
    (found,) = torch.autograd.grad(h, [cell.log_rate], weights)
    assert_same(found, expected[names.index("cells.0.log_rate")])


@pytest.mark.usefixtures("block")
def test_states_that_were_written_to_are_not_differentiated():
    layer, plan, x, _ = problem([40, 40])
    h, states = scanned(layer.cells[0], plan, layer.cells[0].project(x))
    with torch.no_grad():
        states[0].zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


@pytest.mark.parametrize("lengths", [[300, 300], [300, 70]], ids=str)
@pytest.mark.usefixtures("block")
def test_an_output_in_low_precision_has_states_in_full(lengths):
    layer, plan, x, _ = problem(lengths)
    layer, x = layer.float(), x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        cell = layer.cells[0]
        z = cell.project(x)
        h, states = scanned(cell, plan, z)
        expected = scan_states(pass_of(cell, plan, z), chains_of(plan))
        output = cell.output(z, *expected)
    assert states[0].dtype == torch.float32
    assert_same(states[0].detach(), expected[0].detach(), 1e-5)
    assert_same(h.detach().float(), output.detach().float(), 1e-2)
    h.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.usefixtures("block")
def test_an_output_without_gradients_is_the_same():
    layer, plan, x, _ = problem([40, 40])
    expected = [y.detach() for y in outputs(scanned, layer, plan, x)]
    for without in (torch.no_grad, torch.inference_mode):
        with without():
            assert_same(outputs(scanned, layer, plan, x), expected, 0)


@pytest.mark.parametrize("lengths", [[300, 300], [300, 200]], ids=str)
def test_an_output_takes_less_memory_than_its_states(lengths, monkeypatch):
    monkeypatch.setattr(selective, "CPU_BLOCK", 2**14)
    layer, plan, x, _ = problem(lengths, hidden_size=32, state_size=32)

    def step():
        (h,) = outputs(scanned, layer, plan, x, keep=False)
        h.sum().backward()

    assert peak_bytes(step) < sum(lengths) * 32 * 32 * 8


@every_linear_cell
@pytest.mark.parametrize("name", ["chain", "bichain"])
@pytest.mark.parametrize("options", [{}, {"zoneout": 0.3}, {"truncate": 4}], ids=str)
def test_a_layer_gives_the_same_whether_states_are_asked_for_or_not(cell, name, options):
    topology = sn.topologies.create(name)
    plans = topology.plan([9, 9, 30])
    layer = recurrence(topology, cell[0], **cell[1], **options)
    found = []
    for with_states in (False, True):
        torch.manual_seed(0)
        x = features(plans)
        h = layer(x, plans, return_states=with_states)
        h = h[0] if with_states else h
        grads = torch.autograd.grad((h**2).sum(), [x, *layer.parameters()], allow_unused=True)
        found.append([h.detach(), *(grad for grad in grads if grad is not None)])
    assert_same(*found)


def test_an_output_is_refused_where_a_scan_is():
    topology = sn.topologies.create("any_dag")
    plans = topology.plan([[[], [0], [0]]])
    layer = recurrence(topology, "ssm")
    with pytest.raises(ValueError, match="several slots or feed several nodes"):
        layer(features(plans), plans, executor="scan")


class OtherOutput(SSM):
    def output(self, z, *states):
        return super().output(z, *states).tanh()


class OtherCoefficients(SSM):
    def coefficients(self, z, slots):
        a, b = super().coefficients(z, slots)
        return a / 2, b


class OtherStep(MinGRU):
    def forward(self, z, c):
        return super().forward(z, c).tanh()


@pytest.mark.parametrize("cell", [OtherOutput, OtherCoefficients, OtherStep])
def test_a_cell_derived_from_a_linear_one_is_what_it_says(cell):
    topology = sn.topologies.create("chain")
    plans = topology.plan([5, 3])
    layer = recurrence(topology, cell)
    x = features(plans)
    assert_same(everything(layer, x, plans, executor="auto"),
                everything(layer, x, plans, executor="reference"))  # fmt: skip


def test_a_cell_with_a_step_of_its_own_is_not_scanned():
    with pytest.raises(ValueError, match="executor 'scan' runs linear cells"):
        sn.Recurrence("chain", OtherStep, 3, 4, executor="scan")
