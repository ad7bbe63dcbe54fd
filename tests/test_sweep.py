"""Sweeps: what fails is found first, the others are trained, and a stopped one goes on."""

import json
import signal

import pytest
from commands import call, files_below, refused

from structnet.fitting import train

SMALL = ("train", "-m", "task=arithmetic", "task.digits=1", "task.train_size=20",
         "topology=chain", "net.hidden_size=4", "net.embedding_size=4", "trainer.num_workers=0",
         "trainer.max_epochs=1")  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_has_a_table_of_all_its_runs_at_the_end(place):
    status, out, err = call(*SMALL, "cell=gru,elman", "run=mine")
    assert status == 0, err
    listed = json.loads((place / "mine" / "sweep.json").read_text())
    assert [one["run"] for one in listed["runs"]] == ["mine/1_cell-gru", "mine/2_cell-elman"]
    end = out[out.rindex("directory") :]
    for one, name in zip(listed["runs"], ("gru", "elman"), strict=True):
        figures = json.loads((place / one["run"] / "metrics.json").read_text())["test"]
        (line,) = [line for line in end.splitlines() if line.startswith(f"cell={name}")]
        assert f"{figures['accuracy']:.4f}" in line and one["run"] in line
        table = (place / "mine" / "table.md").read_text()
        assert f"| cell={name} | {figures['accuracy']:.4f} |" in table
    # The same again has nothing left to train.
    before = files_below(place)
    status, out, err = call(*SMALL, "cell=gru,elman", "run=mine")
    assert status == 0 and out.count("finished already") == 2 and "epoch 1/1" not in out
    assert files_below(place) == before
    assert "holds another sweep" in refused(*SMALL, "cell=gru,lstm", "run=mine")
    assert "is resumed as it is" in refused("train", "resume=mine", "seed=3")


def test_a_run_that_fails_does_not_end_the_others(place):
    status, out, _ = call(*SMALL, "cell=gru", "net.parameters=2000,1,3000")
    assert status == 1
    runs = [path for path in (place / "runs").iterdir() if (path / "metrics.json").is_file()]
    assert len(runs) == 2
    # It is found before the first is trained.
    assert "'parameters' is at least" in out[: out.index("epoch 1/1")] or "failed" in out
    end = out[out.rindex("directory") :]
    assert "failed: net.parameters=1: " in end and "option 'parameters' is at least" in end
    assert "1 of 3 failed; again with: structnet train resume=sweeps/" in end


def test_nothing_is_begun_where_no_run_can_be_trained(place):
    assert "is at least" in refused(*SMALL, "net.parameters=1,2")
    words = ("task=images", "task.root=nowhere", "topology=row,diagonal", "net=pixelrnn")
    assert "no file or folder nowhere (task.root)" in refused("train", "-m", *words)
    assert not list(place.iterdir())


def test_directories_are_checked_before_anything_is_trained(place):
    (place / "b").mkdir()
    (place / "b" / "thesis.txt").write_text("")
    assert "run=b is in use for other files" in refused(*SMALL, "run=a,b")
    assert "several runs" in refused(*SMALL, "cell=gru,lstm", "run=a,c")
    assert "run=b is in use for other files" in refused(*SMALL, "cell=gru,lstm", "run=b")
    assert files_below(place) == {"b", "b/thesis.txt"}


def test_a_sweep_that_was_stopped_goes_on_where_it_was(place, monkeypatch):
    finish, seen = train.finish, []

    def stop_at_the_second(run, resume):
        seen.append(str(run.directory))
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)
        return finish(run, resume)

    monkeypatch.setattr(train, "finish", stop_at_the_second)
    status, _, err = call(*SMALL, "seed=1,2,3")
    assert status == 130 and "stopped; go on with: structnet train resume=sweeps/" in err
    (directory,) = (place / "sweeps").iterdir()
    status, out, err = call("train", f"resume={directory}")
    assert status == 0, err
    assert out.count("finished already") == 1 and out.count("epoch 1/1") == 2
    assert seen[1] == seen[2]
    (directory / "sweep.json").write_text("[3]")
    assert "sweep.json is not the list of a sweep" in refused("train", f"resume={directory}")


