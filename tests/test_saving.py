"""What a pass stores for backward where the layer leaves it open."""

from typing import Any

import pytest
import torch
from conftest import assert_same
from torch import nn

import structnet as sn
from structnet.execute.compiled.executor import Compiled
from structnet.execute.executor import Pass
from structnet.nn import saving
from structnet.nn.recurrence import Recurrence

LITTLE, MUCH = 1000, 10**12
DIAMOND = sn.Edges([[0, 0, 1, 2], [1, 2, 3, 3]], 4)


@pytest.fixture
def memory(monkeypatch, traced):
    """Sets the bytes of the machine's memory."""
    return lambda size: monkeypatch.setattr(saving, "total_memory", lambda: size)


def layer(topology="graph", cell: Any = "lstm", **options):
    torch.manual_seed(0)
    return sn.Recurrence(topology, cell, 3, 4, dtype=torch.float64, **options)


def step(one, structure, edge_x=None, **options):
    """What its passes store; the output and all gradients."""
    plans, seen = one.topology.plan([structure]), []
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(plans[0].num_nodes, 3, generator=generator, dtype=torch.float64)
    given = [x.requires_grad_()]
    if edge_x:
        edges = torch.randn(4, edge_x, generator=generator, dtype=torch.float64)
        given.append(edges.requires_grad_())
        options["edge_x"] = edges
    one.observer = lambda p: seen.append(p.save)
    h = one(x, plans, **options)
    # A cell without edge gates has an empty weight for them.
    learning = [*given, *(weight for weight in one.parameters() if weight.numel())]
    return seen, [h, *torch.autograd.grad(h.sin().sum(), learning)]


@pytest.mark.parametrize(("options", "structure", "expected"), [
    ({}, DIAMOND, "recompute"),
    ({"executor": "compiled"}, DIAMOND, "recompute"),
    ({"executor": "batched"}, DIAMOND, "windows"),
    ({"executor": "reference"}, DIAMOND, "windows"),
    ({"edge_size": 2}, DIAMOND, "windows"),
    # Its output is no state, so that the pass can't be recomputed from states.
    ({"cell": "mlstm", "topology": "chain", "executor": "compiled"}, 5, "windows"),
    ({"topology": "chain", "cell": "gru", "reset": "before"}, 5, "recompute"),
    ({"cell": "mlstm", "topology": "chain", "truncate": None}, 5, "windows"),
    ({"save": "gates"}, DIAMOND, "gates"),
    ({"zoneout": 0.1}, DIAMOND, "gates"),
    ({"truncate": 2}, DIAMOND, "gates"),
    ({"layer_norm": True}, DIAMOND, "recompute"),
])  # fmt: skip
def test_what_does_not_fit_is_computed_again(memory, options, structure, expected):
    one, edge_x = layer(**options), options.get("edge_size")
    memory(MUCH)
    seen, reference = step(one, structure, edge_x, executor="reference")
    assert seen == ["gates"]
    assert step(one, structure, edge_x)[0] == ["gates"]
    memory(LITTLE)
    seen, found = step(one, structure, edge_x)
    assert seen == [expected]
    if "zoneout" not in options:
        assert_same(found, reference)


def test_layers_of_runs_recompute_too(memory):
    memory(LITTLE)
    one = layer()
    one.compiles = False
    assert step(one, DIAMOND)[0] == ["recompute"]


class Dropping(sn.Cell):
    """A cell that draws numbers in training, which is no fixed graph."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return nn.functional.dropout(u, 0.3, self.training)


def test_what_can_not_be_compiled_goes_through_windows(memory, monkeypatch):
    memory(LITTLE)
    one = layer(cell=Dropping)
    assert step(one, DIAMOND)[0] == ["windows"]
    assert step(one.eval(), DIAMOND)[0] == ["recompute"]

    def refuse(executor, p):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(Compiled, "run", refuse)
    seen, found = step(one := layer(), DIAMOND)
    assert seen == ["windows"]
    assert_same(found, step(one, DIAMOND, executor="reference")[1])


def test_gradients_of_edges_and_initial_states_are_enough(memory):
    memory(LITTLE)
    seen = []
    graph = layer(edge_size=2).requires_grad_(False)
    graph.edges.requires_grad_(True)
    edge_x = torch.zeros(4, 2, dtype=torch.float64)
    chain = layer("chain", executor="batched").requires_grad_(False)
    initial = [torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)] * 2
    graph.observer = chain.observer = lambda p: seen.append(p.save)
    x = torch.zeros(4, 3, dtype=torch.float64)
    graph(x, graph.topology.plan([DIAMOND]), edge_x=edge_x)
    chain(x, chain.topology.plan([4]), initial=initial)
    assert seen == ["windows", "windows"]


def test_it_is_said_once_per_layer(memory, caplog):
    memory(LITTLE)
    one = layer()
    for _ in range(2):
        step(one, DIAMOND)
    (said,) = caplog.messages
    assert said.startswith("a training step of a layer on 4 nodes would take about 3.")
    assert " kB of 1.0 kB of memory: save=recompute stores less" in said


def test_both_directions_of_a_layer_count(memory):
    for topology, expected in (("chain", "gates"), ("bichain", "windows")):
        one = layer(topology, executor="batched")
        plan = one.topology.plan([4])[0]
        p = Pass(one.cells[0], plan, torch.zeros(4, 3))
        memory(1.5 * saving.PEAK * saving.stored(p) / saving.SHARE)
        assert set(step(one, 4)[0]) == {expected}


def test_an_evaluation_stores_nothing_anyway(memory):
    memory(LITTLE)
    one, seen = layer(), []
    one.observer = lambda p: seen.append(p.save)
    x, plans = torch.zeros(4, 3, dtype=torch.float64), one.topology.plan([DIAMOND])
    with torch.no_grad():
        one(x, plans)
    one.requires_grad_(False)(x, plans)
    assert seen == ["gates"] * 2


def test_the_estimate_grows_with_nodes_edges_and_precision():
    one = layer()
    small, large = (one.topology.plan([sn.Edges([[0], [1]], n)])[0] for n in (2, 20))
    x = torch.zeros(2, 3)

    def estimate(plan, layer=one):
        return saving.stored(Pass(layer.cells[0], plan, x))

    # Two states, four gates of the input and of predecessors; the gate of an edge.
    numbers = 2 * 4 + 2 * 16
    assert estimate(small) == (2 * numbers + len(small.rows) * 4) * 8
    assert estimate(large) == (20 * numbers + len(large.rows) * 4) * 8
    assert estimate(small, layer().float()) == estimate(small) / 2


def test_edge_features_go_through_windows():
    one = layer(edge_size=2, save="windows")
    chain = sn.Edges([[0, 1, 2, 3], [1, 2, 3, 4]], 5)
    expected = step(one, chain, 2, executor="reference")[1]
    assert_same(step(one, chain, 2)[1], expected)
    with pytest.raises(ValueError, match="need save='gates' or 'windows', got 'recompute'"):
        layer(edge_size=2, save="recompute")


def test_auto_runs_what_is_to_be_recomputed(memory):
    memory(MUCH)
    one = layer(save="recompute")
    seen, found = step(one, DIAMOND)
    assert seen == ["recompute"]
    assert_same(found, step(layer(), DIAMOND)[1])
    with pytest.raises(ValueError, match="take save='windows'"):
        layer("chain", "mlstm", save="recompute")


def test_it_is_the_default():
    assert Recurrence("chain", "lstm", 2, 3).save == "auto"
    assert all(one.save == "auto" for one in sn.RNN("lstm", 2, 3).layers)
