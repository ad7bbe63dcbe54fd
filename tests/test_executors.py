"""Executors: what each takes, which one `auto` takes, and torch's own layer as one of them."""

import pytest
import torch
from conftest import assert_same, everything, features, initial_states, recurrence
from torch.nn.utils import prune

import structnet as sn
from structnet.execute.executor import Spec, choose, find, reason
from structnet.execute.features import FEATURES

TORCHS = [("lstm", {}), ("gru", {}), ("elman", {})]
TORCHS += [("elman", {"nonlinearity": "relu"})]


def chosen(layer, plans, x, needs=frozenset()):
    return [choose("auto", Spec(cell, needs, plan, x)).name
            for cell, plan in zip(layer.cells, plans, strict=True)]  # fmt: skip


@pytest.mark.parametrize("lengths", [[4, 4, 4], [1], [1, 1], [5, 4, 5, 3], [9, 1, 1]], ids=str)
@pytest.mark.parametrize("name", ["chain", "bichain"])
@pytest.mark.parametrize(("cell", "options"), TORCHS, ids=str)
def test_torchs_layer_is_the_reference(cell, options, name, lengths):
    topology = sn.topologies.create(name)
    layer, plans = recurrence(topology, cell, **options), topology.plan(lengths)
    x = features(plans)
    for initial in (None, initial_states(layer, plans)):
        found, expected = [], []
        for executor, into in (("torch", found), ("reference", expected)):
            given = [] if initial is None else [one.detach().requires_grad_() for one in initial]
            own = x.detach().requires_grad_()
            h = layer(own, plans, initial=given or None, executor=executor)
            loss = (h.sin() * torch.arange(1.0, 1 + h.shape[1])).sum()
            inputs = [own, *layer.parameters(), *given]
            grads = torch.autograd.grad(loss, inputs)
            into += [h.detach(), *grads]
        assert_same(dict(enumerate(found)), dict(enumerate(expected)))


def test_auto_takes_the_first_that_refuses_nothing():
    chain, tree = (sn.topologies.create(name) for name in ("chain", "tree"))
    for cell, lengths, needs, name in [
        ("lstm", [4, 4], (), "torch"),
        ("lstm", [40, 1, 1], (), "batched"),
        ("lstm", [4, 4], ("states",), "batched"),
        ("gru", [4, 4], ("states",), "torch"),
        ("gru", [4, 4], ("zoneout",), "batched"),
        ("gru", [4, 4], ("transforms",), "reference"),
        ("mingru", [4, 9], ("states", "zoneout"), "scan"),
        ("mingru", [4, 9], ("transforms",), "reference"),
        ("mut1", [4, 4], (), "batched"),
    ]:
        layer, plans = recurrence(chain, cell), chain.plan(lengths)
        assert chosen(layer, plans, features(plans), frozenset(needs)) == [name], (cell, needs)
    plans = tree.plan([[[-1, -1], [0, -1]]])
    for cell in ("lstm", "mingru"):
        assert chosen(recurrence(tree, cell), plans, features(plans)) == ["batched"]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("lengths", [[6, 6], [9, 1, 4]], ids=str)
@pytest.mark.parametrize("cell", ["mingru", "minlstm", "fo", "sru", "ssm"])
def test_a_scan_under_zoneout_is_the_reference(cell, lengths, training):
    chain = sn.topologies.create("chain")
    layer, plans = recurrence(chain, cell, zoneout=0.4), chain.plan(lengths)
    layer.train(training)
    x, found = features(plans), {}
    for executor in ("auto", "scan", "reference"):
        torch.manual_seed(3)
        found[executor] = everything(layer, x, plans, executor=executor)
    needs = layer.noise.needs(training)
    assert chosen(layer, plans, x, needs) == ["scan"]
    assert_same(found["auto"], found["reference"])
    assert_same(found["scan"], found["reference"])


