"""A Triton kernel a level: what comes of it is the reference.

Triton is no dependency; without it most of these tests are skipped, without a GPU it interprets the
kernels, slowly.
"""

import copy
import gc
import shutil
import weakref
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from commands import SMALL, call, code_folder, refused, run_python, trained
from conftest import (
    assert_same,
    batches,
    every_topology,
    everything,
    features,
    initial_states,
    random_tree,
    recurrence,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

import structnet as sn
from structnet.execute.executor import Spec, find
from structnet.plugins.triton import record

if find_spec("triton") is not None:
    from structnet.plugins.triton import replay, sweep
    from structnet.plugins.triton.launch import launch as launch_there

pytestmark = pytest.mark.gpu
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CELLS = [("elman", {}), ("elman", {"nonlinearity": "relu"}), ("gru", {}), ("lstm", {})]
every_fused = pytest.mark.parametrize("cell", CELLS, ids=["elman", "relu", "gru", "lstm"])
# Nodes that feed one slot of several others, several slots of one, and nobody.
SLOTTED = [[[], [0], [0], [1, 0, 2], [1, 0, 0], [4, 1], []], [[]]]
DAG = [[[], [], [0, 1], [2], [2, 3, 0, 0], [4], []], [[]]]
STRUCTURES = {
    "chain": [5, 1, 3],
    "tree": [random_tree(9, np.random.default_rng(0)), [[-1, -1]]],
    "slotted_dag": SLOTTED,
    "any_dag": DAG,
    "diagonal": [(3, 4), (1, 2)],
}
every_kind = pytest.mark.parametrize("name", STRUCTURES)


has_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="Triton is not installed: pip install triton"
)


def there(value):
    """A tensor of its own or a layer, where kernels run."""
    if not isinstance(value, torch.Tensor):
        return copy.deepcopy(value).to(DEVICE)
    return value.detach().to(DEVICE).requires_grad_(value.requires_grad)


def fused(layer, x, plans, initial=None, executor="fused", **options):
    """Everything, from where kernels run."""
    initial = None if initial is None else list(map(there, initial))
    plans = tuple(plan.to(DEVICE) for plan in plans)
    return everything(there(layer), there(x), plans, initial, executor, **options)


def assert_fused_is_reference(layer, plans, tolerance=1e-12, dtype=torch.float64):
    x = features(plans, layer.input_size, dtype=dtype)
    initial = initial_states(layer, plans, dtype=dtype)
    for start in (None,) if initial is None else (None, initial):
        expected = everything(layer, x, plans, start, "reference")
        assert_same(fused(layer, x, plans, start), expected, tolerance)


def built(name, cell, structures=None, **options):
    topology = sn.topologies.create(name)
    return recurrence(topology, cell, **options), topology.plan(structures or STRUCTURES[name])


@has_triton
@every_fused
@every_kind
def test_a_fused_cell_is_the_reference(name, cell):
    assert_fused_is_reference(*built(name, cell))


@has_triton
@pytest.mark.slow
@every_topology
@settings(max_examples=3)
@given(data=st.data())
def test_a_fused_lstm_is_the_reference_on_every_topology(topology, data):
    plans = topology.plan(data.draw(batches(topology, max_samples=3)))
    assert_fused_is_reference(recurrence(topology, "lstm"), plans)


@has_triton
@pytest.mark.parametrize("size", [1, 16, 33])
@every_fused
def test_hidden_units_fill_tiles_or_part_of_them(cell, size):
    name, options = cell
    layer = sn.Recurrence("tree", name, 3, size, **options).double()
    assert_fused_is_reference(layer, layer.topology.plan(STRUCTURES["tree"]), 1e-11)


@has_triton
@every_fused
@pytest.mark.parametrize("name", ["chain", "any_dag"])
def test_levels_of_more_nodes_than_a_tile(name, cell):
    structures = {"chain": [2] * 67 + [1], "any_dag": [[[], [], [0, 1, 1]]] * 35}[name]
    assert_fused_is_reference(*built(name, cell, structures))


@has_triton
@every_fused
def test_float32_is_as_close_as_its_precision(cell):
    name, options = cell
    layer = sn.Recurrence("tree", name, 3, 20, **options)
    plans = layer.topology.plan(STRUCTURES["tree"])
    assert_fused_is_reference(layer, plans, 1e-5, torch.float32)


