"""Cells traced and cut at their products: what comes of it is the reference.

Most tests run the kernels' graphs as they are; those named compiled wait for Inductor.
"""

import threading
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import test_execute as plain
import torch
from conftest import (
    Products,
    assert_same,
    every_cell,
    everything,
    features,
    initial_states,
    random_tree,
    recurrence,
)
from torch import nn
from torch.nn.utils import parametrizations

import structnet as sn
from structnet.cli.main import MISTAKES
from structnet.execute.compiled import known, spans, trace

BINARY = [random_tree(7, np.random.default_rng(0)), [[-1, -1]], [[1, -1], [-1, -1]]]
DAG = [[[], [], [0, 1], [2], [2, 3, 0], [4], []], [[]]]
STRUCTURES = {"tree": BINARY, "any_dag": DAG, "chain": [5, 1, 3]}
every_arity = pytest.mark.parametrize("name", STRUCTURES)


def assert_compiled_is_reference(layer, plans, tolerance=1e-12, dtype=torch.float64):
    x, initial = features(plans, dtype=dtype), initial_states(layer, plans, dtype=dtype)
    for start in (None,) if initial is None else (None, initial):
        reference = everything(layer, x, plans, start, "reference")
        assert_same(everything(layer, x, plans, start, "compiled"), reference, tolerance)


def built(name, cell, **options):
    topology = sn.topologies.create(name)
    return recurrence(topology, cell, **options), topology.plan(STRUCTURES[name])


@pytest.mark.parametrize("name", ["any_dag", "chain"])
@pytest.mark.parametrize("cell", sn.cells.names())
def test_a_traced_cell_is_the_reference(traced, name, cell):
    assert_compiled_is_reference(*built(name, cell))


@every_cell
def test_a_traced_variant_is_the_reference_on_trees(traced, cell):
    assert_compiled_is_reference(*built("tree", cell))


@pytest.mark.slow
@every_arity
@every_cell
def test_a_traced_variant_is_the_reference(traced, name, cell):
    assert_compiled_is_reference(*built(name, cell))


@every_arity
@pytest.mark.parametrize(
    "cell",
    [plain.Pooling, plain.TwoSizes, plain.Unread, plain.Counting, plain.Passing, plain.Gateless],
)
def test_a_traced_cell_in_plain_pytorch_is_the_reference(traced, name, cell):
    assert_compiled_is_reference(*built(name, cell))


@pytest.mark.parametrize(
    ("name", "cell", "options"),
    [
        ("tree", "lstm", {}),
        ("any_dag", "lstm", {}),
        ("chain", "gru", {"reset": "before"}),
    ],
)
def test_a_compiled_cell_is_the_reference(name, cell, options):
    # More units than a vector has, and some over.
    layer, plans = built(name, cell, hidden_size=19, **options)
    assert_compiled_is_reference(layer, plans)


def test_a_compiled_plain_cell_is_the_reference_in_single_precision():
    layer, plans = built("tree", Affine, hidden_size=17, dtype=torch.float32)
    assert_compiled_is_reference(layer, plans, 1e-5, torch.float32)


