"""Cells compute the equations they name, and what torch.nn computes where that is the same."""

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
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import structnet as sn
from structnet.cell.library.gru import GRU

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)
# Our cell, its options, torch's module and where torch's gates stand among our columns.
EQUAL = {
    "lstm": ("lstm", {}, nn.LSTM, (0, 3, 2, 1)),
    "projection": ("lstm", {"projection_size": 2}, nn.LSTM, (0, 3, 2, 1)),
    "gru": ("gru", {}, nn.GRU, (0, 1, 2)),
    "tanh": ("elman", {"nonlinearity": "tanh"}, nn.RNN, (0,)),
    "relu": ("elman", {"nonlinearity": "relu"}, nn.RNN, (0,)),
}


def torch_parameters(cell, gates):
    """Our parameters in torch's layout: input and recurrent weights, then their biases."""
    size = cell.hidden_size
    rows = torch.cat([torch.arange(gate * size, (gate + 1) * size) for gate in gates])
    bias = cell.input.bias[rows]
    recurrent_bias = torch.zeros_like(bias)
    if isinstance(cell, GRU):
        recurrent_bias = torch.cat([recurrent_bias[: 2 * size], cell.candidate_bias])
    parameters = (cell.input.weight[rows], cell.recurrent.T[rows], bias, recurrent_bias)
    return (*parameters, cell.projection.T) if hasattr(cell, "projection") else parameters


def run_torch(module, layer, gates, x, lengths, initial):
    """torch's outputs and final states with our parameters, differentiable with respect to ours."""
    suffixes = ["_l0", "_l0_reverse"][: len(layer.cells)]
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    parameters = {
        kind + suffix: value
        for suffix, cell in zip(suffixes, layer.cells, strict=True)
        for kind, value in zip(kinds, torch_parameters(cell, gates), strict=False)
    }
    packed = nn.utils.rnn.pack_sequence(x.split(lengths), enforce_sorted=False)
    start = None
    if initial is not None:
        start = [torch.stack(state.chunk(len(suffixes), 1)) for state in initial]
        start = tuple(start) if isinstance(module, nn.LSTM) else start[0]
    out, final = torch.func.functional_call(module, parameters, (packed, start))
    final = final if isinstance(final, tuple) else (final,)
    return torch.cat(nn.utils.rnn.unpack_sequence(out)), final


@pytest.mark.parametrize("name", ["chain", "bichain"])
@pytest.mark.parametrize("kind", EQUAL)
@pytest.mark.parametrize("given_initial", [False, True])
@settings(max_examples=8)
@given(lengths=LENGTHS, seed=SEEDS)
def test_on_chains_a_cell_is_torchs(name, kind, given_initial, lengths, seed):
    cell, options, module, gates = EQUAL[kind]
    topology = sn.topologies.create(name)
    plans = topology.plan(lengths)
    layer, x = recurrence(topology, cell, 3, 4, seed, **options), features(plans)
    initial = initial_states(layer, plans) if given_initial else None
    theirs = {"nonlinearity": "nonlinearity", "projection_size": "proj_size"}
    torch_options = {theirs[name]: value for name, value in options.items()}
    module = module(3, 4, bidirectional=name == "bichain", dtype=torch.float64, **torch_options)
    expected, final = run_torch(module, layer, gates, x, lengths, initial)
    h, states = layer(x, plans, initial=initial, return_states=True)
    assert_same(h.detach(), expected.detach())
    last = torch.tensor(lengths).cumsum(0)
    first = last - torch.tensor(lengths)
    ends = [last - 1, first]
    for state, theirs in zip(states, final, strict=True):
        for direction, part in enumerate(state.chunk(len(plans), 1)):
            assert_same(part[ends[direction]].detach(), theirs[direction].detach())
    inputs = [x, *layer.parameters(), *(initial or ())]
    weight = torch.randn_like(h)
    ours = torch.autograd.grad((h * weight).sum(), inputs, allow_unused=True)
    theirs = torch.autograd.grad((expected * weight).sum(), inputs, allow_unused=True)
    for value, found, wanted in zip(inputs, ours, theirs, strict=True):
        zero = torch.zeros_like(value)
        assert_same(zero if found is None else found, zero if wanted is None else wanted)


SMALL = np.array([[1, 2], [3, -1], [-1, 4], [-1, -1], [-1, -1]])
LEAVES_FIRST = [3, 4, 1, 2, 0]


def split(cell, x):
    """W x + b for the gates i, o, u, f."""
    return (cell.input.weight @ x + cell.input.bias).split(cell.hidden_size)