@has_triton
@every_fused
def test_under_autocast_products_are_of_lower_precision_and_states_are_not(cell):
    name, options = cell
    layer = sn.Recurrence("tree", name, 3, 20, **options)
    plans = layer.topology.plan(STRUCTURES["tree"])
    x = features(plans, dtype=torch.float32)
    expected = everything(layer, x, plans, executor="reference")
    # Not bfloat16, whose bits the interpreter multiplies as if they were whole numbers.
    with torch.autocast(DEVICE, torch.float16):
        found = fused(layer, x, plans)
    assert found["output"].dtype == torch.float32
    if options:
        # A gradient of relu jumps where a rounded sum has another sign.
        found, expected = ({"output": one["output"]} for one in (found, expected))
    assert_same(found, expected, 1e-2)


@has_triton
@every_fused
@every_kind
def test_the_results_are_the_same_bits_from_run_to_run(name, cell):
    layer, plans = built(name, cell, dtype=torch.float32)
    first, again = (fused(layer, features(plans, dtype=torch.float32), plans) for _ in range(2))
    assert all(torch.equal(again[key], value) for key, value in first.items())


@has_triton
@every_fused
@pytest.mark.parametrize("scale", [1e-3, 1e-7])
def test_small_values_are_as_exact_as_large_ones(cell, scale):
    layer, plans = built("tree", cell)
    with torch.no_grad():
        layer.cells[0].input.bias.zero_()
        if cell[0] == "gru":
            layer.cells[0].candidate_bias.zero_()
    x = (scale * features(plans)).detach()
    h = layer(x, plans, executor="reference")
    assert torch.allclose(fused(layer, x, plans)["output"].to(h), h, rtol=1e-12, atol=0)


@has_triton
def test_an_inactive_unit_has_no_gradient_even_of_an_infinite_one():
    layer, plans = built("tree", CELLS[1])
    x = features(plans)
    layer, x = there(layer), there(x)
    h = layer(x, [plan.to(DEVICE) for plan in plans], executor="fused")
    (grad,) = torch.autograd.grad(h, x, torch.where(h > 0, 1.0, torch.inf))
    assert (h == 0).any() and grad.isfinite().all()


@has_triton
def test_the_way_back_is_not_under_the_autocast_around_it():
    layer, plans = built("chain", "lstm", dtype=torch.float32)
    layer, x = there(layer), there(features(plans, dtype=torch.float32))
    weight = layer.cells[0].recurrent
    found = []
    for dtype in (None, torch.bfloat16):
        h = layer(x, [plan.to(DEVICE) for plan in plans], executor="fused")
        with torch.autocast(DEVICE, dtype, enabled=dtype is not None):
            found += torch.autograd.grad(h.sum(), weight)
    assert torch.equal(*found)


@has_triton
def test_products_are_as_precise_as_torch_was_told():
    from structnet.plugins.triton.launch import precision

    before = torch.get_float32_matmul_precision()
    try:
        assert precision() == "ieee"
        torch.set_float32_matmul_precision("high")
        assert precision() == "tf32"
        if hasattr(torch.backends.cuda.matmul, "fp32_precision"):
            torch.backends.cuda.matmul.fp32_precision = "ieee"
            assert precision() == "ieee"
    finally:
        torch.set_float32_matmul_precision(before)


@has_triton
@every_fused
def test_windows_and_dropped_weights_go_with_it(cell):
    layer, plans = built("chain", cell, save="windows")
    assert_fused_is_reference(layer, plans)
    layer, plans = built("chain", cell, weight_drop=0.4, truncate=2)
    x = features(plans)
    torch.manual_seed(0)
    expected = everything(layer, x, plans, executor="batched")
    torch.manual_seed(0)
    if DEVICE == "cpu":
        assert_same(fused(layer, x, plans), expected)


@has_triton
@every_fused
def test_what_needs_no_gradient_gets_none(cell):
    layer, plans = built("tree", cell)
    layer.requires_grad_(False)
    assert_fused_is_reference(layer, plans)
    layer.cells[0].recurrent.requires_grad_()
    assert_fused_is_reference(layer, plans)
    with torch.no_grad():
        h = there(layer)(there(features(plans)), [plan.to(DEVICE) for plan in plans])
    assert h.isfinite().all()


