"""Layers with executor `auto` are compiled after a number of levels, with the same results."""

import copy
import logging
import random
import sys

import pytest
import torch
from commands import opened, trained
from conftest import assert_same

import structnet as sn
from structnet.execute.compiled.executor import Compiled
from structnet.nn import compiling
from structnet.nn.recurrence import Recurrence

# Of a chain of three steps that was run five times.
LEVELS = 15


@pytest.fixture
def passes(monkeypatch, traced):
    """The numbers of levels of all passes that ran compiled."""
    found, run = [], Compiled.run

    def counted(executor, p):
        found.append(len(p.plan.steps))
        return run(executor, p)

    monkeypatch.setattr(compiling, "LEVELS", LEVELS)
    monkeypatch.setattr(Compiled, "run", counted)
    return found


def layer(cell="mgu", topology="chain", **options):
    return sn.Recurrence(topology, cell, 2, 3, dtype=torch.float64, **options)


def step(one, x, steps=3, **options):
    """The output, and the gradient of x."""
    x = x.clone().requires_grad_()
    h = one(x, one.topology.plan([steps]), **options)
    h.sin().sum().backward()
    return [h.detach(), x.grad]


def test_a_layer_is_compiled_after_a_number_of_levels(passes):
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    first = [step(one, x) for _ in range(5)]
    assert passes == []
    assert_same(step(one, x), first[0])
    assert passes == [3]
    with torch.no_grad():
        one.eval()(x, one.topology.plan([3]))
    assert passes == [3, 3]


def test_each_layer_counts_its_own_levels(passes):
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(6):
        step(one, x)
    passes.clear()
    step(copy.deepcopy(one), x)
    step(layer(), x)
    assert passes == []


@pytest.mark.parametrize(
    ("options", "call"), [({"executor": "batched"}, {}), ({}, {"executor": "batched"})]
)
def test_what_the_user_chose_stays(passes, options, call):
    one, x = layer(**options), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(8):
        step(one, x, **call)
    assert passes == []


def test_what_compiled_does_not_take_stays(passes):
    one, x = layer("lstm", "graph", edge_size=1), torch.randn(3, 2, dtype=torch.float64)
    plans = one.topology.plan([sn.Edges([[0, 1], [1, 2]], 3)])
    for _ in range(8):
        one(x, plans, edge_x=torch.ones(2, 1, dtype=torch.float64))
    assert passes == []


def test_half_precision_is_compiled_too(passes):
    one, x = layer().float(), torch.randn(3, 2)
    with torch.autocast("cpu", torch.bfloat16):
        found = [one(x, one.topology.plan([3])) for _ in range(6)]
    assert passes == [3]
    assert_same(found[5], found[0], 1e-2)


def test_single_steps_and_layers_of_runs_stay(passes):
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(20):
        step(one, x[:1], steps=1)
    told = layer()
    told.compiles = False
    for _ in range(8):
        step(told, x)
    assert passes == []


def test_a_layer_that_can_not_be_compiled_goes_on_level_by_level(passes, monkeypatch, caplog):
    tried = []

    def refuse(executor, p):
        tried.append(p)
        raise ValueError("no compiler\nnowhere")

    monkeypatch.setattr(Compiled, "run", refuse)
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    with caplog.at_level(logging.INFO, "structnet"):
        found = [step(one, x) for _ in range(9)]
    assert len(tried) == 1
    assert_same(found[-1], found[0])
    assert "executor auto goes on level by level: no compiler" in caplog.text


@pytest.mark.slow
def test_a_cell_that_changes_is_not_compiled_for_ever(passes, monkeypatch, caplog):
    from structnet.execute.compiled import known

    # One that is made leaves another out.
    monkeypatch.setattr(known, "MOST_ALIKE", 2)
    monkeypatch.setattr(known, "_programs", {})
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    with caplog.at_level(logging.INFO, "structnet"), pytest.warns(UserWarning, match="MGU"):
        for number in range(20):
            one.cells[0].note = number / 7
            assert_same(step(one, x), step(one, x, executor="reference"))
    # Two at a time.
    assert len(passes) == compiling.PROGRAMS // 2 + 1
    assert "MGU was compiled 10 times" in caplog.text


