"""Long trainings compile their layers on the way."""

import pytest
import torch
from conftest import assert_same, features
from torch import nn

import structnet as sn
from structnet.execute.compiled.executor import Compiled
from structnet.training import compiling


def layer(cell="lstm", topology="tree", **options):
    return sn.Recurrence(topology, cell, 3, 4, **options)


CALLS = []


class Mine(sn.Cell):
    """A user's cell whose code is all known."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh()


class Counting(Mine):
    """A user's cell that counts its calls."""

    def forward(self, z, h):
        CALLS.append(len(z))
        return super().forward(z, h)


@pytest.fixture
def run_compiled(monkeypatch):
    """The cells of all passes that ran compiled."""
    found, run = [], Compiled.run

    def noted(executor, p):
        found.append(type(p.cell).__name__)
        return run(executor, p)

    monkeypatch.setattr(Compiled, "run", noted)
    return found


STRUCTURES = {
    "tree": [[-1, -1], [-1, -1], [0, 1]], "any_dag": [[], [0], [1]], "chain": 3,
}  # fmt: skip


def are_compiled(layers, run_compiled):
    """Whether a pass of each layer, given with the name of its topology, runs compiled."""
    found = []
    for one, topology in layers:
        run_compiled.clear()
        one(torch.randn(3, 3), one.topology.plan([STRUCTURES[topology]]))
        found.append(bool(run_compiled))
    return found


def test_layers_are_compiled_that_auto_runs_level_by_level(traced, run_compiled, capsys):
    names = ["tree", "any_dag", "chain", "tree"]
    net = nn.ModuleList([
        layer(), layer("gru", "any_dag"), layer("mingru", "chain"), layer(executor="batched"),
    ])  # fmt: skip
    state = torch.random.get_rng_state()
    assert are_compiled(zip(net, names, strict=True), run_compiled) == [False] * 4
    torch.random.set_rng_state(state)
    compiling.compile_layers(net)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert are_compiled(zip(net, names, strict=True), run_compiled) == [True, True, False, False]
    assert capsys.readouterr().out.startswith("2 layers compiled in ")
    assert all(one.grad is None for one in net.parameters())
    assert net.training


def test_layers_of_runs_are_compiled_too(traced, run_compiled):
    one = layer()
    one.compiles = False
    compiling.compile_layers(one)
    assert are_compiled([(one, "tree")], run_compiled) == [True]


def test_parts_that_do_not_train_stay_so(traced, run_compiled):
    one = layer()
    one.cells[0].eval()
    compiling.compile_layers(one)
    assert are_compiled([(one, "tree")], run_compiled) == [True]
    assert one.training and not one.cells[0].training


def test_results_stay(traced):
    one = layer().double()
    plans = one.topology.plan([STRUCTURES["tree"]])
    x = features(plans)[:, :3].detach()
    before = one(x, plans)
    compiling.compile_layers(one)
    assert_same(one(x, plans), before, 1e-12)


def test_what_can_not_be_compiled_stays_and_the_reason_is_said(traced, monkeypatch, capsys):
    run = Compiled.run

    def refused(executor, p):
        if isinstance(p.cell, sn.cells["mgu"]):
            raise ValueError("no fixed graph\nnowhere")
        return run(executor, p)

    monkeypatch.setattr(Compiled, "run", refused)
    net = nn.ModuleList([layer("mgu"), layer()])
    for one in net:
        one.compiles = False
    compiling.compile_layers(net)
    assert [one.compiles for one in net] == [False, True]
    out = capsys.readouterr().out
    assert "1 layer compiled" in out and "not compiled: no fixed graph\n" in out


def test_a_users_cell_whose_code_is_known_is_compiled(traced, run_compiled, capsys):
    one = layer(Mine)
    compiling.compile_layers(one)
    assert are_compiled([(one, "tree")], run_compiled) == [True]
    assert "1 layer compiled" in capsys.readouterr().out


def test_another_users_cell_stays_and_the_reason_is_said(traced, run_compiled, capsys):
    one = layer(Counting)
    compiling.compile_layers(one)
    assert capsys.readouterr().out == (
        "not compiled: the global CALLS, which Counting.forward reads, is a list; "
        "net.executor=compiled compiles it nevertheless\n"
    )
    CALLS.clear()
    assert are_compiled([(one, "tree")], run_compiled) == [False] and len(CALLS) == 2


def test_nothing_is_said_where_nothing_is_compiled(traced, capsys):
    compiling.compile_layers(layer("mingru", "chain"))
    assert capsys.readouterr().out == ""


def test_what_runs_the_layers_is_named():
    net = nn.ModuleList([layer(), layer("mingru", "chain"), layer(executor="reference")])
    assert compiling.executors_of(net, 4999) == "batched, scan, reference"
    assert compiling.executors_of(net, 5000) == (
        "batched, scan, reference, compiled from step 1,000 on"
    )
    assert compiling.executors_of(net[1], 5000) == "scan"
    assert compiling.executors_of(nn.Linear(1, 1), 5000) == ""
    # Nothing is promised that will be refused.
    assert compiling.executors_of(layer(Counting), 5000) == "batched"


@pytest.mark.parametrize(("steps", "at", "compiles"), [
    (4999, 1500, False), (5000, 999, False), (5000, 1000, True), (9000, 3000, True),
])  # fmt: skip
def test_the_step_is_fixed(monkeypatch, steps, at, compiles):
    calls = []
    monkeypatch.setattr(compiling, "compile_layers", calls.append)
    callback, trainer = compiling.Compile(steps), type("Trainer", (), {"global_step": at})()
    callback.on_train_start(trainer, "module")
    for _ in range(3):
        callback.on_train_batch_start(trainer, "module", "batch", 0)
    assert calls == ["module"] * compiles
