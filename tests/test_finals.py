"""Final states: what `return_states="final"` returns, by every executor."""

import pytest
import torch

import structnet as sn
from structnet.execute.executor import find

EQUAL, RAGGED = [3, 3, 3], [1, 4, 2]


def layer_of(cell, topology="chain", **options):
    torch.manual_seed(0)
    return sn.Recurrence(topology, cell, 3, 4, dtype=torch.float64, **options)


def passed(layer, lengths, **given):
    plans = layer.topology.plan(lengths)
    torch.manual_seed(1)
    count, directions = len(lengths), len(plans)
    x = torch.randn(sum(lengths), 3, dtype=torch.float64, requires_grad=True)
    initial = [
        torch.randn(count, directions * size, dtype=torch.float64)
        for size in layer.cells[0].state_sizes
    ]
    h, states = layer(x, plans, initial=initial, **given)
    weights = list(layer.parameters())
    torch.manual_seed(2)
    total = sum((one * torch.randn_like(one)).sum() for one in (h, *states))
    return h, states, torch.autograd.grad(total, (x, *weights), allow_unused=True)


def finals_by_definition(layer, lengths):
    """The last step's states forwards, and the first step's backwards, of the reference."""
    h, states, _ = passed(layer, lengths, return_states=True, executor="reference")
    stops = torch.tensor(lengths).cumsum(0)
    ends = (stops - 1, stops - torch.tensor(lengths))
    directions = len(layer.cells)
    parts = [state.chunk(directions, 1) for state in states]
    return h, [
        torch.cat([part[end] for part, end in zip(each, ends, strict=False)], 1) for each in parts
    ]


@pytest.mark.parametrize("lengths", [EQUAL, RAGGED, [1]])
@pytest.mark.parametrize("topology", ["chain", "bichain"])
@pytest.mark.parametrize("cell", sn.cells.names())
def test_final_states_are_those_of_the_last_nodes(cell, topology, lengths):
    layer = layer_of(cell, topology)
    wanted_h, wanted = finals_by_definition(layer, lengths)
    h, states, _ = passed(layer, lengths, return_states="final")
    torch.testing.assert_close(h, wanted_h)
    for state, one in zip(states, wanted, strict=True):
        torch.testing.assert_close(state, one)


@pytest.mark.parametrize("options", [{}, {"truncate": 2}, {"save": "windows"}])
@pytest.mark.parametrize("lengths", [EQUAL, RAGGED])
def test_their_gradients_are_those_of_the_reference(lengths, options):
    for executor in ("auto", "batched", "compiled", "torch"):
        if executor in ("torch", "compiled") and (options or lengths == RAGGED):
            continue
        layer = layer_of("lstm", **options)
        h, states, grads = passed(layer, lengths, return_states="final", executor=executor)
        others = passed(layer, lengths, return_states="final", executor="reference")
        torch.testing.assert_close((h, *states), (others[0], *others[1]))
        torch.testing.assert_close(grads, others[2])


def test_torchs_layer_gives_them_for_chains_of_one_length_alone():
    assert "finals" in find("torch").takes
    with pytest.raises(ValueError, match="final memories of chains of one length"):
        passed(layer_of("lstm"), RAGGED, return_states="final", executor="torch")


def test_an_unknown_choice_is_named():
    with pytest.raises(ValueError, match="False, True or 'final', got 'last'"):
        passed(layer_of("lstm"), EQUAL, return_states="last")