@every_fused
@pytest.mark.parametrize("structures", [[[[-1, -1]]], [[[-1, -1]]] * 3])
@has_triton
def test_nodes_that_read_nothing(cell, structures):
    assert_fused_is_reference(*built("tree", cell, structures))


@has_triton
def test_a_batch_without_nodes_has_no_states():
    layer, plans = built("any_dag", "lstm", [[], []])
    found = fused(layer, features(plans), plans)
    assert found["output"].shape == (0, 2)
    assert all(not grad.any() for name, grad in found.items() if "gradient" in name)


@has_triton
def test_relu_passes_on_what_is_no_number():
    layer, plans = built("chain", CELLS[1])
    x = features(plans).detach()
    x[0] = torch.nan
    assert fused(layer, x, plans)["output"][0].isnan().all()


@has_triton
def test_the_way_back_is_gone_twice_where_the_graph_is_retained():
    layer, plans = built("tree", "lstm")
    layer, x = there(layer), there(features(plans))
    loss = layer(x, [plan.to(DEVICE) for plan in plans], executor="fused").square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (again,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, again)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, x)


@has_triton
def test_weights_that_changed_before_the_way_back_are_noticed():
    layer, plans = built("tree", "lstm")
    layer = there(layer)
    h = layer(there(features(plans)), [plan.to(DEVICE) for plan in plans], executor="fused")
    with torch.no_grad():
        layer.cells[0].recurrent.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


# Replaying