def test_on_ordered_slots_an_lstm_is_the_n_ary_tree_lstm():
    """Tai et al. (2015), equations 9-14, a matrix for every gate and pair of slots."""
    layer = recurrence(sn.topologies.create("tree"), "lstm", 3, 4)
    plans = sn.topologies.create("tree").plan([SMALL])
    x, cell, size = features(plans), layer.cells[0], 4
    of_slot = cell.recurrent.T.split(size, dim=1)
    U = {
        gate: [block[size * g : size * (g + 1)] for block in of_slot]
        for g, gate in enumerate(["i", "o", "u", ("f", 0), ("f", 1)])
    }
    zero = x.new_zeros(size)
    h, c = {-1: zero}, {-1: zero}
    for j in LEAVES_FIRST:
        children = SMALL[j].tolist()
        wi, wo, wu, wf = split(cell, x[j])
        i = torch.sigmoid(wi + sum(U["i"][k] @ h[child] for k, child in enumerate(children)))
        o = torch.sigmoid(wo + sum(U["o"][k] @ h[child] for k, child in enumerate(children)))
        u = torch.tanh(wu + sum(U["u"][k] @ h[child] for k, child in enumerate(children)))
        f = [
            torch.sigmoid(wf + sum(U["f", k][n] @ h[child] for n, child in enumerate(children)))
            for k in range(2)
        ]
        c[j] = i * u + sum(f[k] * c[child] for k, child in enumerate(children))
        h[j] = o * torch.tanh(c[j])
    _, (found_h, found_c) = layer(x, plans, return_states=True)
    assert_same(found_h, torch.stack([h[j] for j in range(5)]))
    assert_same(found_c, torch.stack([c[j] for j in range(5)]))


def test_on_unordered_predecessors_an_lstm_is_the_child_sum_tree_lstm():
    """Tai et al. (2015), equations 2-8."""
    topology = sn.topologies.create("tree", arity=None)
    plans = topology.plan([SMALL])
    layer = recurrence(topology, "lstm", 3, 4)
    x, cell = features(plans), layer.cells[0]
    Ui, Uo, Uu = cell.recurrent.T.split(4)
    Uf = cell.recurrent_edge.T
    h, c = {}, {}
    for j in LEAVES_FIRST:
        children = [child for child in SMALL[j].tolist() if child >= 0]
        wi, wo, wu, wf = split(cell, x[j])
        h_sum = sum((h[k] for k in children), x.new_zeros(4))
        i, o = torch.sigmoid(wi + Ui @ h_sum), torch.sigmoid(wo + Uo @ h_sum)
        u = torch.tanh(wu + Uu @ h_sum)
        c[j] = i * u + sum(torch.sigmoid(wf + Uf @ h[k]) * c[k] for k in children)
        h[j] = o * torch.tanh(c[j])
    _, (found_h, found_c) = layer(x, plans, return_states=True)
    assert_same(found_h, torch.stack([h[j] for j in range(5)]))
    assert_same(found_c, torch.stack([c[j] for j in range(5)]))


class Grid(sn.Topology):
    """Left and up. Structure: (height, width), row by row."""

    arity = 2

    def predecessors(self, structure):
        height, width = structure
        nodes = np.arange(height * width).reshape(height, width)
        left, up = np.full_like(nodes, -1), np.full_like(nodes, -1)
        left[:, 1:], up[1:] = nodes[:, :-1], nodes[:-1]
        return np.stack([left.ravel(), up.ravel()], axis=1)


class Row(Grid):
    """Up-left, up and up-right. Structure: (height, width), row by row."""

    arity = 3

    def predecessors(self, structure):
        height, width = structure
        above = np.full((height, width + 2), -1)
        above[1:, 1:-1] = np.arange((height - 1) * width).reshape(height - 1, width)
        return np.stack([above[:, k : k + width].ravel() for k in range(3)], axis=1)


def unrolled(layer, x, before, step):
    """h and c of nodes in order; `step(W x + b, U h, memories)`, gates i, o, u, f, is one's own."""
    cell = layer.cells[0]
    zero = x.new_zeros(cell.hidden_size)
    h, c = {-1: zero}, {-1: zero}
    for j, earlier in enumerate(before.tolist()):
        products = torch.cat([h[k] for k in earlier]) @ cell.recurrent
        sums = products.split(cell.hidden_size)
        h[j], c[j] = step(split(cell, x[j]), sums, [c[k] for k in earlier])
    nodes = range(len(before))
    return torch.stack([h[j] for j in nodes]), torch.stack([c[j] for j in nodes])


