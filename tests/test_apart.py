"""What is not finite in one sequence of a batch stays in it, whatever runs the batch."""

import numpy as np
import pytest
import torch
from conftest import create_cells, initial_states, recurrence

import structnet as sn
from structnet.cell.linear import LinearCell
from structnet.execute import selective
from structnet.execute.linear_recurrence import CHUNK, LEAST_CHUNKS

LONG = LEAST_CHUNKS * CHUNK + 5
BATCHES = [[5, 3, 4], [4, 4], [1, 2, 1]]


def is_linear(name, options):
    cell = sn.cells.create(name, 2, 2, 1, **options)
    return isinstance(cell, LinearCell) and cell.is_linear


LINEAR = [case for case in create_cells() if is_linear(*case.values[0])]
every_linear_cell = pytest.mark.parametrize("cell", LINEAR)


def clean_and_spoilt(lengths, spoilt, value, size=3):
    """Two batches that differ in one sequence, and which nodes are of others."""
    generator = torch.Generator().manual_seed(7)
    clean = torch.randn(sum(lengths), size, generator=generator, dtype=torch.float64)
    ends = np.cumsum(lengths)
    other = clean.clone()
    other[ends[spoilt] - lengths[spoilt] // 2 - 1, 0] = value
    is_other = torch.ones(len(clean), dtype=torch.bool)
    is_other[ends[spoilt] - lengths[spoilt] : ends[spoilt]] = False
    return clean, other, is_other


def run(layer, x, plans, start, executor, nodes):
    """Outputs, states and the gradients of x and of the initial states, of all nodes."""
    x = x.clone().requires_grad_()
    h, states = layer(x, plans, initial=start, return_states=True, executor=executor)
    weight = torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view_as(h)
    loss = (h * weight).sum() + sum((state * state).sum() for state in states)
    grads = torch.autograd.grad(loss, [x, *(start or ())], allow_unused=True)
    return [h[nodes], *(state[nodes] for state in states), grads[0][nodes]], grads[1:]


@every_linear_cell
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30, -1e300])
def test_a_sequence_that_is_not_finite_leaves_others_as_they_are(cell, value):
    topology = sn.topologies.create("bichain")
    layer = recurrence(topology, cell)
    for lengths in BATCHES:
        plans = topology.plan(lengths)
        for spoilt in range(0, len(lengths), 1 + (value != value)):
            clean, other, nodes = clean_and_spoilt(lengths, spoilt, value)
            start = initial_states(layer, plans) if spoilt else None
            expected, _ = run(layer, clean, plans, start, "batched", nodes)
            found, _ = run(layer, other, plans, start, "scan", nodes)
            for one, wanted in zip(found, expected, strict=True):
                torch.testing.assert_close(one, wanted, rtol=1e-9, atol=1e-11)


@every_linear_cell
def test_long_sequences_are_kept_apart_too(cell):
    """Where a sequence is cut into chunks, and chunks begin within others."""
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, cell)
    lengths = [3, LONG, 2]
    plans = topology.plan(lengths)
    for spoilt in range(3):
        clean, other, nodes = clean_and_spoilt(lengths, spoilt, float("nan"))
        expected, _ = run(layer, clean, plans, None, "scan", nodes)
        found, _ = run(layer, other, plans, None, "scan", nodes)
        for one, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(one, wanted, rtol=1e-9, atol=1e-11)


@every_linear_cell
@pytest.mark.parametrize("what", ["initial states", "gradients"])
def test_so_do_initial_states_and_gradients(cell, what):
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, cell)
    for lengths in BATCHES:
        plans = topology.plan(lengths)
        for spoilt in range(len(lengths)):
            x, _, nodes = clean_and_spoilt(lengths, spoilt, 0.0)
            others = [row for row in range(len(lengths)) if row != spoilt]
            found = []
            for value in (1.0, float("nan")):
                start = [one.detach().clone() for one in initial_states(layer, plans)]
                if what == "initial states":
                    start[0][spoilt, -1] *= value
                start = [one.requires_grad_() for one in start]
                x = x.detach().requires_grad_()
                h = layer(x, plans, initial=start, executor="scan")
                factor = torch.ones_like(h)
                if what == "gradients":
                    factor[~nodes] = value
                grad_x, *grads = torch.autograd.grad((h * factor).sum(), [x, *start])
                found.append([h[nodes], grad_x[nodes], *(grad[others] for grad in grads)])
            for clean, other in zip(*found, strict=True):
                torch.testing.assert_close(other, clean, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("keep", [False, True])
def test_a_selective_scan_keeps_sequences_apart_in_blocks(keep, monkeypatch):
    """Blocks that begin and end at heads, beside them and far from them."""
    monkeypatch.setattr(selective, "CPU_BLOCK", 1)
    topology = sn.topologies.create("chain")
    layer = recurrence(topology, "ssm", state_size=2)
    for lengths in ([17, 16, 1, 1, 40, 3], [2 * CHUNK + 2] * 2):
        plans = topology.plan(lengths)
        for spoilt in range(len(lengths)):
            clean, other, nodes = clean_and_spoilt(lengths, spoilt, float("nan"))
            found = []
            for x, executor in ((clean, "batched"), (other, "auto")):
                x = x.clone().requires_grad_()
                h = layer(x, plans, executor=executor, return_states=keep)
                h = h[0] * 1 + h[1][0].sum(1, keepdim=True) if keep else h
                (grad,) = torch.autograd.grad(h.sum(), x)
                found.append((h[nodes], grad[nodes]))
            for one, wanted in zip(*found, strict=True):
                torch.testing.assert_close(wanted, one, rtol=1e-9, atol=1e-11)


def test_a_gain_that_overflows_leaves_a_state_of_zero_at_zero():
    """As in a loop, where the product of gains is never formed."""
    from structnet.execute.scan import linear_recurrence

    a, b = torch.full((LONG, 2), 1e30), torch.zeros(LONG, 2)
    assert torch.equal(linear_recurrence(a, b), b)
