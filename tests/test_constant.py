"""A net that is no better than one answer always given is told so."""

import json
from types import SimpleNamespace

import pytest
import torch
from commands import call

from structnet.training.constant import Constant, no_better
from structnet.training.report import beats_baselines


def test_the_most_frequent_class_is_counted_over_batches_of_known_targets():
    constant = Constant()
    constant.update(torch.zeros(3, 4), torch.tensor([0, 3, -100]), -100)
    constant.update(torch.zeros(2, 4), torch.tensor([3, 3]), -100)
    figures = constant.figures()
    assert figures["constant_accuracy"] == 0.75
    assert figures["clear_accuracy"] == pytest.approx(0.75 + 2 * (0.75 * 0.25 / 4) ** 0.5)
    assert Constant().figures() == {}


def test_the_mean_of_numbers_has_their_deviation_for_its_error():
    constant = Constant()
    constant.update(torch.zeros(2), torch.tensor([1.0, 3.0]), -100)
    constant.update(torch.zeros(1), torch.tensor([5.0]), -100)
    assert constant.figures() == {"constant_rmse": pytest.approx((8 / 3) ** 0.5)}
    # Neither numbers nor classes: the mean of a measure.
    constant.update(torch.zeros(2), torch.ones(2, dtype=torch.long), -100)
    assert set(constant.figures()) == {"constant_rmse"}


def test_only_what_is_clearly_better_is_better():
    chance = {"constant_accuracy": 0.5, "clear_accuracy": 0.53}
    assert (
        "no clear improvement over always giving the most frequent class of the test split, 0.5000"
        in no_better({"accuracy": 0.52}, chance)
    )
    assert no_better({"accuracy": 0.54}, chance) is None
    assert no_better({"accuracy": 1.0}, {"constant_accuracy": 1.0, "clear_accuracy": 1.0}) is None
    mean = {"constant_rmse": 2.0}
    assert "no better than always giving the mean of the test split, 2" in no_better(
        {"rmse": 2.5}, mean
    )
    assert no_better({"rmse": 1.5}, mean) is None
    assert no_better({"nats_per_image": 3.0}, {}) is None


def test_a_run_at_chance_points_to_diagnose(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "task=digits", "task.goal=class", "topology=diagonal", "net.hidden_size=4",
             "trainer.num_workers=0", "debug=steps", "run=out")  # fmt: skip
    status, out, err = call(*words)
    assert status == 0, err
    assert "is no clear improvement over always giving the most frequent class" in out
    assert "structnet diagnose run=out" in out and " batches per epoch" in out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert 0 < metrics["train"]["constant_accuracy"] < 1
    assert call("diagnose", "run=out").status == 0


def test_a_net_is_told_so_unless_it_beats_all_baselines_by_what_is_monitored():
    task = SimpleNamespace(monitor="f1", mode="max")
    better = {"test": {"f1": 0.2, "accuracy": 0.9}, "baseline": {"f1": 0.1, "accuracy": 0.9}}
    assert beats_baselines(better, task)
    assert not beats_baselines(better, SimpleNamespace(monitor="f1", mode="min"))
    assert not beats_baselines(better, SimpleNamespace(monitor="loss", mode="min"))
    assert not beats_baselines({"test": {"f1": 0.2}}, task)
