"""structnet runs: run directories as a table, with their figures and states."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from commands import call, copy_of_trained, files_below, refused, run_python, trained

from structnet.cli.runs import HEAD
from structnet.run.directories import locked
from structnet.run.logs import last_validation
from structnet.run.manifest import LAST, PREVIOUS


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def placed(name, **names):
    """A copy of a finished run in runs/NAME, with other names of components."""
    place = Path("runs", name)
    shutil.copytree(trained(), place)
    text = (place / "config.yaml").read_text()
    for group, other in names.items():
        head, _, below = text.partition(f"{group}:\n  name: ")
        text = f"{head}{group}:\n  name: {other}\n{below.partition(chr(10))[2]}"
    (place / "config.yaml").write_text(text)
    return place


def change(file, **values):
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    # Without checksums it is read unchecked.
    (file.parent / "manifest.json").unlink(missing_ok=True)


def stopped(place):
    """Leave what a run has that was stopped before its last figures were measured."""
    (place / "metrics.json").unlink()
    return place


def rows(*words):
    status, out, err = call("runs", *words, "--json")
    assert (status, err) == (0, ""), err
    return json.loads(out)


def row(*words):
    (one,) = rows(*words)
    return one


def names(*words):
    return [Path(one["directory"]).name for one in rows(*words)]


# What a row shows


def test_a_finished_run_has_its_test_figure_and_minutes(here):
    place = placed("one")
    metrics = json.loads((place / "metrics.json").read_text())
    found = row()
    assert found["date"] == time.strftime(
        "%Y-%m-%dT%H:%M:%S", time.localtime((place / "config.yaml").stat().st_mtime)
    )
    assert {**found, "date": 0} == {
        "directory": "runs/one",
        "date": 0,
        "state": "finished",
        "reason": None,
        "task": "swapped",
        "topology": "tree",
        "cell": "lstm",
        "net": "stack",
        "metric": "accuracy",
        "figure": metrics["test"]["accuracy"],
        "split": "test",
        "minutes": metrics["train"]["seconds"] / 60,
        "epochs": 2,
    }


def test_the_table_has_a_line_per_run(here):
    place = placed("one")
    change(place / "metrics.json", test={"accuracy": 0.25}, train={"seconds": 90})
    head, _, line = call("runs").out.splitlines()
    assert head.split() == list(HEAD)
    assert " ".join(line.split()) == "swapped tree lstm accuracy 0.2500 1.5 finished runs/one"


def test_the_metric_is_the_one_that_selects_the_best_epoch(here):
    metrics = json.loads((trained() / "metrics.json").read_text())
    assert metrics["monitor"] == "accuracy" and metrics["parts"] == ["tree", "lstm"]
    place = placed("one")
    change(place / "metrics.json", monitor="f1", test={"accuracy": 0.9, "f1": 0.5})
    assert (row()["metric"], row()["figure"]) == ("f1", 0.5)


@pytest.mark.parametrize("given", [None, 5, ["f1"], "unknown"])
def test_without_the_name_of_the_metric_the_first_figure_is_shown(here, given):
    place = placed("one")
    change(place / "metrics.json", monitor=given, test={"accuracy": 0.9, "f1": 0.5})
    assert (row()["metric"], row()["figure"]) == ("accuracy", 0.9)


def test_a_figure_that_is_not_a_number_is_none_in_json(here):
    place = placed("one")
    change(place / "metrics.json", test={"accuracy": float("nan")})
    assert row()["figure"] is None
    assert "accuracy nan" in call("runs").out


def test_a_net_without_recurrence_is_named_in_place_of_topology_and_cell(here):
    place = placed("one", net="pixelcnn")
    change(place / "metrics.json", parts=["pixelcnn"])
    found = row()
    assert (found["topology"], found["cell"], found["net"]) == (None, None, "pixelcnn")
    assert call("runs").out.splitlines()[2].split()[:3] == ["swapped", "pixelcnn", "accuracy"]


def test_a_run_whose_plugin_is_missing_has_its_row(here):
    placed("one", task="not_installed", cell="nor_this")
    assert row()["task"] == "not_installed" and row()["cell"] == "nor_this"
    assert row()["state"] == "finished"


# States


def test_a_stopped_run_has_its_last_validation_and_epoch(here):
    place = stopped(placed("one"))
    validated = last_validation(place / "logs")
    found = row()
    assert (found["state"], found["epochs"], found["split"]) == ("stopped", 2, "validation")
    assert found["figure"] == validated["validation/accuracy"] > 0
    assert found["minutes"] == validated["minutes"] > 0
    line = call("runs").out.splitlines()[2]
    assert f"accuracy {found['figure']:.4f} (validation)" in line
    assert "stopped after epoch 2" in line


def test_a_resumed_run_that_was_stopped_is_not_finished(here):
    place = placed("one")
    shutil.copy(place / LAST, place / PREVIOUS)
    assert row()["state"] == "stopped"


def test_a_run_without_a_checkpoint_has_begun(here):
    place = stopped(placed("one"))
    shutil.rmtree(place / "checkpoints")
    shutil.rmtree(place / "logs")
    found = row()
    assert found["state"] == "begun"
    assert [found[name] for name in ("metric", "figure", "minutes", "epochs")] == [None] * 4


def test_a_run_is_running_while_its_lock_is_held(here):
    place = placed("one")
    with locked(place):
        found = row()
        assert (found["state"], found["split"]) == ("running", "validation")
    # As a killed process leaves it.
    (place / ".lock").touch()
    assert row()["state"] == "finished"


def test_a_run_is_running_before_its_configuration_is_written(here):
    with locked(Path("runs/one")):
        assert (row()["state"], row()["task"]) == ("running", None)
    Path("runs/one").mkdir(parents=True)
    Path("runs/one/.lock").touch()
    assert "no runs below runs" in refused("runs")


def test_looking_does_not_keep_a_run_from_being_locked(here):
    place = placed("one")
    (place / ".lock").touch()
    row()
    with locked(place):
        pass


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("config.yaml", b"a: [", "is not plain YAML"),
        ("config.yaml", b"task: {name: &x a}\ncell: *x", "is an alias"),
        ("config.yaml", b"[]", "is not a configuration"),
        ("config.yaml", b"seed: 0", "has no task.name"),
        ("config.yaml", b"#" * (1 << 17), "a configuration has at most"),
        ("metrics.json", b"{}\n", "is not what was written"),
        ("metrics.json", b" " * ((1 << 24) + 1), "expected at most 16.8 MB"),
    ],
)
def test_a_damaged_run_has_its_row_with_the_reason(here, name, content, reason):
    placed("one")
    (placed("two") / name).write_bytes(content)
    found = {Path(one["directory"]).name: one for one in rows()}
    assert found["one"]["state"] == "finished"
    assert found["two"]["state"] == "damaged" and reason in found["two"]["reason"]
    out = call("runs").out
    assert "runs/two" in out and f"damaged: runs/two/{name}" in " ".join(out.split())


def test_a_pipe_in_place_of_a_file_is_not_waited_for(here):
    place = placed("one")
    for name in ("config.yaml", "metrics.json"):
        (place / name).unlink()
        os.mkfifo(place / name)
    os.mkfifo(place / ".lock")
    assert row()["state"] == "damaged"


# Which runs are found


def test_runs_of_a_sweep_and_of_a_comparison_are_found_at_any_depth(here):
    placed("one")
    shutil.copytree(trained(), "sweeps/first/1_chain")
    shutil.copytree(trained(), "other/deep/er/run")
    # Neither what is in a run's directory nor what is hidden.
    shutil.copytree(trained(), "runs/one/samples/inner")
    shutil.copytree(trained(), "other/.hidden/run")
    assert names("sort=directory") == ["one"]
    found = {one["directory"] for one in rows(".")}
    assert found == {"runs/one", "sweeps/first/1_chain", "other/deep/er/run"}
    assert len(rows("runs", ".", "other")) == 3
    assert names("runs/one") == ["one"]


def test_runs_that_a_sweep_lists_are_found_below_it(here):
    place = placed("one")
    Path("sweeps/first").mkdir(parents=True)
    listed = [{"words": ["cell=lstm"], "run": str(place)}, {"words": ["cell=gru"], "run": None}]
    Path("sweeps/first/sweep.json").write_text(json.dumps({"runs": listed, "folders": []}))
    assert names("sweeps") == ["one"]
    Path("sweeps/first/sweep.json").write_text("{}")
    status, _, err = call("runs", "sweeps", "runs")
    assert status == 2 and "sweep.json is not the list of a sweep" in err


# Order


def test_the_newest_comes_first(here):
    for seconds, name in enumerate(("b", "c", "a"), start=1_000):
        os.utime(placed(name) / "config.yaml", (seconds, seconds))
    assert names() == ["a", "c", "b"]
    assert names("sort=date") == ["b", "c", "a"]
    assert names("sort=-directory") == ["c", "b", "a"]


def test_rows_are_sorted_by_a_column_and_those_without_come_last(here):
    for name, figure in (("a", 0.5), ("b", 0.25), ("c", float("nan")), ("d", 10.0)):
        change(placed(name) / "metrics.json", test={"accuracy": figure})
    assert names("sort=metric") == ["b", "a", "d", "c"]
    assert names("sort=-metric") == ["d", "a", "b", "c"]


@pytest.mark.parametrize(
    "column", ["task", "topology", "cell", "metric", "minutes", "state", "directory", "date"]
)
def test_every_column_sorts(here, column):
    placed("a")
    stopped(placed("b"))
    (placed("c") / "config.yaml").write_text("[")
    assert sorted(names(f"sort={column}")) == sorted(names(f"sort=-{column}")) == ["a", "b", "c"]


# Mistakes


def test_mistakes_are_named_with_the_way_out(here):
    assert "no runs below runs; name another folder" in refused("runs")
    Path("empty").mkdir()
    Path("file").touch()
    assert "no runs below empty" in refused("runs", "empty")
    assert "no folder nowhere; name one" in refused("runs", "nowhere")
    assert "file is not a folder" in refused("runs", "file")
    assert "sort=metrc: no column 'metrc'" in refused("runs", "sort=metrc")
    assert "did you mean 'metric'?" in refused("runs", "sort=-metrc")
    assert "sort= is given twice" in refused("runs", "sort=task", "sort=cell")
    assert "write sort=task" in refused("runs", "--sort", "task")


# What is read


def test_nothing_is_written_and_torch_is_not_imported(tmp_path):
    place = copy_of_trained(tmp_path)
    (place / ".lock").touch()
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files_below(tmp_path)}
    source = (
        "import sys\n"
        "from structnet.cli.main import main\n"
        f"status = main(['runs', {str(tmp_path)!r}])\n"
        "heavy = {'torch', 'lightning', 'hydra', 'omegaconf', 'numpy'}\n"
        "sys.exit(status or ', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = run_python("-c", source)
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout
    after = {name: (tmp_path / name).stat().st_mtime_ns for name in files_below(tmp_path)}
    assert before == after


def test_the_last_validation_is_that_of_the_newest_whole_line(tmp_path, monkeypatch):
    def log(version, text):
        (tmp_path / version).mkdir()
        (tmp_path / version / "metrics.csv").write_text(text)

    assert last_validation(tmp_path) == {}
    head = "epoch,loss,minutes,step,validation/f1\n"
    log("version_9", f"{head}0,,1.5,5,0.25\n1,0.5,,6,\n1,,2.5,7,0.5\n2,0.1,,8,\n2,,3.5,9,0")
    assert last_validation(tmp_path) == {
        "epoch": 1,
        "minutes": 2.5,
        "step": 7,
        "validation/f1": 0.5,
    }
    # Resumed, and stopped before its first validation.
    log("version_10", f"{head}2,0.25,,8,\n")
    assert last_validation(tmp_path)["minutes"] == 2.5
    monkeypatch.setattr("structnet.run.logs.TAIL", 30)
    assert last_validation(tmp_path) == {}


@pytest.mark.parametrize(
    "text", ["epoch,minutes\n0,x\n", "epoch,minutes\n0,1,2\n", "minutes\n\x00\n"]
)
def test_a_log_of_anything_else_is_left_out(here, text):
    place = stopped(placed("one"))
    (place / "logs/version_0/metrics.csv").write_text(text)
    status, out, err = call("runs", "--json")
    assert status == 0 and "metrics.csv is left out" in err
    assert json.loads(out)[0]["minutes"] is None