def test_on_a_grid_an_lstm_with_peepholes_is_the_2_d_lstm():
    """Graves et al. (2007), section 2.1: a forget gate per dimension, which sees its own memory."""
    plans = Grid().plan([(3, 4)])
    layer = recurrence(Grid(), "lstm", 3, 4, peephole=True)
    x, cell = features(plans), layer.cells[0]

    def step(W, U, past):
        (wi, wo, wu, wf), (ui, uo, uu, *uf) = W, U
        i = torch.sigmoid(wi + ui + sum(p * c for p, c in zip(cell.peephole_i, past, strict=True)))
        by_dimension = zip(uf, cell.peephole_f, past, strict=True)
        f = [torch.sigmoid(wf + u + p * c) for u, p, c in by_dimension]
        c = i * torch.tanh(wu + uu) + f[0] * past[0] + f[1] * past[1]
        return torch.sigmoid(wo + uo + cell.peephole_o * c) * torch.tanh(c), c

    expected = unrolled(layer, x, Grid().predecessors((3, 4)), step)
    _, states = layer(x, plans, return_states=True)
    assert_same(states[0].detach(), expected[0].detach())
    assert_same(states[1].detach(), expected[1].detach())


@pytest.mark.parametrize(("topology", "slot"), [(Row(), 0), (Row(), 1), (Row(), 2), (Grid(), 1)])
def test_an_lstm_that_forgets_one_slot_is_the_pixel_rnn(topology, slot):
    """Van den Oord et al. (2016), eq. 3: all slots feed the gates, one slot the memory."""
    plans = topology.plan([(3, 4)])
    layer = recurrence(topology, "lstm", 3, 4, forget=slot)
    x = features(plans)

    def step(W, U, past):
        i, o, u, f = (w + u for w, u in zip(W, U, strict=True))
        c = torch.sigmoid(f) * past[slot] + torch.sigmoid(i) * torch.tanh(u)
        return torch.sigmoid(o) * torch.tanh(c), c

    expected = unrolled(layer, x, topology.predecessors((3, 4)), step)
    _, states = layer(x, plans, return_states=True)
    assert_same(states[0].detach(), expected[0].detach())
    assert_same(states[1].detach(), expected[1].detach())


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"peephole": True, "diagonal": True},
        {"coupled": True, "layer_norm": True},
        {"drop_gate": "forget", "projection_size": 3},
    ],
)
def test_memory_from_one_slot_goes_with_the_other_options(options):
    plans = Grid().plan([(2, 3), (1, 4)])
    layer = recurrence(Grid(), "lstm", 3, 4, forget=1, **options)
    x = features(plans)
    assert_same(everything(layer, x, plans), everything(layer, x, plans, executor="reference"))


def test_on_one_slot_memory_from_that_slot_is_the_plain_lstm():
    topology = sn.topologies.create("chain")
    plans = topology.plan([5, 2])
    x = features(plans)
    plain, named = (recurrence(topology, "lstm", forget=slot) for slot in (None, 0))
    assert_same(everything(named, x, plans), everything(plain, x, plans))


@pytest.mark.parametrize("arity", [1, 2, 3, None])
@pytest.mark.parametrize("cell", list(create_cells()))
def test_a_cell_starts_with_orthogonal_recurrent_blocks_and_bounded_inputs(cell, arity):
    name, options = cell
    made = sn.cells.create(name, 6, 4, arity, **options)
    # A projected state is what a recurrent matrix reads.
    rows, columns = made.output_size, made.hidden_size
    for key, weight in made.named_parameters(recurse=False):
        if key.startswith("recurrent"):
            blocks = [b for band in weight.split(rows) for b in band.split(columns, dim=1)]
            for block in blocks:
                if block.numel():
                    torch.testing.assert_close(block @ block.T, torch.eye(rows))
    if isinstance(made.input, nn.Linear):
        assert made.input.weight.abs().max() <= (6 / (6 + 4)) ** 0.5


@pytest.mark.parametrize("cell", list(create_cells()))
def test_unordered_predecessors_may_come_in_any_order(cell):
    topology = sn.topologies.create("any_dag")
    layer = recurrence(topology, cell)
    found = []
    for last in ([0, 1, 2], [2, 0, 1]):
        plans = topology.plan([[[], [], [], last]])
        found.append(layer(features(plans), plans).detach())
    assert_same(*found)


@pytest.mark.parametrize("cell", sn.cells.names())
def test_ordered_slots_have_weights_of_their_own(cell):
    topology = sn.topologies.create("tree")
    layer = recurrence(topology, cell)
    found = []
    for children in ([1, 2], [2, 1]):
        plans = topology.plan([[children, [-1, -1], [-1, -1]]])
        found.append(layer(features(plans), plans)[0].detach())
    # One unit is enough: others may be cut off by relu.
    assert (found[0] - found[1]).abs().max() > 1e-6