class Tape(TorchDispatchMode):
    """What a CUDA graph does, on a CPU: the same operations on the same memory once more."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        given = args, kwargs or {}
        found = function(*given[0], **given[1])
        self.calls.append((function, given, found))
        return found

    def launch(self, *args):
        with _disable_current_modes():
            launch_there(*args)
        self.calls.append((launch_there, (args, {}), None))

    def replay(self):
        for function, (args, kwargs), found in self.calls:
            again = tree_leaves(function(*args, **kwargs))
            for old, new in zip(tree_leaves(found), again, strict=True):
                # Views, and what is written in place, are there already.
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@pytest.fixture
def recorded(monkeypatch):
    """Passes are recorded as on a GPU; the list of what was."""
    made = []

    def recording(function):
        if DEVICE == "cuda":
            found = record.record_cuda(function)
            made.append(found)
            return found
        tape = Tape()
        monkeypatch.setattr(sweep, "launch", tape.launch)
        with tape:
            found = function()
        monkeypatch.setattr(sweep, "launch", launch_there)
        made.append(tape)
        return found, tape.replay

    monkeypatch.setitem(record.RECORDERS, DEVICE, recording)
    return made


def batches_of_one_shape(name):
    """Three batches in the same steps, with other rows."""
    topology = sn.topologies.create(name)
    samples = {
        "chain": [[3, 5], [5, 3], [3, 5]],
        "tree": [[[[1, -1], [-1, -1]]], [[[-1, 1], [-1, -1]]], [[[-1, -1], [0, -1]]]],
        "any_dag": [[[[], [0], [0, 1]]], [[[], [0], [1, 1]]], [[[], [0], [1, 0]]]],
    }[name]
    plans = [topology.plan(structures) for structures in samples]
    assert len({plan.steps for (plan,) in plans}) == 1
    return topology, plans


@has_triton
@every_fused
@pytest.mark.parametrize("name", ["chain", "tree", "any_dag"])
def test_a_pass_of_a_shape_that_came_before_is_replayed(recorded, name, cell):
    topology, batches = batches_of_one_shape(name)
    layer = recurrence(topology, cell)
    here = there(layer)
    for seed, plans in enumerate(batches * 2):
        x, initial = features(plans, seed=seed), initial_states(layer, plans, seed=seed)
        expected = everything(layer, x, plans, initial, "reference")
        moved = tuple(plan.to(DEVICE) for plan in plans)
        starts = None if initial is None else list(map(there, initial))
        assert_same(everything(here, there(x), moved, starts, "replayed"), expected)
        with torch.no_grad():
            for one in (layer, here):
                one.cells[0].recurrent.mul_(0.9)
    # Forward and backward, from the second batch on.
    assert len(recorded) == 2


@pytest.mark.slow
@has_triton
def test_what_waits_for_its_way_back_is_not_written_over(recorded):
    topology, batches = batches_of_one_shape("tree")
    layer = there(recurrence(topology, "lstm"))
    moved = [tuple(plan.to(DEVICE) for plan in plans) for plans in batches]
    xs = [there(features(plans, seed=seed)) for seed, plans in enumerate(batches)]
    expected = [everything(layer, x, plans, executor="batched")
                for x, plans in zip(xs, moved, strict=True)]  # fmt: skip
    layer(xs[0], moved[0], executor="replayed")
    outs = [layer(x, plans, executor="replayed", return_states=True)
            for x, plans in zip(xs, moved, strict=True)]  # fmt: skip
    assert len(recorded) == 3
    for (h, _), one in zip(outs, expected, strict=True):
        assert_same(h.detach(), one["output"])
    for _ in range(2):
        found = [torch.autograd.grad(h.sum(), x)[0]
                 for (h, _), x in zip(outs, xs, strict=True)]  # fmt: skip
        for grad, x, plans in zip(found, xs, moved, strict=True):
            h = layer(x, plans, executor="batched")
            assert_same(grad, torch.autograd.grad(h.sum(), x)[0])
        # All are free again, and taken again.
        outs = [layer(x, plans, executor="replayed", return_states=True)
                for x, plans in zip(xs, moved, strict=True)]  # fmt: skip
        assert len(recorded) == 6


@has_triton
def test_what_a_replay_gave_stays_as_it_was(recorded):
    layer, plans = built("chain", "gru")
    layer, plans = there(layer), [plan.to(DEVICE) for plan in plans]
    found, copies = [], []
    for seed in range(4):
        x = there(features(plans, seed=seed))
        h = layer(x, plans, executor="replayed")
        found += [h, *torch.autograd.grad(h.square().sum(), (x, layer.cells[0].recurrent))]
        copies += [value.detach().clone() for value in found[-3:]]
    assert all(map(torch.equal, found, copies))
    assert not any(map(torch.equal, found[3:6], found[6:9]))


@pytest.mark.slow
@has_triton
def test_a_replayed_way_back_is_gone_twice_where_the_graph_is_retained(recorded):
    layer, plans = built("tree", "gru")
    layer, x, plans = there(layer), there(features(plans)), [p.to(DEVICE) for p in plans]
    for _ in range(2):
        loss = layer(x, plans, executor="replayed").square().sum()
        (first,) = torch.autograd.grad(loss, x, retain_graph=True)
        (again,) = torch.autograd.grad(loss, x)
        assert torch.equal(first, again)
    assert len(recorded) == 2


@has_triton
@pytest.mark.slow
def test_what_nobody_goes_back_through_is_free_again(recorded):
    layer, plans = built("tree", "lstm")
    layer, x, plans = there(layer), there(features(plans)), [p.to(DEVICE) for p in plans]
    for _ in range(4):
        layer(x, plans, executor="replayed")
        with torch.inference_mode():
            layer(x, plans, executor="replayed")
    with torch.no_grad():
        layer(x, plans, executor="replayed")
    # One to go back through, one not.
    assert len(recorded) == 2
    layer(x, plans, executor="replayed").sum().backward()
    assert x.grad is not None


def chains(layer, length):
    plans = [plan.to(DEVICE) for plan in layer.topology.plan([length])]
    return there(features(plans, dtype=torch.float64).cpu()), plans


def run_chain(layer, length):
    x, plans = chains(layer, length)
    layer(x, plans, executor="replayed").sum().backward()


@has_triton
@pytest.mark.slow
def test_a_cell_has_few_recordings_and_they_go_with_it(recorded, monkeypatch):
    monkeypatch.setattr(replay, "MOST_RECORDED", 2)
    layer = there(recurrence(sn.topologies.create("chain"), "elman"))
    kept = replay._recordings[layer.cells[0]] = replay.Recordings()
    for _ in range(4):
        for length in (1, 2, 3, 4):
            run_chain(layer, length)
    # The first two, forward and back; the others would only drive them out.
    assert len(recorded) == 4 and len(kept.free) == kept.count == 2
    monkeypatch.setattr(replay, "IDLE", 5)
    for _ in range(8):
        run_chain(layer, 3)
    assert len(recorded) == 6 and kept.count == 2
    cell = weakref.ref(layer.cells[0])
    del layer
    gc.collect()
    assert cell() is None


@pytest.mark.slow
@has_triton
def test_passes_that_wait_for_their_way_back_have_few_recordings(recorded, monkeypatch):
    monkeypatch.setattr(replay, "MOST_RECORDED", 2)
    layer = there(recurrence(sn.topologies.create("chain"), "gru"))
    x, plans = chains(layer, 3)
    expected = layer(x, plans, executor="batched")
    outs = [layer(x, plans, executor="replayed") for _ in range(6)]
    kept = replay._recordings[layer.cells[0]]
    assert kept.count == 2 and not kept.free
    for h in outs:
        (grad,) = torch.autograd.grad(h.sum(), x)
        assert_same(grad, torch.autograd.grad(expected.sum(), x, retain_graph=True)[0])
    assert kept.count == len(kept.free) == 2


@pytest.mark.slow
@has_triton
def test_a_graph_of_the_gradients_keeps_no_recording(recorded):
    layer = there(recurrence(sn.topologies.create("chain"), "gru"))
    seen = []
    for _ in range(4):
        x, plans = chains(layer, 3)
        h = layer(x, plans, executor="replayed")
        (grad,) = torch.autograd.grad(h.square().sum(), x, create_graph=True)
        seen.append(weakref.ref(x))
        del x, h, grad
    gc.collect()
    assert all(one() is None for one in seen)
    assert len(recorded) == 2


@has_triton
@pytest.mark.slow
def test_what_reads_nothing_is_part_of_the_shape(recorded):
    topology = sn.topologies.create("ordered_graph", order="id")
    one = sn.Edges(np.array([[2, 2, 3, 3, 0, 1, 0, 2], [0, 1, 0, 2, 2, 2, 3, 3]]), 6)
    other = sn.Edges(np.array([[3, 4, 4, 5, 5, 0, 1, 3, 2, 4], [0, 1, 3, 2, 4, 3, 4, 4, 5, 5]]), 6)
    (first,), (second,) = (topology.plan([graph]) for graph in (one, other))
    assert first.steps == second.steps and first.levels != second.levels
    layer = recurrence(topology, "gru")
    x = features([first])
    for plan in (first, first, second, second):
        expected = everything(layer, x, [plan], executor="reference")
        assert_same(fused(layer, x, [plan], executor="replayed"), expected)
        here = there(layer)
        for _ in range(2):
            here(there(x), [first.to(DEVICE)], executor="replayed")
        assert_same(
            here(there(x), [second.to(DEVICE)], executor="replayed").detach(),
            layer(x, [second], executor="reference").detach(),
        )


@has_triton
@torch.no_grad()
def test_initial_states_of_another_precision_are_another_shape(recorded):
    layer, plans = built("chain", "gru")
    x, initial = features(plans), initial_states(layer, plans)
    here, moved = there(layer), [plan.to(DEVICE) for plan in plans]
    for state in (initial[0].float(), initial[0].float(), initial[0]):
        h = here(there(x), moved, initial=[there(state)], executor="replayed")
    assert len(recorded) == 1
    assert_same(h, layer(x, plans, initial=initial, executor="reference"))


def turn_weight(layer):
    layer.cells[0].recurrent.data = layer.cells[0].recurrent.data.T


def take_relu(layer):
    layer.cells[0].nonlinearity = "relu"


@has_triton
@pytest.mark.parametrize("change", [turn_weight, take_relu])
@torch.no_grad()
def test_a_cell_that_was_changed_is_another_shape(recorded, change):
    layer, plans = built("chain", "elman")
    here, x, moved = there(layer), features(plans), [plan.to(DEVICE) for plan in plans]
    for _ in range(2):
        here(there(x), moved, executor="replayed")
    change(layer)
    change(here)
    h = here(there(x), moved, executor="replayed")
    assert len(recorded) == 1
    assert_same(h, layer(x, plans, executor="reference"))


@pytest.mark.slow
@has_triton
def test_other_weights_and_other_numbers_are_another_shape(recorded):
    layer, plans = built("chain", "gru", dtype=torch.float32)
    layer, x, plans = (
        there(layer),
        features(plans, dtype=torch.float32),
        [p.to(DEVICE) for p in plans],
    )
    runs = 0
    for change in (lambda: None, lambda: layer.double(), lambda: layer.requires_grad_(False)):
        change()
        x = x.detach().to(layer.cells[0].recurrent.dtype).to(DEVICE).requires_grad_()
        for _ in range(3):
            layer(x, plans, executor="replayed").sum().backward()
        runs += 2
        assert len(recorded) == runs


# What it does not run


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("mut1", {}, "kernels for LSTM, GRU and Elman .* not for MUT1; take executor='compiled'"),
        ("lstm", {"peephole": True}, "LSTM with peephole=False, got True"),
        ("lstm", {"coupled": True}, "LSTM with coupled=False"),
        ("lstm", {"layer_norm": True}, "LSTM with layer_norm=False"),
        ("lstm", {"diagonal": True}, "LSTM with diagonal="),
        ("lstm", {"projection_size": 2}, "LSTM with projected=False"),
        ("lstm", {"drop_gate": "input"}, "LSTM with node_gates="),
        ("lstm", {"forget": 1}, "LSTM with forget=None, got 1"),
        ("gru", {"reset": "before"}, "GRU with reset='after', got 'before'"),
        ("lstm", {"zoneout": 0.1}, "'fused' takes no zoneout"),
        ("gru", {"recurrent_dropout": 0.1}, "'fused' takes no recurrent_dropout"),
        ("lstm", {"save": "recompute"}, "'fused' takes no save='recompute'"),
    ],
)
def test_what_the_kernels_do_not_compute_is_refused(cell, options, message):
    with pytest.raises(ValueError, match=message):
        sn.Recurrence("tree", cell, 3, 2, executor="fused", **options)
    with pytest.raises(ValueError, match=message.replace("'fused'", "'replayed'")):
        sn.Recurrence("tree", cell, 3, 2, executor="replayed", **options)


def test_other_aggregates_and_features_of_edges_are_refused():
    with pytest.raises(ValueError, match="with aggregate='sum', got 'mean'"):
        sn.Recurrence("graph", "gru", 3, 2, executor="fused", aggregate="mean")
    layer = sn.Recurrence("graph", "lstm", 3, 2, edge_size=1)
    plans = layer.topology.plan([sn.Edges(np.array([[0], [1]]), 2)])
    with pytest.raises(ValueError, match="'fused' takes no edge features"):
        layer(torch.zeros(2, 3), plans, edge_x=torch.zeros(1, 1), executor="fused")


def test_a_cell_with_hooks_is_refused():
    layer, plans = built("chain", "gru")
    handle = layer.cells[0].register_forward_hook(lambda cell, given, out: 0 * out)
    with pytest.raises(ValueError, match="does not call the cell, and GRU has hooks; take"):
        layer(features(plans), plans, executor="fused")
    handle.remove()
    torch.nn.utils.parametrizations.weight_norm(layer.cells[0], "recurrent")
    with pytest.raises(ValueError, match="not for ParametrizedGRU; take"):
        layer(features(plans), plans, executor="fused")


def test_new_weights_for_every_pass_are_not_recorded():
    with pytest.raises(ValueError, match="'replayed' takes no weight_drop"):
        sn.Recurrence("tree", "lstm", 3, 2, executor="replayed", weight_drop=0.1)


def test_a_cell_of_ones_own_is_refused():
    class Own(type(sn.Recurrence("chain", "lstm", 1, 1).cells[0])):
        """It may compute anything."""

    with pytest.raises(ValueError, match="not for Own"):
        executor = find("fused")
        raise ValueError(executor.refuses(Spec(Own(1, 1, 1), frozenset())))


@pytest.fixture
def with_triton(monkeypatch):
    """As if it were installed, where there is no GPU."""
    if DEVICE == "cuda":
        pytest.skip("there is a GPU")
    monkeypatch.setattr("structnet.plugins.triton.executor.find_spec", lambda name: "found")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def test_without_a_gpu_the_way_out_is_named(with_triton, monkeypatch):
    layer, plans = built("tree", "lstm")
    with pytest.raises(ValueError, match=r"runs on a GPU, got x on cpu; take .*'compiled'"):
        layer(features(plans), plans, executor="fused")
    with pytest.raises(ValueError, match="'fused' runs on a GPU, there is none; take"):
        sn.Recurrence("tree", "lstm", 3, 2, executor="fused")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    sn.Recurrence("tree", "lstm", 3, 2, executor="fused")
    with pytest.raises(ValueError, match=r"'replayed' runs on a GPU, there is none; .*'fused'"):
        sn.Recurrence("tree", "lstm", 3, 2, executor="replayed")


def test_without_triton_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setattr("structnet.plugins.triton.executor.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs Triton, which is not installed; pip install"):
        sn.Recurrence("tree", "lstm", 3, 2, executor="fused")
    layer, plans = built("tree", "lstm")
    with pytest.raises(ImportError, match="needs Triton"):
        layer(features(plans), plans, executor="fused")


def test_training_that_is_refused_leaves_nothing_behind(with_triton, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", f"task.root={code_folder()}", *SMALL, "net.executor=fused")
    words += ("trainer.accelerator=auto",)
    assert "'fused' runs on a GPU" in refused(*words)
    assert not list(tmp_path.iterdir())


def test_training_on_a_cpu_is_refused_before_anything_is_read(with_triton, tmp_path, monkeypatch):
    runs_on = "structnet.plugins.triton.executor.Fused.runs_on"
    monkeypatch.setattr(runs_on, lambda self, device=None: True)
    words = ("train", "task.root=nowhere", f"run={tmp_path / 'run'}", "net.executor=fused")
    message = refused(*words, "trainer.accelerator=cpu")
    assert "net.executor=fused runs on a GPU, got trainer.accelerator=cpu" in message
    assert not list(tmp_path.iterdir())


def test_what_was_trained_on_a_gpu_is_used_without(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    config = run / "config.yaml"
    before = call("test", f"run={run}")
    config.write_text(config.read_text().replace("executor: auto", "executor: fused"))
    assert "executor: fused" in config.read_text()
    assert call("test", f"run={run}") == before


@pytest.mark.parametrize("accelerator", ["auto", "cpu"])
def test_what_was_begun_on_a_gpu_goes_on_without(tmp_path, accelerator):
    if DEVICE == "cuda" and accelerator == "auto":
        pytest.skip("there is a GPU")
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    config = run / "config.yaml"
    text = config.read_text().replace("executor: auto", "executor: fused")
    config.write_text(text.replace("accelerator: cpu", "accelerator: auto"))
    words = (f"resume={run}", "trainer.max_epochs=3", f"trainer.accelerator={accelerator}")
    status, out, err = call("train", *words)
    assert status == 0, err
    assert "no GPU for net.executor=fused: going on with auto" in out and "epoch 3/3" in out
    assert "executor: fused" in config.read_text()


# For GPUs that are not here


COMPILE = """
import itertools, sys
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from structnet.plugins.triton.launch import DEPTH
from structnet.plugins.triton.sweep import SWEEPS

