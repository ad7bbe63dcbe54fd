"""Cells compute the equations they name, and what torch.nn computes where that is the same."""

import numpy as np
import pytest
import torch
from conftest import SEEDS, assert_same, create_cells, features, initial_states, recurrence
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import structnet as sn
from structnet.cells.gru import GRU

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=4)
# Our cell, its options, torch's module and where torch's gates stand among our columns.
EQUAL = {
    "lstm": ("lstm", {}, nn.LSTM, (0, 3, 2, 1)),
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
    return cell.input.weight[rows], cell.recurrent.T[rows], bias, recurrent_bias


def run_torch(module, layer, gates, x, lengths, initial):
    """torch's outputs and final states with our parameters, differentiable with respect to ours."""
    suffixes = ["_l0", "_l0_reverse"][: len(layer.cells)]
    kinds = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    parameters = {
        kind + suffix: value
        for suffix, cell in zip(suffixes, layer.cells, strict=True)
        for kind, value in zip(kinds, torch_parameters(cell, gates), strict=True)
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
    torch_options = options if module is nn.RNN else {}
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


@pytest.mark.parametrize("arity", [1, 2, 3, None])
@pytest.mark.parametrize("cell", list(create_cells()))
def test_a_cell_starts_with_orthogonal_recurrent_blocks_and_bounded_inputs(cell, arity):
    name, options = cell
    made = sn.cells.create(name, 6, 4, arity, **options)
    for key, weight in made.named_parameters(recurse=False):
        if key.startswith("recurrent"):
            blocks = [b for rows in weight.split(4) for b in rows.split(4, dim=1) if b.numel()]
            for block in blocks:
                torch.testing.assert_close(block @ block.T, torch.eye(4))
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
    assert (found[0] - found[1]).abs().min() > 1e-6


def test_forget_bias_is_where_the_forget_gates_start():
    bias = sn.cells.create("lstm", 3, 4, 2, forget_bias=2).input.bias
    assert bias.tolist() == [0.0] * 12 + [2.0] * 4


@pytest.mark.parametrize(
    ("name", "sizes", "options", "message"),
    [
        ("lstm", (0, 4), {}, "input_size is at least 1, got 0"),
        ("gru", (3, -1), {}, "hidden_size is at least 1, got -1"),
        ("elman", (3, 4), {"nonlinearity": "sin"}, "'tanh' or 'relu', got 'sin'"),
    ],
)
def test_bad_sizes_and_options_are_refused(name, sizes, options, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create(name, *sizes, 1, **options)
