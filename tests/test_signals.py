"""Signals to stop, at any moment, and the exit status that shells expect."""

import os
import signal

import pytest
import torch
from commands import SMALL, call, code_folder, run_python

from structnet.data.batch import Sample
from structnet.data.loader import loader
from structnet.registry import topologies
from structnet.system.signals import Stopped, stoppable

STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}
each_signal = pytest.mark.parametrize("number", STATUS, ids=lambda number: number.name)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in STATUS}
    yield
    assert {number: signal.getsignal(number) for number in STATUS} == before


@each_signal
@pytest.mark.parametrize("raised", [Stopped, None, ImportError, SystemExit, RuntimeError])
def test_a_signal_ends_a_command_with_its_status_whatever_becomes_of_it(
    monkeypatch, number, raised
):
    def interrupted(words):
        try:
            signal.raise_signal(number)
        except Stopped:
            if raised is Stopped:
                raise
            if raised is not None:
                raise raised("half imported") from None

    monkeypatch.setattr("structnet.cli.list.run", interrupted)
    status, out, err = call("list")
    assert (status, out, err) == (STATUS[number], "", "stopped\n")


@each_signal
def test_later_signals_leave_the_cleaning_up_alone(number):
    cleaned = False
    with stoppable() as received, pytest.raises(Stopped):
        try:
            signal.raise_signal(number)
        finally:
            for again in STATUS:
                signal.raise_signal(again)
            cleaned = True
    assert cleaned and received == [number, *STATUS]


def test_a_signal_that_a_library_swallowed_is_not_the_last(monkeypatch):
    times = iter((10.0, 16.0, 16.0))
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    with stoppable() as received:
        for _ in range(2):
            with pytest.raises(Stopped):
                signal.raise_signal(signal.SIGINT)
    assert received == [signal.SIGINT] * 2


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stoppable() as received:
            signal.raise_signal(signal.SIGINT)
        assert received == []
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_signal_while_imports_run_prints_no_traceback():
    source = """
import builtins, signal, sys
from structnet.cli.main import main
imported = builtins.__import__
def interrupting(name, *some, **more):
    if name == "numpy":
        builtins.__import__ = imported
        signal.raise_signal(signal.SIGINT)
    return imported(name, *some, **more)
builtins.__import__ = interrupting
sys.exit(main(["list"]))
"""
    done = run_python("-c", source)
    assert (done.returncode, done.stderr) == (130, "stopped\n")


@each_signal
@pytest.mark.parametrize("epochs", [0, 1])
def test_training_that_is_stopped_says_how_to_go_on(monkeypatch, tmp_path, number, epochs):
    from structnet.training.module import Module

    step = Module.training_step

    def stopping(self, batch, batch_idx):
        if self.trainer.current_epoch == epochs:
            signal.raise_signal(number)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Module, "training_step", stopping)
    run = tmp_path / "out"
    words = ("train", f"task.root={code_folder()}", f"run={run}", *SMALL)
    status, out, err = call(*words, "trainer.max_epochs=2")
    assert status == STATUS[number]
    assert ("epoch 1/2" in out) == (epochs == 1)
    if epochs:
        assert err == f"stopped; go on with: structnet train resume={run}\n"
    else:
        assert err.startswith("stopped; nothing is kept") and err.count("\n") == 1
        assert call("train", f"resume={run}").status == 2
    monkeypatch.undo()
    again = (f"resume={run}",) if epochs else words[1:]
    assert call("train", *again, "trainer.max_epochs=2").status == 0


class Fatal:
    """A structure that kills whoever plans it, or sends itself a signal to stop."""

    def __init__(self, number):
        self.number = number

    def plan(self, structures):
        os.kill(os.getpid(), self.number)
        return topologies.create("chain").plan(structures)


def batches(number):
    samples = [Sample(3, torch.zeros(3, 2).numpy(), 0)] * 4
    return loader(samples, Fatal(number), batch_size=2, num_workers=1)


@pytest.mark.slow
@each_signal
def test_a_worker_does_not_end_before_the_process_it_works_for(number):
    assert sum(batch.num_samples for batch in batches(number)) == 4


def test_a_worker_that_is_killed_is_said_in_a_line(monkeypatch):
    monkeypatch.setattr("structnet.cli.list.run", lambda words: list(batches(signal.SIGKILL)))
    status, _, err = call("list")
    assert status == 2
    assert err.startswith("structnet: error: DataLoader worker (pid") and err.count("\n") == 1