SCALE = 2.0


class Mine(sn.Cell):
    """A user's cell that reads a global."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return SCALE * u.tanh()


class Drawing(Mine):
    """A user's cell that draws a number."""

    def forward(self, z, h):
        return super().forward(z, h) * (random.random() < 2)


def test_a_users_cell_is_compiled_until_what_it_reads_changes(passes, monkeypatch, caplog):
    one, x = layer(Mine), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(7):
        assert_same(step(one, x), step(one, x, executor="reference"))
    assert passes == [3, 3]
    monkeypatch.setattr(sys.modules[__name__], "SCALE", 3.0)
    with caplog.at_level(logging.INFO, "structnet"):
        for _ in range(2):
            assert_same(step(one, x), step(one, x, executor="reference"))
    assert passes == [3, 3]
    assert "what the code of Mine reads has changed" in caplog.text


def test_a_new_layer_of_the_class_knows_what_has_changed(passes, monkeypatch):
    x = torch.randn(3, 2, dtype=torch.float64)
    for scale in (2.0, 3.0):
        monkeypatch.setattr(sys.modules[__name__], "SCALE", scale)
        one = layer(Mine)
        for _ in range(6):
            step(one, x)
        passes.clear()
        assert_same(step(one, x), step(one, x, executor="reference"))
        assert passes == [3]


def hooked(one):
    one.cells[0].input.register_forward_hook(lambda *given: None)


def replaced(one):
    one.cells[0].forward = one.cells[0].forward


@pytest.mark.parametrize(("cell", "change"), [(Drawing, None), ("mgu", hooked), ("mgu", replaced)])
def test_what_is_not_known_stays(passes, cell, change):
    one, x = layer(cell), torch.randn(3, 2, dtype=torch.float64)
    if change:
        change(one)
    for _ in range(8):
        step(one, x)
    assert passes == []


def test_tensors_without_numbers_and_watched_passes_stay(passes):
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    plans = one.topology.plan([3])
    for _ in range(6):
        one(x, plans)
    passes.clear()
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert one(mode.from_tensor(x), plans).shape == (3, 3)
    with FlopCounterMode(display=False) as counter:
        one(x, plans)
    with torch.device("meta"):
        one(x, plans)
    assert passes == [] and counter.get_total_flops() > 0


def test_an_error_of_the_user_is_the_same(passes):
    one, x = layer(), torch.randn(3, 2, dtype=torch.float64)
    for _ in range(6):
        step(one, x)
    with pytest.raises(ValueError, match="x is"):
        one(x[:2], one.topology.plan([3]))


def test_an_rnn_and_a_net_have_such_layers_and_a_run_does_not(passes):
    rnn = sn.RNN("lstm", 2, 3, peephole=True, dtype=torch.float64)
    for _ in range(6):
        rnn(torch.randn(3, 1, 2, dtype=torch.float64))
    assert passes == [3]
    net = opened(trained()).load_net()
    layers = [one for one in net.modules() if isinstance(one, Recurrence)]
    assert layers and not any(one.compiles for one in layers)


def test_an_rnn_with_torchs_weights_is_compiled_where_its_sequences_are_ragged(passes):
    rnn = sn.RNN("lstm", 2, 3, dtype=torch.float64)
    assert rnn.is_torch_form
    x, starts = torch.randn(3, 2, 2, dtype=torch.float64), torch.zeros(3, 2)
    starts[1, 0] = 1
    given = [{"lengths": [3, 1]}] * 3 + [{"episode_starts": starts}] * 3
    found = [rnn(x, **options)[0] for options in given]
    assert passes == [3]
    assert_same(found[5], found[4])
