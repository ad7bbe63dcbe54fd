"""What is stored for backward: the same numbers in less memory."""

import pytest
import torch
from conftest import (
    SEEDS,
    assert_same,
    batches,
    every_topology,
    everything,
    features,
    initial_states,
    recurrence,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import structnet as sn
from structnet.bench.stopwatch import peak_bytes


def assert_saving_changes_nothing(layer, plans, save, executor, **options):
    x, initial = features(plans), initial_states(layer, plans)
    for start in (None,) if initial is None else (None, initial):
        expected = everything(layer, x, plans, start, "reference", **options)
        layer.save = save
        assert_same(everything(layer, x, plans, start, executor, **options), expected)
        layer.save = "gates"


@every_topology
@settings(max_examples=4)
@given(data=st.data(), seed=SEEDS)
def test_windows_give_the_same_numbers(topology, data, seed):
    layer = recurrence(topology, "lstm", seed=seed)
    plans = topology.plan(data.draw(batches(topology)))
    assert_saving_changes_nothing(layer, plans, "windows", "batched")


@pytest.mark.parametrize("cell", ["ssm", "gru", "slstm"])
def test_windows_give_the_same_numbers_on_chains(cell):
    topology = sn.topologies.create("bichain")
    layer, plans = recurrence(topology, cell), topology.plan([9, 4, 1])
    assert_saving_changes_nothing(layer, plans, "windows", "auto")


@pytest.mark.parametrize(("name", "structures"), [
    ("chain", [5, 2]), ("tree", [[[1, 2], [-1, -1], [-1, -1]]]), ("any_dag", [[[], [0], [0, 1]]]),
])  # fmt: skip
@pytest.mark.parametrize("cell", ["lstm", "mut1"])
def test_recomputing_gives_the_same_numbers(traced, cell, name, structures):
    topology = sn.topologies.create(name)
    layer, plans = recurrence(topology, cell, executor="compiled"), topology.plan(structures)
    assert_saving_changes_nothing(layer, plans, "recompute", "compiled")


class Dropping(sn.Cell):
    node_gates = ("g",)

    def forward(self, z, h):
        (g,), () = self.gates(z, h)
        return nn.functional.dropout(g.tanh(), 0.5)


def test_a_window_that_runs_again_draws_what_it_drew():
    topology = sn.topologies.create("chain")
    layer, plans = recurrence(topology, Dropping), topology.plan([9])
    x, found = features(plans), []
    for save in ("gates", "windows"):
        layer.save = save
        torch.manual_seed(3)
        h = layer(x, plans)
        found.append([h.detach(), *torch.autograd.grad(h.sum(), [x, *layer.parameters()])])
        after = torch.rand(1)
        found[-1].append(after)
    assert_same(found[1], found[0])


class Watching(sn.Cell):
    node_gates = ("g",)

    def forward(self, z, h):
        SEEN.append(torch.is_autocast_enabled("cpu"))
        (g,), () = self.gates(z, h)
        return g.tanh()


SEEN = []


def test_a_window_runs_again_under_the_autocast_it_ran_under():
    SEEN.clear()
    topology = sn.topologies.create("chain")
    layer, plans = recurrence(topology, Watching, save="windows"), topology.plan([9])
    with torch.autocast("cpu", torch.bfloat16):
        h = layer(features(plans), plans)
    h.sum().backward()
    assert SEEN == [True] * 18


def test_the_input_alone_needs_gradients():
    topology = sn.topologies.create("chain")
    layer, plans = recurrence(topology, "gru", save="windows"), topology.plan([9])
    layer.requires_grad_(False)
    x = features(plans)
    h = layer(x, plans)
    (found,) = torch.autograd.grad(h.sum(), x)
    (expected,) = torch.autograd.grad(layer(x, plans, executor="reference").sum(), x)
    assert_same(found, expected)


@pytest.mark.slow
def test_what_windows_keep_grows_with_the_square_root_of_the_depth():
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, "lstm", 1, 64, dtype=torch.float32, executor="batched")
    held = {}
    for save in ("gates", "windows"):
        layer.save = save
        for length in (64, 1024):
            plans = topology.plan([length])
            x = features(plans, 1, dtype=torch.float32)
            peak = peak_bytes(lambda x=x, p=plans: layer(x, p).sum().backward())
            # The output and its gradient are there in any case.
            held[save, length] = peak - 2 * 4 * length * 64
    assert held["gates", 1024] > 12 * held["gates", 64]
    assert held["windows", 1024] < 6 * held["windows", 64]


SAVING = [("batched", "windows"), ("compiled", "recompute")]


@pytest.mark.parametrize(("executor", "save"), SAVING)
def test_weights_that_are_put_in_for_a_call_get_their_gradients(traced, executor, save):
    topology = sn.topologies.create("chain")
    plans = topology.plan([5, 3])
    layer = recurrence(topology, "gru", executor=executor)
    x = features(plans)
    given = {name: (one * 1.5).detach() for name, one in layer.named_parameters()}
    found = []
    for layer.save in ("gates", save):
        mine = {name: one.clone().requires_grad_() for name, one in given.items()}
        h = torch.func.functional_call(layer, mine, (x, plans))
        grads = torch.autograd.grad(h.sin().sum(), [x, *mine.values()])
        found.append({str(i): grad for i, grad in enumerate(grads)})
    assert_same(*found)


class Noisy(nn.Module):
    """A cell that projects with dropout."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.register_buffer("scale", torch.ones(()))
        self.state_sizes = (hidden_size,)

    def project(self, x):
        return nn.functional.dropout(self.input(x), training=self.training) * self.scale

    def forward(self, z, h):
        return (z + h.sum(1)).tanh()


@pytest.mark.parametrize(("executor", "save"), SAVING)
def test_what_changes_before_its_backward_pass_is_refused(traced, executor, save):
    topology = sn.topologies.create("chain")
    plans = topology.plan([5, 3])
    layer = recurrence(topology, Noisy, executor=executor, save=save).train()
    h = layer(features(plans), plans)
    layer.eval()
    with pytest.raises(RuntimeError, match="switched between training and evaluation"):
        h.sum().backward()
    h = layer(features(plans), plans)
    layer.cells[0].scale.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        h.sum().backward()


def test_windows_refuse_second_derivatives():
    topology = sn.topologies.create("chain")
    plans = topology.plan([5])
    x = features(plans)
    h = recurrence(topology, "gru", save="windows")(x, plans)
    with pytest.raises(RuntimeError, match="save='windows' has no second derivatives"):
        torch.autograd.grad(h.sum(), x, create_graph=True)


class Normed(Noisy):
    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.norm = nn.BatchNorm1d(hidden_size)


def test_a_norm_over_all_nodes_is_refused_where_some_are_projected_at_a_time():
    with pytest.raises(ValueError, match=r"save='windows'.*batch norm in Normed"):
        sn.Recurrence("chain", Normed, 3, 4, save="windows")


def test_wrong_choices_are_refused():
    with pytest.raises(
        ValueError, match=r"'save' is 'auto' or 'gates' or .* got 'gate'; did you mean 'gates'"
    ):
        sn.Recurrence("chain", "lstm", 3, 2, save="gate")
    with pytest.raises(
        ValueError, match=r"'batched' takes no save='recompute', only auto, compiled"
    ):
        sn.Recurrence("chain", "lstm", 3, 2, save="recompute", executor="batched")
    with pytest.raises(ValueError, match="save='windows' excludes truncate"):
        sn.Recurrence("chain", "lstm", 3, 2, save="windows", zoneout=0.1)
