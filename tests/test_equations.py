"""Every cell is its paper's equations, outputs and gradients."""

import pytest
import torch
from conftest import assert_same, features, recurrence
from equations import load_equations

import structnet as sn

CASES = [
    pytest.param(name, options, transcription, id="-".join([name, *map(str, options.values())]))
    for name, options, transcription in load_equations()
]


def outputs_and_gradients(h, inputs):
    generator = torch.Generator().manual_seed(5)
    loss = (h * torch.randn(h.shape, generator=generator, dtype=h.dtype)).sum()
    grads = torch.autograd.grad(loss, list(inputs.values()), allow_unused=True)
    found = {
        name: torch.zeros_like(value) if grad is None else grad
        for (name, value), grad in zip(inputs.items(), grads, strict=True)
    }
    return {"output": h.detach(), **found}


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize(("name", "options", "transcription"), CASES)
def test_a_cell_is_its_papers_equations(name, options, transcription, size):
    topology = sn.topologies.create("chain")
    plans = topology.plan([7])
    layer = recurrence(topology, name, size, 4, **options)
    x = features(plans, size)
    inputs = {"x": x, **dict(layer.named_parameters())}
    expected = outputs_and_gradients(transcription(layer.cells[0], x), inputs)
    assert_same(outputs_and_gradients(layer(x, plans), inputs), expected)


def test_every_cell_and_every_option_is_transcribed():
    cases = load_equations()
    for name in sn.cells.names():
        if not sn.cells.create(name, 2, 2, 1).__module__.startswith("structnet."):
            continue
        varied = set().union(*(options for cell, options, _ in cases if cell == name))
        assert any(cell == name for cell, _, _ in cases), f"no equations of {name!r}"
        assert varied >= set(sn.cells.options(name)), f"options of {name!r} are not all varied"


def test_every_cell_names_its_source():
    for name in sn.cells.names():
        cell = type(sn.cells.create(name, 2, 2, 1))
        # The tests register some of their own.
        if not cell.__module__.startswith("structnet."):
            continue
        assert any(f"({year}" in cell.__doc__ for year in range(1986, 2027)), name
