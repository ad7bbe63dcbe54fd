"""Cells that do other things have programs of their own."""

from types import SimpleNamespace

import pytest
from torch import nn

import structnet as sn
from structnet.execute.compiled.fingerprint import fingerprint, key_of


def holder(values):
    """Objects in objects, which are looked into one after the other."""
    return SimpleNamespace(parts=[SimpleNamespace(inner=SimpleNamespace(v=v)) for v in values])


def test_what_objects_hold_is_told_apart_however_many_there_are():
    size = 20
    plain = fingerprint(holder([0] * size))
    assert plain == fingerprint(holder([0] * size))
    for place in range(size):
        values = [0] * size
        values[place] = 1
        assert fingerprint(holder(values)) != plain


class Mine(nn.Module):
    """A cell of a user's, which may read anything."""


class Dropping(sn.cells["elman"]):
    """Another, which does."""


@pytest.mark.parametrize("cell", sn.cells.names())
def test_a_cell_of_the_library_is_the_same_in_evaluation(cell):
    try:
        one = sn.Recurrence("tree", cell, 3, 4).cells[0]
    except ValueError:
        one = sn.Recurrence("chain", cell, 3, 4).cells[0]
    in_training = key_of(one)
    assert key_of(one.eval()) == in_training


@pytest.mark.parametrize("make", [
    Mine, nn.Dropout, lambda: nn.GRU(2, 3), lambda: nn.Sequential(nn.Linear(2, 3), nn.Dropout()),
    lambda: nn.Sequential(nn.Linear(2, 3), Mine()),
    lambda: sn.Recurrence("chain", Dropping, 3, 4).cells[0],
])  # fmt: skip
def test_what_may_do_other_things_in_training_is_not_the_same(make):
    one = make()
    in_training = key_of(one)
    assert key_of(one.eval()) != in_training