def test_the_run_that_a_sweep_was_stopped_in_goes_on_from_its_checkpoint(place, monkeypatch):
    from structnet.training.module import Module

    step, words = Module.training_step, (*SMALL[:-1], "trainer.max_epochs=3", "seed=1,2")

    def stop_in_the_second_epoch(self, batch, batch_idx):
        if self.trainer.current_epoch == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Module, "training_step", stop_in_the_second_epoch)
        status, out, err = call(*words)
    assert status == 143 and "go on with: structnet train resume=sweeps/" in err
    (directory,) = (place / "sweeps").iterdir()
    status, out, err = call("train", f"resume={directory}")
    assert status == 0, err
    assert out.count("epoch 1/3") == 1 and out.count("epoch 3/3") == 2


def test_a_comparison_without_data_is_refused_before_it_begins(place, monkeypatch):
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    for experiment in ("pixelrnn_mnist",):
        message = refused("train", f"experiment={experiment}")
        assert " on " in message and "STRUCTNET_DATA" in message
    for task in ("sst", "enas", "esol", "cifar10", "mnist", "segmentation", "superpixels"):
        message = refused("train", f"task={task}")
        assert "STRUCTNET_DATA" in message, task
    assert not list(place.iterdir())


@pytest.mark.parametrize("name", ["{place}/precious", "{place}/mine/../precious", "link"])
def test_a_list_of_another_writes_to_no_other_directory(place, name):
    assert call(*SMALL, "cell=gru,elman", "run=mine").status == 0
    file, precious = place / "mine" / "sweep.json", place / "precious"
    precious.mkdir()
    for kept in ("config.yaml", "curve.png"):
        (precious / kept).write_text("task: mine")
    listed = json.loads(file.read_text())
    if name == "link":
        (place / "mine" / "link").symlink_to(precious)
    listed["runs"][0]["run"] = "mine/link" if name == "link" else name.format(place=place)
    file.write_text(json.dumps(listed))
    status, out, _ = call("train", "resume=mine")
    assert (
        status == 1
        and "was run with another configuration" in out
        and "name of a new directory" in out
    )
    assert {path.read_text() for path in precious.iterdir()} == {"task: mine"}
    assert len(list(precious.iterdir())) == 2
    # One that is not there is made in the sweep's own.
    listed["runs"][0]["run"] = str(place / "gone")
    file.write_text(json.dumps(listed))
    assert call("train", "resume=mine").status == 0
    assert not (place / "gone").exists() and (place / "mine" / "gone" / "metrics.json").is_file()


def test_a_sweep_that_has_moved_finds_its_runs(place):
    assert call(*SMALL, "cell=gru,elman", "run=mine").status == 0
    (place / "mine").rename(place / "moved")
    status, out, err = call("train", "resume=moved")
    assert status == 0, err
    assert out.count("finished already: moved/") == 2 and not (place / "mine").exists()


@pytest.mark.parametrize("runs", [[], [{"words": [], "run": "a\0b"}], [{"words": [], "run": ""}]])
def test_a_list_that_is_none_is_named(place, runs):
    (place / "mine").mkdir()
    (place / "mine" / "sweep.json").write_text(json.dumps({"folders": [], "runs": runs}))
    assert "mine/sweep.json is not the list of a sweep" in refused("train", "resume=mine")


def test_damaged_figures_of_a_run_are_named(place):
    assert call(*SMALL, "cell=gru,elman", "run=mine").status == 0
    file = place / "mine" / "1_cell-gru" / "metrics.json"
    file.write_text(file.read_text().replace("0.", "0.9", 1))
    message = refused("train", "resume=mine")
    assert f"{file.relative_to(place)} is damaged" in message
    assert "structnet train resume=mine/1_cell-gru" in message
    assert call("train", "resume=mine/1_cell-gru").status == 0
    assert call("train", "resume=mine").status == 0


@pytest.mark.parametrize(("count", "shown"), [(8, 8), (9, 4)])
def test_of_many_figures_a_short_table_has_the_first(monkeypatch, count, shown):
    from structnet.study.sweep import Part, Sweep

    figures = {"test": {f"figure {number}": number / 10 for number in range(count)}}
    monkeypatch.setattr(Part, "figures", figures)
    sweep = Sweep(None, [Part(["task=xml", f"seed={seed}"], {}, run=str(seed)) for seed in (0, 1)])
    for short, columns in ((True, shown), (False, count)):
        head, rows = sweep.table(short)
        assert head == ["", *list(figures["test"])[:columns], "directory"]
        assert [row[:2] for row in rows] == [["seed=0", "0.0000"], ["seed=1", "0.0000"]]
        assert all(len(row) == len(head) for row in rows)