class Affine(nn.Module):
    """A product of its own, and none of structnet's."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__()
        self.state_sizes = (hidden_size,)
        self.project = nn.Linear(input_size, hidden_size)
        self.own = nn.Linear((arity or 1) * hidden_size, hidden_size)

    def forward(self, z, h):
        return (z + self.own(h.flatten(1))).tanh()


@pytest.mark.parametrize("rates", [{"recurrent_dropout": 0.5}, {"zoneout": 0.5},
                                   {"weight_drop": 0.5}])  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
def test_noise_acts_as_on_other_executors(traced, rates, training):
    layer, plans = built("tree", "lstm", **rates)
    layer.train(training)
    x, found = features(plans), []
    for executor in ("reference", "compiled"):
        torch.manual_seed(1)
        found.append(everything(layer, x, plans, executor=executor))
    assert_same(found[1], found[0])


def test_windows_of_levels_are_those_of_other_executors(traced):
    layer, plans = built("chain", "gru", truncate=2)
    assert_compiled_is_reference(layer.train(), plans)


def test_autocast_is_that_of_the_batched_executor(traced):
    layer, plans = built("tree", "lstm", hidden_size=16, dtype=torch.float32)
    x = features(plans, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = everything(layer, x, plans, executor="compiled", output_alone=True)
        expected = everything(layer, x, plans, executor="batched", output_alone=True)
    assert found["output"].dtype == torch.float32
    assert_same(found, expected, 2e-2)


@pytest.mark.parametrize("weight", ["recurrent", "input.weight"])
def test_a_weight_made_of_parameters_gives_them_their_gradients(traced, weight):
    layer, plans = built("tree", "lstm")
    cell = layer.cells[0]
    module, name = (cell, weight) if weight == "recurrent" else (cell.input, "weight")
    parametrizations.weight_norm(module, name)
    assert_compiled_is_reference(layer, plans)


def test_frozen_parameters_get_no_gradient(traced):
    layer, plans = built("tree", "gru")
    layer.cells[0].recurrent.requires_grad_(False)
    x = features(plans)
    found = everything(layer, x, plans, executor="compiled")
    assert not any("recurrent" in name for name in found)
    assert_same(found, everything(layer, x, plans, executor="reference"))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_outputs_without_gradients_are_the_same(traced, mode):
    layer, plans = built("any_dag", "lstm")
    x = features(plans)
    h = layer(x, plans, executor="reference")
    with mode():
        assert_same(layer(x, plans, executor="compiled"), h.detach())


def test_the_graph_is_kept_where_that_is_asked_and_no_longer(traced):
    layer, plans = built("tree", "lstm")
    x = features(plans)
    loss = layer(x, plans, executor="compiled").square().sum()
    first = torch.autograd.grad(loss, [x, *layer.parameters()], retain_graph=True)
    second = torch.autograd.grad(loss, [x, *layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        torch.autograd.grad(loss, x)


def test_second_derivatives_are_refused(traced):
    layer, plans = built("tree", "lstm")
    x = features(plans)
    loss = layer(x, plans, executor="compiled").square().sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match=r"no second derivatives.*executor='reference'"):
        grad.sum().backward()


def test_an_empty_batch_runs(traced):
    topology = sn.topologies.create("tree")
    layer, plans = recurrence(topology, "lstm"), topology.plan([])
    assert layer(features(plans), plans, executor="compiled").shape == (0, 2)


def test_equal_cells_share_a_program_and_a_changed_one_does_not(traced, monkeypatch):
    programs = {}
    monkeypatch.setattr(known, "_programs", programs)
    layers = [built("chain", "elman", seed=seed) for seed in (0, 1)]
    for layer, plans in layers:
        assert_compiled_is_reference(layer, plans)
    count = len(programs)
    layer, plans = layers[0]
    layer.cells[0].nonlinearity = "relu"
    assert_compiled_is_reference(layer, plans)
    assert len(programs) > count


def test_a_step_multiplies_no_more_than_it_must(traced, monkeypatch):
    monkeypatch.setattr(spans, "CHUNK", 100)
    layer, plans = built("chain", "lstm", hidden_size=5)
    x = features(plans)
    layer(x, plans, executor="compiled")
    with Products() as forward:
        loss = layer(x, plans, executor="compiled").sum()
    with Products() as backward:
        loss.backward()
    assert forward.shapes == [(9, 3, 20), *[(n, 5, 20) for n in (2, 2, 1, 1)]]
    # Handed back level by level; then a product a weight, and the gradient of x.
    assert sorted(backward.shapes)[:4] == sorted((n, 20, 5) for n in (2, 2, 1, 1))
    assert len(backward) == 4 + 3


class Counts(Affine):
    def forward(self, z, h):
        return super().forward(z, h) / len(z)


class Draws(Affine):
    def forward(self, z, h):
        return super().forward(z, h) + torch.rand_like(z)


class Calls(Affine):
    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, z, h):
        self.calls += 1
        return super().forward(z, h) / self.calls


class Branches(Affine):
    def forward(self, z, h):
        return super().forward(z, h) if z.sum() > 0 else z


class Sizes(Affine):
    def forward(self, z, h):
        return super().forward(z, h) * (1 if z.shape[0] > 100 else 2)


class Foreign(Affine):
    def forward(self, z, h):
        return super().forward(z, h) * FOREIGN


class Unhooked(Affine):
    def forward(self, z, h):
        new = super().forward(z, h)
        if new.requires_grad:
            new.register_hook(lambda grad: grad.clamp(-0.01, 0.01))
        return new


class Detached(Affine):
    def forward(self, z, h):
        with torch.no_grad():
            scale = z.norm(dim=1, keepdim=True) + 1
        return super().forward(z, h) / scale


class Modes(Affine):
    def forward(self, z, h):
        return super().forward(z, h) * (2 if torch.is_grad_enabled() else 1)


class Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x / 2

    @staticmethod
    def backward(ctx, grad):
        return grad


class Own(Affine):
    def forward(self, z, h):
        return Halved.apply(super().forward(z, h))


FOREIGN = torch.ones((), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (Counts, "makes a constant of the number of nodes"),
        (plain.PlainModule, "makes a constant of the number of nodes"),
        (Draws, "draws random numbers"),
        (Calls, "changes what it is given"),
        (Branches, "data-dependent|symbolic"),
        (Sizes, "other things for other sizes"),
        (Foreign, "a tensor that is no parameter and no buffer"),
        (Unhooked, "its gradients are not those of its graph"),
        (Detached, "its gradients are not those of its graph"),
        (Modes, "its values are not those of its graph|its gradients are not"),
        (Own, "a backward of its own"),
    ],
)
def test_a_cell_that_is_no_fixed_graph_is_refused(traced, cell, why):
    layer, plans = built("tree", cell)
    with pytest.raises(ValueError, match=rf"{cell.__name__} is no fixed graph.*({why})") as error:
        layer(features(plans), plans, executor="compiled")
    assert "executor='batched'" in str(error.value)


class BySlots(sn.Cell):
    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity, *, special=1):
        super().__init__(input_size, hidden_size, arity)
        self.special = special

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh() * (2 if h.shape[1] == self.special else 1)


@pytest.mark.parametrize("special", [1, 4, 11])
def test_a_branch_on_the_number_of_slots_is_refused(traced, special):
    layer, plans = built("any_dag", partial(BySlots, special=special))
    with pytest.raises(ValueError, match="BySlots is no fixed graph"):
        layer(features(plans), plans, executor="compiled")


class Heads(sn.Cell):
    """As many rows a node as the stand-in for the number of slots."""

    node_gates = ("u",)

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.mix = nn.Parameter(torch.randn(hidden_size // trace.SLOTS, hidden_size // trace.SLOTS))

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return (u.unflatten(1, (trace.SLOTS, -1)) @ self.mix).flatten(1).tanh()


class Transposed(Affine):
    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.gain = nn.Parameter(torch.randn(hidden_size, arity or 1).t())

    def forward(self, z, h):
        return super().forward(z, h) + (h * self.gain).sum(1)


class Patched(Affine):
    def forward(self, z, h):
        new = super().forward(z, h) + 0
        new[:, :2] += 1
        return new


@pytest.mark.parametrize(("cell", "name"), [(Heads, "any_dag"), (Transposed, "tree"),
                                            (Patched, "tree")])  # fmt: skip
def test_an_odd_cell_is_the_reference(traced, cell, name):
    topology = sn.topologies.create(name)
    layer = recurrence(topology, cell, hidden_size=6)
    assert_compiled_is_reference(layer, topology.plan(STRUCTURES[name]))


class Keeps(Affine):
    def forward(self, z, h):
        self.last = super().forward(z, h)
        return self.last


def test_tracing_leaves_nothing_on_the_cell(traced):
    layer, plans = built("tree", Keeps)
    layer(features(plans), plans, executor="compiled")
    assert not hasattr(layer.cells[0], "last")


class Two(Affine):
    """Its numbers depend on what is no tensor of its own."""

    scale = 1.0

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.settings = SimpleNamespace(scale=1.0)
        self.table = np.ones(2000)
        self.a, self.b, self.c = (nn.Parameter(torch.randn(hidden_size)) for _ in range(3))

    def forward(self, z, h):
        new = (super().forward(z, h) * self.a).tanh() + self.b - self.c
        return new * self.scale * self.settings.scale * float(self.table[1000])


@pytest.mark.slow
def test_what_changes_outside_the_cells_tensors_is_seen(traced, monkeypatch):
    layer, plans = built("tree", Two)
    cell = layer.cells[0]
    assert_compiled_is_reference(layer, plans)
    cell.settings.scale = 3.0
    assert_compiled_is_reference(layer, plans)
    cell.table[1000] = 0.5
    assert_compiled_is_reference(layer, plans)
    monkeypatch.setattr(Two, "scale", 0.1)
    assert_compiled_is_reference(layer, plans)
    for tied in ("a", "b"):
        cell.c = getattr(cell, tied)
        assert_compiled_is_reference(layer, plans)


@pytest.mark.parametrize("what", ["recurrent", "k"])
@pytest.mark.parametrize("executor", ["reference", "batched", "compiled"])
def test_what_changes_before_its_backward_pass_is_refused(traced, executor, what):
    layer, plans = built("tree", "gru")
    cell = layer.cells[0]
    cell.register_buffer("k", torch.ones((), dtype=torch.float64))
    forward = type(cell).forward
    changed = type("Scaled", (type(cell),), {
        "forward": lambda self, z, h: forward(self, z, h) * self.k
    })  # fmt: skip
    cell.__class__ = changed
    h = layer(features(plans), plans, executor=executor)
    with torch.no_grad():
        getattr(cell, what).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def test_several_threads_may_call_a_cell_for_the_first_time(traced, monkeypatch):
    monkeypatch.setattr(known, "_programs", {})
    layer, plans = built("tree", "gru")
    x = features(plans)
    expected = layer(x, plans, executor="reference")
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(layer(x, plans, executor="compiled")))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    for h in found:
        assert_same(h, expected)
    assert_compiled_is_reference(layer, plans)


def test_what_was_made_under_inference_mode_or_autocast_is_as_good(traced, monkeypatch):
    monkeypatch.setattr(known, "_programs", {})
    layer, plans = built("tree", "lstm")
    x = features(plans)
    with torch.inference_mode():
        layer(x, plans, executor="compiled")
    h = layer(x.requires_grad_(), plans, executor="compiled")
    with torch.autocast("cpu", torch.bfloat16):
        h.sum().backward()
    assert_compiled_is_reference(layer, plans)


def test_attributes_that_keep_changing_are_warned_of(traced, monkeypatch):
    monkeypatch.setattr(known, "_programs", {})
    monkeypatch.setattr(known, "MOST_ALIKE", 3)
    layer, plans = built("chain", Affine)
    x = features(plans)
    for number in range(3):
        layer.cells[0].number = number
        layer(x, plans, executor="compiled")
    kept = len(known._programs)
    layer.cells[0].number = 3
    with pytest.warns(UserWarning, match="Affine have changed 3 times"):
        layer(x, plans, executor="compiled")
    assert len(known._programs) == kept


@pytest.mark.slow
def test_without_a_compiler_the_error_says_what_to_do(monkeypatch):
    from torch._inductor import config

    monkeypatch.setattr(known, "_programs", {})
    layer, plans = built("tree", "mgu", hidden_size=3)
    missing = config.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True})
    with missing, pytest.raises(RuntimeError, match=r"needs a C\+\+ compiler.*'batched'") as error:
        layer(features(plans), plans, executor="compiled")
    # The command line prints it without a traceback.
    assert isinstance(error.value, MISTAKES)