def test_forget_bias_is_where_the_forget_gates_start():
    bias = sn.cells.create("lstm", 3, 4, 2, forget_bias=2).input.bias
    assert bias.tolist() == [0.0] * 12 + [2.0] * 4
    normal = sn.cells.create("lstm", 3, 4, 2, forget_bias=2, layer_norm=True)
    assert normal.norm_bias.tolist() == [0.0] * 12 + [2.0] * 4
    carried = sn.cells.create("lstm", 3, 4, 2, forget_bias=2, forget=0, drop_gate="input")
    assert carried.input.bias.tolist() == [0.0] * 8 + [2.0] * 4


@pytest.mark.parametrize("arity", [1, 3, None])
def test_an_irnn_starts_by_adding_its_states_up(arity):
    cell = sn.cells.create("elman", 3, 4, arity, nonlinearity="relu", init="identity")
    h = torch.rand(5, arity or 2, 4)
    assert torch.equal(cell(torch.zeros(5, 4), h), h.sum(1))


def test_chrono_starts_gates_for_dependencies_of_up_to_so_many_steps():
    """Tallec and Ollivier (2018), eq. 16."""
    lstm = sn.cells.create("lstm", 3, 1000, 2, chrono=50)
    i, o, u, f = lstm.input.bias.detach().split(1000)
    assert torch.equal(i, -f)
    assert not o.any() and not u.any()
    for bias in (f, sn.cells.create("gru", 3, 1000, 1, chrono=50).input.bias[1000:2000].detach()):
        steps = bias.exp()
        assert 1 <= steps.min() < 3 and 47 < steps.max() <= 49 + 1e-4
        assert abs(steps.mean() - 25) < 2
    coupled = sn.cells.create("lstm", 3, 4, 2, chrono=50, coupled=True)
    assert coupled.input.bias[:8].tolist() == [0.0] * 8 and (coupled.input.bias[8:] > 0).all()


@pytest.mark.parametrize("arity", [2, None])
@pytest.mark.parametrize("gate", ["input", "forget", "output"])
def test_a_dropped_gate_has_no_parameters(gate, arity):
    def count(**options):
        cell = sn.cells.create("lstm", 3, 4, arity, peephole=True, **options)
        return sum(parameter.numel() for parameter in cell.parameters())

    slots = arity or 1
    # An edge gate of ordered slots has a matrix for every pair of slots.
    matrices = slots * slots if gate == "forget" else slots
    peepholes = 1 if gate == "output" else slots
    assert count() - count(drop_gate=gate) == 4 * (3 + 1) + 16 * matrices + 4 * peepholes


@pytest.mark.parametrize(
    ("name", "arity", "options", "message"),
    [
        ("elman", 1, {"nonlinearity": "sin"}, "'nonlinearity' is 'tanh' or 'relu', got 'sin'"),
        ("elman", 1, {"init": "zeros"}, "'init' is 'orthogonal' or 'identity', got 'zeros'"),
        ("gru", 1, {"reset": "never"}, "'reset' is 'after' or 'before', got 'never'"),
        ("gru", 1, {"chrono": 1}, "'chrono' is at least 2 steps, got 1"),
        ("lstm", 1, {"chrono": 0}, "'chrono' is at least 2 steps, got 0"),
        ("lstm", 1, {"drop_gate": "u"}, "None or 'input' or 'forget' or 'output', got 'u'"),
        ("lstm", 1, {"coupled": True, "drop_gate": "input"}, "'coupled' .* got 'input'"),
        ("lstm", 1, {"coupled": True, "drop_gate": "forget"}, "'coupled' .* got 'forget'"),
        ("lstm", 1, {"chrono": 9, "drop_gate": "forget"}, "'chrono' .* got 'forget' and 9"),
        ("lstm", 1, {"projection_size": 0}, "'projection_size' is at least 1, got 0"),
        ("lstm", 1, {"projection_size": 2, "diagonal": True}, "is square, got 2 x 4"),
        ("lstm", 2, {"forget": 2}, "'forget' is None or a slot from 0 to 1, got 2"),
        ("lstm", 2, {"forget": -1}, "'forget' is None or a slot from 0 to 1, got -1"),
        ("lstm", None, {"forget": 0}, "'forget' is None where predecessors have no order, .* 0"),
    ],
)
def test_bad_options_are_refused(name, arity, options, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create(name, 3, 4, arity, **options)


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("lstm", (0, 4), "input_size is at least 1, got 0"),
        ("gru", (3, -1), "hidden_size is at least 1, got -1"),
    ],
)
def test_bad_sizes_are_refused(name, sizes, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create(name, *sizes, 1)
