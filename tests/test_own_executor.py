"""An executor of one's own: registered from a file, trained with, and its mistakes named."""

import re
import runpy

import pytest
import torch
from commands import ROOT, call, isolated, refused
from conftest import assert_same

import structnet as sn

EXAMPLE = ROOT / "examples" / "timed_executor.py"
HEAD = "import structnet as sn\n@sn.executors.register('mine')\n"


@pytest.fixture(autouse=True)
def alone():
    with isolated():
        yield


def mine(run, takes=("states",)):
    """Register an executor of this `run`; a layer that takes it and what to call it with."""

    own = {"run": run, "takes": frozenset(takes)}
    sn.executors.register("mine")(type("Mine", (sn.Executor,), own))
    return sn.Recurrence("chain", "lstm", 2, 3, executor="mine"), sn.topologies.create("chain")


def test_an_executor_from_a_file_trains_and_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("task=arithmetic", "task.train_size=40",
             "topology=chain", "net.hidden_size=4", "trainer.num_workers=0",
             "trainer.max_epochs=1", "--plugin", EXAMPLE)  # fmt: skip
    found = []
    for executor in ("timed", "batched"):
        done = call("train", *words, f"net.executor={executor}")
        assert done.status == 0, done.err
        found.append(re.findall(r"(?:loss|accuracy) +([\d.]+)", done.out))
    assert found[0]
    assert found[0] == found[1]


def test_the_example_takes_the_time_of_every_pass(capsys):
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [int(line[0]) for line in lines] == [32, 1, 2, 4, 8, 16, 32]
    assert all(float(line[-3]) > 0 for line in lines)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("class Mine: ...", "executor 'mine' is not a Executor: register a subclass of Executor"),
        ("class Mine(sn.Executor): ...", "executor 'mine' does not implement run of Executor"),
        (
            "class Mine(sn.Executor):\n  takes = frozenset(['egdes'])\n  def run(self, p): ...",
            "Mine.takes has unknown ['egdes']; take some of states, edges, dropout",
        ),
    ],
)
def test_what_is_no_executor_is_rejected_where_it_is_registered(body, message, tmp_path):
    (tmp_path / "mine.py").write_text(HEAD + body)
    assert message in refused("list", "executors", "--plugin", tmp_path / "mine.py")


def test_what_it_does_not_take_and_what_it_refuses_is_said():
    layer, chain = mine(lambda self, p: None, takes=())
    with pytest.raises(ValueError, match="executor 'mine' takes no states of every node, only "):
        layer(torch.randn(4, 2), chain.plan([4]), return_states=True)
    with pytest.raises(ValueError, match="executor 'mine' takes no zoneout, only "):
        sn.Recurrence("chain", "lstm", 2, 3, executor="mine", zoneout=0.1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda h, states: (h[:-1], states),
        lambda h, states: (h.T, states),
        lambda h, states: (h, states[:1]),
        lambda h, states: (h, (states[0], states[1][:, :2])),
    ],
)
def test_results_of_other_shapes_name_the_executor(wrong):
    layer, chain = mine(lambda self, p: wrong(*sn.executors.create("batched").run(p)))
    with pytest.raises(ValueError, match=r"executor 'mine' returned .* expected .* for 4"):
        layer(torch.randn(4, 2), chain.plan([4]), return_states=True)


def test_it_may_leave_out_states_that_nobody_wants():
    layer, chain = mine(lambda self, p: (sn.executors.create("batched").run(p)[0], ()))
    x, plans = torch.randn(4, 2), chain.plan([4])
    assert_same(layer(x, plans), layer(x, plans, executor="batched"))
    with pytest.raises(ValueError, match="executor 'mine' returned"):
        layer(x, plans, return_states=True)


def test_a_class_that_is_registered_again_is_the_one_that_runs():
    calls = []

    def run(self, p):
        calls.append(type(self))
        return sn.executors.create("batched").run(p)

    for _ in range(2):
        layer, chain = mine(run)
        layer(torch.randn(4, 2), chain.plan([4]))
    assert calls[0] is not calls[1]
