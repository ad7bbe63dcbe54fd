import json
import re
import shutil
from types import SimpleNamespace

import pytest
from commands import copy_of_trained, isolated, opened

from structnet.training.report import best_baseline, draw_curve, print_table


@pytest.fixture
def run(tmp_path):
    with isolated():
        yield opened(copy_of_trained(tmp_path))


def by_call(mode):
    return SimpleNamespace(monitor="call", mode=mode, bounds=())


def test_the_best_baseline_is_the_best_by_what_the_task_monitors():
    figures = {"coin": {"accuracy": 0.5, "call": 0.9}, "bag": {"accuracy": 0.6, "call": 0.1}}
    task = SimpleNamespace(monitor="accuracy", mode="max", bounds=())
    assert best_baseline(figures, task) == {"accuracy": 0.6, "call": 0.1, "name": "bag"}
    assert best_baseline(figures, by_call("max"))["name"] == "coin"
    assert best_baseline(figures, by_call("min"))["name"] == "bag"
    # One that was measured by something else stands in the table alone.
    assert best_baseline({"tree": {"merges": 0.9}, **figures}, task)["name"] == "bag"
    assert best_baseline({"tree": {"merges": 0.9}}, task) == {}
    task.bounds = ("bag",)
    assert best_baseline(figures, task)["name"] == "coin"
    assert best_baseline({"bag": figures["bag"]}, task) == {}


def test_the_table_has_the_model_below_its_baselines(run, capsys):
    metrics = json.loads((run.directory / "metrics.json").read_text())
    print_table(run, metrics)
    out = capsys.readouterr().out
    places = [out.index(name) for name in ("accuracy", "coin", "bag", "positional", "tree lstm")]
    assert places == sorted(places)
    for name, figures in metrics["baselines"].items():
        row = next(line for line in out.splitlines() if name in line)
        assert re.findall(r"\d\.\d{4}", row) == [f"{value:.4f}" for value in figures.values()]


def test_a_net_that_was_tested_on_a_part_is_told_apart_from_its_baselines(run, capsys):
    metrics = json.loads((run.directory / "metrics.json").read_text())
    assert "batches" not in (print_table(run, metrics), capsys.readouterr().out)[1]
    run.config["trainer"]["limit_batches"] = 3
    print_table(run, metrics)
    said = " ".join(capsys.readouterr().out.split())
    assert "on 3 batches of the split, the others on all of it" in said


def test_a_count_has_no_places_and_a_figure_beyond_all_measure_is_short(run, capsys):
    print_table(run, {"test": {"n": 12345.0, "p": 1e304, "q": float("inf"), "r": float("nan")}})
    out = capsys.readouterr().out
    assert "12,345 " in out and " 1e+304 " in out and " inf " in out and " nan " in out


def test_a_table_without_baselines_has_the_model_alone(run, capsys):
    print_table(run, {"test": {"accuracy": 0.25}})
    out = capsys.readouterr().out
    assert "0.2500" in out and "coin" not in out


def test_a_baseline_need_not_have_every_figure_of_the_model(run, capsys):
    print_table(
        run, {"test": {"accuracy": 0.5, "call": 0.1}, "baselines": {"coin": {"accuracy": 0.5}}}
    )
    assert "coin" in capsys.readouterr().out


def drawn(run, monkeypatch):
    """The two series of a run's curve, as it is drawn."""
    from matplotlib.axes import Axes

    series = []
    monkeypatch.setattr(
        Axes, "plot", lambda axes, x, y, **options: series.append((list(x), list(y)))
    )
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "legend", lambda *some, **options: None)
    draw_curve(run)
    return series


def test_the_curve_shows_the_logged_loss_and_the_validation_of_every_epoch(run, monkeypatch):
    losses, scores = drawn(run, monkeypatch)
    assert len(scores[0]) == 2
    assert losses[0] == sorted(losses[0])
    metrics = json.loads((run.directory / "metrics.json").read_text())
    assert max(scores[1]) == pytest.approx(metrics["validation"]["accuracy"], abs=1e-6)


def test_even_a_short_run_has_a_loss_in_its_curve(run, monkeypatch):
    losses, _ = drawn(run, monkeypatch)
    assert len(losses[0]) >= 2


def test_the_later_stretch_of_a_run_counts_where_two_overlap(run, monkeypatch):
    shutil.rmtree(run.logs)
    stretches = {
        "version_0": "step,loss,validation/accuracy\n1,0.9,\n2,0.8,\n2,,0.5\n3,0.7,\n",
        "version_1": "step,loss,validation/accuracy\n3,0.6,\n4,0.5,\n4,,0.75\n",
        "version_10": "step,loss,validation/accuracy\n5,0.25,\n",
        "version_2": "step,loss,validation/accuracy\n5,9.0,\n",
    }
    for name, text in stretches.items():
        (run.logs / name).mkdir(parents=True)
        (run.logs / name / "metrics.csv").write_text(text)
    losses, scores = drawn(run, monkeypatch)
    assert losses == ([1, 2, 3, 4, 5], [0.9, 0.8, 0.6, 0.5, 0.25])
    assert scores == ([2, 4], [0.5, 0.75])


def test_a_run_without_a_log_is_drawn_empty(run):
    shutil.rmtree(run.logs)
    (run.directory / "curve.png").unlink()
    draw_curve(run)
    assert (run.directory / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_stretch_that_was_stopped_before_it_logged_is_passed_over(run):
    (run.logs / "version_1").mkdir()
    draw_curve(run)


def test_a_curve_replaces_the_one_before_and_leaves_nothing_else(run):
    before = {path.name for path in run.directory.iterdir()}
    draw_curve(run)
    assert {path.name for path in run.directory.iterdir()} == before
