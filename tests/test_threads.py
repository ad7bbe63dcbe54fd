"""Small levels run with one thread, large ones with all, and the number is what it was before."""

import os
import threading

import pytest
import torch
from conftest import recurrence

import structnet as sn
from structnet.cli.main import SPINS, main
from structnet.execute import sweep


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


class Counting(torch.autograd.Function):
    """The identity, which tells how many threads there are, forward and backward."""

    seen: list[int] = []  # noqa: RUF012

    @staticmethod
    def forward(ctx, x):
        Counting.seen.append(torch.get_num_threads())
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        Counting.seen.append(torch.get_num_threads())
        return grad


class Watched(sn.Cell):
    """A simple recurrence whose threads are counted."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return Counting.apply(u).tanh()


def threads(size=3, samples=1):
    """The numbers of threads in the calls of a cell, forward and backward, over two levels."""
    layer = sn.Recurrence("chain", Watched, 2, size)
    plans = layer.topology.plan([2] * samples)
    Counting.seen.clear()
    layer(torch.randn(2 * samples, 2), plans).sum().backward()
    return Counting.seen


def test_small_levels_have_one_thread_and_large_ones_all():
    assert threads() == [1] * 4
    assert torch.get_num_threads() == 2
    # Multiplications of a level: 800 nodes, 300 columns, 300 units.
    assert threads(300, 800) == [2] * 4


def test_the_limit_is_of_a_level(monkeypatch):
    monkeypatch.setattr(sweep, "SMALL", 5 * 3 * 3 + 1)
    assert threads(3, 5) == [1] * 4
    monkeypatch.setattr(sweep, "SMALL", 5 * 3 * 3)
    assert threads(3, 5) == [2] * 4


def test_the_number_of_threads_is_restored_after_an_error():
    class Broken(Watched):
        def forward(self, z, h):
            assert torch.get_num_threads() == 1
            raise RuntimeError("broken")

    layer = sn.Recurrence("chain", Broken, 2, 3)
    with pytest.raises(RuntimeError, match="broken"):
        layer(torch.randn(2, 2), layer.topology.plan([2]))
    assert torch.get_num_threads() == 2


def test_other_threads_than_the_main_one_keep_theirs():
    found = []

    def work():
        torch.set_num_threads(2)
        found.extend(threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [2] * 4


def test_results_do_not_depend_on_it(monkeypatch):
    layer, x = recurrence("tree", "lstm"), torch.randn(3, 3, dtype=torch.float64)
    plans = layer.topology.plan([[[1, 2], [-1, -1], [-1, -1]]])
    small = layer(x, plans)
    monkeypatch.setattr(sweep, "SMALL", 0)
    assert torch.equal(small, layer(x, plans))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, SPINS),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, None),
    ],
)
def test_idle_threads_leave_their_core_unless_the_user_says_how_they_wait(
    monkeypatch, capsys, given, found
):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        # Set before it is removed, so that it is restored.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert main(["--help"]) == 0
    assert os.environ.get("GOMP_SPINCOUNT") == found