def test_features_and_executors_name_each_other():
    for name in sn.executors.names():
        assert find(name).takes <= FEATURES.keys()
    cell = recurrence(sn.topologies.create("chain"), "lstm").cells[0]
    for need in FEATURES:
        why = reason(find("torch"), Spec(cell, frozenset([need])))
        if need not in find("torch").takes:
            able = [name for name in sn.executors.names() if need in find(name).takes]
            assert f"takes no {FEATURES[need]}, only {', '.join(able)}" in why


def test_an_executor_named_at_a_call_is_held_against_what_the_layer_needs():
    chain = sn.topologies.create("chain")
    plans = chain.plan([3, 3])
    x = features(plans)
    for options, executor, message in [
        ({"zoneout": 0.1}, "torch", "'torch' takes no zoneout"),
        ({"truncate": 2}, "torch", "'torch' takes no truncate"),
        ({"save": "windows"}, "torch", "'torch' takes no save='windows'"),
        ({"save": "recompute", "executor": "compiled"}, "batched", "takes no save='recompute'"),
    ]:
        layer = recurrence(chain, "gru", **options)
        with pytest.raises(ValueError, match=message):
            layer(x, plans, executor=executor)


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("lstm", {"peephole": True}, "LSTM with peephole=False, got True"),
        ("lstm", {"projection_size": 2}, "LSTM with projected=False, got True"),
        ("gru", {"reset": "before"}, "GRU with reset='after', got 'before'"),
        ("mut1", {}, "LSTM, GRU and Elman networks, not MUT1"),
    ],
)
def test_torchs_layer_says_what_it_does_not_compute(cell, options, message):
    with pytest.raises(ValueError, match=f"executor 'torch' runs {message}"):
        sn.Recurrence("chain", cell, 3, 2, executor="torch", **options)


def test_torchs_layer_leaves_computed_weights_and_hooks_to_others():
    chain = sn.topologies.create("chain")
    plans = chain.plan([3, 3])
    x = features(plans)
    hooked, pruned = recurrence(chain, "gru"), recurrence(chain, "gru")
    hooked.cells[0].register_forward_hook(lambda *call: None)
    prune.random_unstructured(pruned.cells[0], "recurrent", 0.5)
    for layer, message in ((hooked, "has hooks"), (pruned, "are computed from others")):
        assert chosen(layer, plans, x) == ["batched"]
        with pytest.raises(ValueError, match=message):
            layer(x, plans, executor="torch")


@pytest.mark.parametrize("cell", ["lstm", "mingru"])
def test_hooks_of_all_modules_are_called(cell):
    chain = sn.topologies.create("chain")
    layer, plans = recurrence(chain, cell), chain.plan([3, 3])
    x = features(plans)
    doubled = torch.nn.modules.module.register_module_forward_hook(
        lambda module, given, out: out * 2 if isinstance(module, torch.nn.Linear) else None
    )
    try:
        found = layer(x, plans), layer(x, plans, executor="reference")
    finally:
        doubled.remove()
    assert_same(*(one.detach() for one in found))


def test_an_empty_batch_has_an_empty_output():
    chain = sn.topologies.create("bichain")
    layer, plans = recurrence(chain, "gru"), chain.plan([])
    assert layer(features(plans), plans, executor="torch").shape == (0, layer.output_size)


@pytest.mark.parametrize("lengths", [[3, 3], [3, 2]], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_torchs_layer_has_second_derivatives(cell, lengths):
    chain = sn.topologies.create("chain")
    layer, plans = recurrence(chain, cell), chain.plan(lengths)
    x, found = features(plans), {}
    inputs = [x, *layer.parameters()]
    for executor in ("auto", "reference"):
        loss = layer(x, plans, executor=executor).sin().sum()
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        penalty = sum(grad.square().sum() for grad in first)
        found[executor] = torch.autograd.grad(penalty, inputs)
    assert_same(*(dict(enumerate(second)) for second in found.values()))


def test_an_input_of_another_dtype_is_named():
    layer = sn.Recurrence("chain", "gru", 3, 2).double()
    plans = layer.topology.plan([2, 2])
    with pytest.raises(ValueError, match=r"weights' dtype, torch.float64, got torch.float32"):
        layer(torch.zeros(4, 3), plans, executor="torch")
