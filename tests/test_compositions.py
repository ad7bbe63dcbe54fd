"""Options that go together, drawn at random, give what the reference gives."""

import numpy as np
import pytest
import torch
from conftest import (
    assert_same,
    batches,
    create_cells,
    create_topologies,
    everything,
    features,
    initial_states,
    recurrence,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune

import structnet as sn

TOPOLOGIES = [one.values[0] for one in create_topologies()]
CELLS = [one.values[0] for one in create_cells()]


class Sine(nn.Module):
    def forward(self, weight):
        return weight.sin()


def freeze(module, name):
    module.get_parameter(name).requires_grad_(False)


PUT = {
    "nothing": lambda module, name: None,
    "parametrised": lambda module, name: parametrize.register_parametrization(module, name, Sine()),
    "pruned": lambda module, name: prune.random_unstructured(module, name, amount=0.5),
    "frozen": freeze,
}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_put_together_gives_what_the_reference_gives(traced, data):
    pick = lambda *choices: data.draw(st.sampled_from(choices))  # noqa: E731
    topology, cell = pick(*TOPOLOGIES), pick(*CELLS)
    executor, save = pick(("batched", "gates"), ("auto", "gates"), ("auto", "windows"),
                          ("compiled", "gates"), ("compiled", "recompute"))  # fmt: skip
    options = {} if save != "gates" else pick({}, {}, {"truncate": 2}, {"zoneout": 0.3})
    name, own = cell
    assume(not ("aggregate" in own and None not in topology.arities))
    try:
        layer = recurrence(topology, name, executor=executor, save=save, **options, **own)
    except ValueError:
        # Some do not go together, and say so.
        assume(False)
    put = PUT[pick(*PUT)]
    for one in layer.cells:
        for path in [name for name, _ in one.named_parameters()]:
            *above, weight = path.split(".")
            if pick(True, False):
                put(one.get_submodule(".".join(above)), weight)
    plans = topology.plan(data.draw(batches(topology)))
    x = features(plans)
    initial = pick(None, initial_states(layer, plans))
    torch.manual_seed(0)
    found = everything(layer, x, plans, initial)
    torch.manual_seed(0)
    layer.save = "gates"
    assert_same(found, everything(layer, x, plans, initial, executor="reference"))


@pytest.mark.parametrize("cell", ["fo", "gru", "graph_lstm", "mingru", "minlstm", "sru", "ssm"])
def test_several_initial_states_that_are_not_given_count_as_several(traced, cell):
    """A node of an ordered graph may have two neighbours that are visited later."""
    star = sn.Edges([[1, 0, 2, 0], [0, 1, 0, 2]], 3, np.zeros(3))
    layer = recurrence("ordered_graph", cell)
    plans = layer.topology.plan([star])
    assert {slots for _, _, slots, _ in plans[0].steps} == {1, 2}
    x = features(plans)
    expected = everything(layer, x, plans, executor="reference")
    for executor in ("batched", "compiled"):
        assert_same(everything(layer, x, plans, executor=executor), expected)
