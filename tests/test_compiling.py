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


class Mine(sn.Cell):
    """A user's cell, which may do anything."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh()


def test_layers_are_compiled_that_auto_runs_level_by_level(traced, capsys):
    net = nn.ModuleList([
        layer(), layer("gru", "any_dag"), layer("mingru", "chain"), layer(executor="batched"),
    ])  # fmt: skip
    state = torch.random.get_rng_state()
    compiling.compile_layers(net)
    assert [one.executor for one in net] == ["compiled", "compiled", "auto", "batched"]
    assert capsys.readouterr().out.startswith("2 layers compiled in ")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(one.grad is None for one in net.parameters())
    assert net.training


def test_parts_that_do_not_train_stay_so(traced):
    one = layer()
    one.cells[0].eval()
    compiling.compile_layers(one)
    assert one.executor == "compiled"
    assert one.training and not one.cells[0].training


def test_results_stay(traced):
    one = layer().double()
    plans = one.topology.plan([[[-1, -1], [-1, -1], [0, 1]]])
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
    compiling.compile_layers(net)
    assert [one.executor for one in net] == ["auto", "compiled"]
    out = capsys.readouterr().out
    assert "1 layer compiled" in out and "not compiled: no fixed graph\n" in out


def test_a_users_cell_stays_as_it_is(traced, capsys):
    one = layer(Mine)
    compiling.compile_layers(one)
    assert one.executor == "auto" and capsys.readouterr().out == ""


def test_nothing_is_said_where_nothing_is_compiled(traced, capsys):
    compiling.compile_layers(layer("mingru", "chain"))
    assert capsys.readouterr().out == ""


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