SIZES = {"start", "count", "slots", "offset", "row", "size", "width"}
INDICES = {"rows", "first", "places", "readers"}
STATES = {"h", "c", "grad_h", "grad_c", "carried"}
CHOICES = {"ORDERED": (True, False), "KEEP": (True, False), "GATES": (True, False), "KEYS": (1, 2),
           "TANH": (True,)}

def kind(name, number):
    if name in SIZES:
        return "i32"
    if name in INDICES:
        return "*i64"
    return "*fp32" if name in STATES and number == "bf16" else "*" + number

for sweep in SWEEPS.values():
    for kernel, (number, precision) in itertools.product(
        sweep.kernels, [("fp32", "ieee"), ("bf16", "ieee")]
    ):
        given = {"TOTAL": tl.float32, "PRECISION": precision, "DEPTH": DEPTH}
        chosen = [name for name in CHOICES if name in kernel.arg_names]
        for side, *values in itertools.product((16, 32), *(CHOICES[name] for name in chosen)):
            constants = given | dict(zip(chosen, values)) | {"SIDE": side}
            signature = {
                name: "constexpr" if name in constants else kind(name, number)
                for name in kernel.arg_names
            }
            source = ASTSource(kernel, signature, constexprs=constants)
            made = triton.compile(source, target=GPUTarget("cuda", 90, 32))
            assert made.metadata.shared <= 65536, (kernel, constants, made.metadata.shared)
print("compiled")
"""


@has_triton
@pytest.mark.slow
def test_kernels_compile_for_a_gpu_that_is_not_here():
    done = run_python("-c", COMPILE, TRITON_INTERPRET="0")
    assert "compiled" in done.stdout, done.stderr
