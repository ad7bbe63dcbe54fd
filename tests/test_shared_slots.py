"""Slots that share weights: children from one slot on have no order, those before it have."""

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.registry import cells

SHARED = [
    "elman", "graph_lstm", "gru", "indrnn", "jordan", "lstm", "mgu", "mut1", "mut2", "mut3",
    "recursive", "slstm",
]  # fmt: skip
# A root with four children, of which the later ones have children of their own.
TREE = np.array(
    [[1, 2, 3, 4], [-1] * 4, [5, -1, -1, -1], [6, 7, -1, -1], *[[-1] * 4 for _ in range(4)]]
)


def layer(cell, executor="batched", direction="up", **options):
    torch.manual_seed(0)
    topology = sn.topologies.create("tree", arity=4, distinct=2, direction=direction)
    return sn.Recurrence(topology, cell, 3, 5, executor=executor, **options).double()


def root_of(made, slots):
    """The root's output with its children in other slots."""
    table = TREE.copy()
    table[0] = table[0][slots]
    x = torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(8, 3)
    return made(x, made.topology.plan([table]))[0]


@pytest.mark.parametrize("cell", SHARED)
def test_children_have_an_order_before_the_slots_that_share_weights(cell):
    made = layer(cell)
    usual = root_of(made, [0, 1, 2, 3])
    torch.testing.assert_close(root_of(made, [0, 3, 1, 2]), usual)
    assert (root_of(made, [1, 0, 2, 3]) - usual).abs().max() > 1e-4


@pytest.mark.parametrize("cell", sorted(set(cells.names()) - set(SHARED)))
def test_a_cell_whose_slots_are_not_known_is_refused(cell):
    with pytest.raises(ValueError, match="option 'distinct' is 2, and which weights of"):
        layer(cell)


@pytest.mark.parametrize(
    "options", [{"peephole": True}, {"diagonal": True}, {"projection_size": 2}, {"coupled": True}]
)
def test_options_of_an_lstm_share_slots(options):
    made = layer("lstm", **options)
    torch.testing.assert_close(root_of(made, [0, 3, 1, 2]), root_of(made, [0, 1, 2, 3]))


def test_there_are_the_weights_of_two_slots_and_they_are_reset():
    made, two = (
        layer("lstm").float(),
        sn.Recurrence(sn.topologies.create("tree", arity=2), "lstm", 3, 5),
    )
    count, least = (sum(p.numel() for p in one.parameters()) for one in (made, two))
    assert count == least
    before = made.cells[0].recurrent.clone()
    torch.manual_seed(1)
    made.reset_parameters()
    assert not torch.equal(made.cells[0].recurrent, before)
    made.double()
    torch.testing.assert_close(root_of(made, [0, 3, 1, 2]), root_of(made, [0, 1, 2, 3]))


@pytest.mark.parametrize(
    ("executor", "direction"),
    [
        ("batched", "both"),
        ("batched", "down"),
        pytest.param("compiled", "up", marks=pytest.mark.slow),
    ],
)
def test_executors_give_the_numbers_and_gradients_of_the_reference(executor, direction):
    found = []
    for one in ("reference", executor):
        made = layer("lstm", one, direction)
        out = root_of(made, [0, 1, 2, 3])
        out.sum().backward()
        found.append((out, [one.grad for one in made.parameters()]))
    torch.testing.assert_close(*found)


def test_a_number_of_slots_that_does_not_fit_is_refused():
    for arity, distinct in ((None, 1), (2, 2), (2, 0)):
        with pytest.raises(ValueError, match="option 'distinct' is at least 1 and below 'arity'"):
            sn.topologies.create("tree", arity=arity, distinct=distinct)
