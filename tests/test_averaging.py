"""Weights averaged over the steps since the validation figure got no better."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from commands import SMALL, call, code_folder, logged, opened, refused
from safetensors.torch import load_file
from test_resuming import assert_same_run, checkpoint, save

from structnet.training.averaging import Average, triggers
from structnet.training.module import Module
from structnet.training.trainer import evaluate

WORDS = ("train", f"task.root={code_folder()}", *SMALL, "trainer.batch_nodes=128", "run=out",
         "trainer.optimizer=sgd", "trainer.schedule=constant", "trainer.average=triggered",
         "trainer.learning_rate=20", "trainer.average_wait=1", "trainer.max_epochs=6",
         "trainer.calibrate=false")  # fmt: skip


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """The weights after every step."""
    monkeypatch.chdir(tmp_path)
    found, end = [], Module.on_train_batch_end

    def noted(self, *given):
        found.append({name: one.detach().clone() for name, one in self.net.named_parameters()})
        return end(self, *given)

    monkeypatch.setattr(Module, "on_train_batch_end", noted)
    return found


def mean_of(steps):
    return {name: torch.stack([one[name] for one in steps]).double().mean(0) for name in steps[0]}


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("scores", "score", "wait", "mode", "expected"),
    [
        ([3.0, 2.0], 9.0, 2, "min", False),
        ([3.0, 2.0, 1.0], 3.1, 2, "min", True),
        ([3.0, 2.0, 1.0], 3.0, 2, "min", False),
        ([3.0, 1.0, 2.0, 2.0], 1.5, 2, "min", True),
        ([3.0, 4.0, 1.0], 2.9, 2, "max", True),
        ([3.0, 4.0, 1.0], 3.1, 2, "max", False),
        ([3.0], float("nan"), 0, "max", False),
        ([], 1.0, 1, "max", False),
    ],
)
def test_a_figure_worse_than_the_best_before_the_latest_triggers(
    scores, score, wait, mode, expected
):
    assert triggers(scores, score, wait, mode) is expected


@pytest.mark.parametrize("keep", ["last", pytest.param("best", marks=pytest.mark.slow)])
def test_the_mean_of_the_weights_is_tested_and_kept(steps, keep):
    status, out, err = call(*WORDS, f"trainer.keep={keep}")
    assert (status, err) == (0, "") and "weights are averaged from step" in out
    scores = [score for _, score in logged(Path("out"), "validation/accuracy")]
    begun = next(
        place for place in range(2, 6) if triggers(scores[:place], scores[place], 1, "max")
    )
    assert begun < 5
    per_epoch = len(steps) // 6
    # The first of the mean are the weights that triggered it.
    ends = [per_epoch * (epoch + 1) for epoch in range(6)]
    kept = 5 if keep == "last" else scores.index(max(scores))
    expected = steps[ends[kept] - 1 :][:1]
    if kept > begun:
        expected = steps[ends[begun] - 1 : ends[kept]]
    assert_close(load_file("out/model.safetensors"), mean_of(expected))
    assert_close(
        {name.removeprefix("net."): one for name, one in checkpoint("out")["state_dict"].items()},
        mean_of(steps[ends[begun] - 1 :]),
    )
    last = checkpoint("out")["average"]
    assert last["count"] == len(steps) - ends[begun] + 1 and last["scores"] == scores
    for name, value in steps[-1].items():
        assert torch.equal(last["weights"][f"net.{name}"], value)
    run, figures = opened("out"), json.loads(Path("out/metrics.json").read_text())
    splits = run.task.keep(run.task.load(run.topology))
    assert evaluate(run, run.load_net(), splits["test"]) == figures["test"]
    # Of the epoch after the trigger, the mean was validated.
    assert figures["validation"]["accuracy"] == pytest.approx(scores[kept], abs=1e-6)


@pytest.mark.parametrize("stop", ["after", pytest.param("before", marks=pytest.mark.slow)])
def test_a_run_that_is_resumed_ends_with_the_bits_of_one_that_was_not(steps, monkeypatch, stop):
    straight = [word if word != "run=out" else "run=straight" for word in WORDS]
    assert call(*straight, "trainer.save_steps=1").status == 0
    count = checkpoint("straight")["average"]["count"]
    at = len(steps) - count // 2 if stop == "after" else len(steps) - count - 1
    step = Module.training_step

    def killed(self, batch, batch_idx):
        if self.trainer.global_step == at:
            raise ChildProcessError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Module, "training_step", killed)
        assert call(*WORDS, "trainer.save_steps=1").status == 2
    assert (checkpoint("out")["average"]["count"] > 0) == (stop == "after")
    status, _, err = call("train", "resume=out")
    assert (status, err) == (0, "")
    assert_same_run("straight", "out")
    one, other = (checkpoint(run)["average"] for run in ("straight", "out"))
    assert one["count"] == other["count"] and one["scores"] == other["scores"]
    assert all(torch.equal(value, other["weights"][key]) for key, value in one["weights"].items())


ODD = {
    "a list": [],
    "a count below 0": {"count": -1, "scores": [], "weights": {}},
    "no weights": {"count": 3, "scores": [0.5], "weights": {}},
    "weights of no mean": {"count": 0, "scores": [0.5], "weights": {"a": torch.zeros(2)}},
    "odd scores": {"count": 0, "scores": ["a"], "weights": {}},
    "other weights": {"count": 3, "scores": [0.5], "weights": {"net.a": torch.zeros(2)}},
    "no scores": {"count": 3, "weights": {}},
}


def test_a_checkpoint_of_a_mean_is_checked_and_its_mean_not_lost(steps):
    assert call(*WORDS).status == 0
    message = refused("train", "resume=out", "trainer.average=none", "trainer.max_epochs=7")
    assert "trainer.average=none" in message and "holds the mean of the weights of" in message
    whole = checkpoint("out")
    bad = dict(whole["average"]["weights"])
    first = next(iter(bad))
    bad[first] = torch.full_like(bad[first], float("nan"))
    odd = {**ODD, "no number": {**whole["average"], "weights": bad}}
    for name, average in odd.items():
        copy = Path(shutil.copytree("out", name))
        # None that it could go on from instead.
        for other in ("best", "previous"):
            (copy / "checkpoints" / f"{other}.ckpt").unlink(missing_ok=True)
        save({**whole, "average": average}, copy)
        status, _, err = call("train", f"resume={copy}", "trainer.max_epochs=7")
        message = err.splitlines()[-1]
        assert status == 2 and "last.ckpt" in message and len(message) < 400, err


def test_a_mean_of_steps_is_exact_in_double_precision():
    torch.manual_seed(0)
    module = torch.nn.Linear(3, 2).double()
    average = Average(None, 5)
    average.count, average.mean = 1, [one.detach().clone() for one in module.parameters()]
    iterates = [torch.cat([one.detach().flatten() for one in module.parameters()])]
    for _ in range(20):
        with torch.no_grad():
            for one in module.parameters():
                one.add_(torch.randn_like(one))
        average.on_train_batch_end(None, module)
        iterates.append(torch.cat([one.detach().flatten() for one in module.parameters()]))
    found = torch.cat([one.flatten() for one in average.mean])
    torch.testing.assert_close(found, torch.stack(iterates).mean(0), rtol=0, atol=1e-12)
