"""Directories of runs that somebody else has made: nothing outside them is written or removed."""

import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call, copy_of_trained, refused

import structnet as sn
from structnet.data.loader import Batches
from structnet.data.node_loader import node_loader
from structnet.system.files import write_bytes
from structnet.system.signals import ignore


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def precious(place):
    """A folder of the user's, with names in it that a run has as well."""
    folder = place / "precious"
    folder.mkdir()
    for name in ("last.ckpt", "best.ckpt", ".999999999-notes", "version_0"):
        (folder / name).write_text("all of it")
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*")}


def resumed(run):
    return call("train", f"resume={run}", "trainer.max_epochs=3")


@pytest.mark.parametrize("name", ["checkpoints", "logs", "samples", "tensorboard"])
@pytest.mark.parametrize("what", ["link", "pipe", "file"])
def test_a_folder_of_a_run_that_is_none_is_refused(place, precious, name, what):
    run = copy_of_trained(place)
    folder, before = run / name, contents(precious)
    if folder.exists():
        if what == "link" and name == "checkpoints":
            for file in folder.iterdir():
                shutil.copy(file, precious)
            before = contents(precious)
        shutil.rmtree(folder)
    if what == "link":
        folder.symlink_to(precious)
    elif what == "pipe":
        os.mkfifo(folder)
    else:
        folder.write_text("x")
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert f"{run}" in message and "\n" not in message
    assert str(folder) in message or name == "checkpoints"
    assert contents(precious) == before


def test_a_temporary_that_is_a_link_is_not_followed(place, precious):
    before = contents(precious)
    (place / f".{os.getpid()}-config.yaml").symlink_to(precious / "last.ckpt")
    write_bytes(place / "config.yaml", b"x")
    assert (place / "config.yaml").read_bytes() == b"x"
    assert contents(precious) == before


@pytest.mark.parametrize("what", ["link", "folder"])
def test_a_lock_that_is_none_is_named(place, precious, what):
    run = copy_of_trained(place)
    lock = run / ".lock"
    lock.mkdir() if what == "folder" else lock.symlink_to(precious / "last.ckpt")
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert f"cannot lock {lock}" in message and "remove it" in message
    assert (precious / "last.ckpt").read_text() == "all of it"


LOGGED = {
    "version_x": "a,b\n",
    "version_²": "a,b\n",
    "version_99999999999": "a,b\n",
    "version_7": "a,b\n1,2\n",
    "version_6": f"loss,step\n{'9' * 200_000},1\n",
    "version_5": "loss,step\nx,1\n",
    "version_4": "loss,step\n1.0\n",
}


def test_logs_of_other_things_are_named_and_passed_over(place):
    run = copy_of_trained(place)
    for name, text in LOGGED.items():
        (run / "logs" / name).mkdir()
        (run / "logs" / name / "metrics.csv").write_text(text)
    os.mkfifo(run / "logs" / "version_8")
    status, _, err = resumed(run)
    assert status == 0, err
    assert Path(run, "logs", "version_9", "metrics.csv").is_file()
    assert all(f"{name}/metrics.csv is left out" in err for name in ("version_5", "version_4"))
    assert len(err.splitlines()) <= 3


# Checkpoints


def change(run, name, changed, at):
    """Put what `changed` makes of a tensor in its place; no sum is known of the checkpoint."""
    path = run / "checkpoints" / f"{name}.ckpt"
    state = torch.load(path, weights_only=True)
    where = state["state_dict"] if at == "weights" else state["optimizer_states"][0]["state"]
    if at == "weights":
        key = "net.input.weight"
    else:
        where, key = where[0], at
    where[key] = changed(where[key])
    torch.save(state, path)
    (run / "manifest.json").unlink(missing_ok=True)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("at", ["weights", "exp_avg", "exp_avg_sq"])
@pytest.mark.parametrize(
    "changed",
    [
        lambda value: torch.empty_like(value, device="meta"),
        lambda value: torch.nested.nested_tensor([value[0], value[0][:1]]),
        lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        lambda value: value.to(torch.float8_e4m3fn),
        lambda value: value.to(torch.complex64),
        lambda value: torch.zeros(1).expand(2**31, 2**20),
        lambda value: value.to_sparse(),
    ],
    ids=["meta", "nested", "quantized", "float8", "complex", "huge", "sparse"],
)
def test_a_tensor_of_another_kind_is_named(place, at, changed):
    run = copy_of_trained(place)
    change(run, "last", changed, at)
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert (
        "last.ckpt is not a checkpoint of this run's net" in message and "move it away" in message
    )
    assert "\n" not in message and len(message) < 500


@pytest.mark.parametrize("at", ["weights", "exp_avg", "exp_avg_sq"])
def test_tensors_of_other_strides_are_read_by_value(place, at):
    def laid_out(value, how):
        constant = torch.full((1,), 0.25)
        return {
            "plain": torch.full(value.shape, 0.25),
            "expanded": constant.expand(value.shape),
            "one place": constant.as_strided(value.shape, (0,) * value.ndim),
            "transposed": torch.full(value.shape[::-1], 0.25).t(),
            "negated": torch._neg_view(torch.full(value.shape, -0.25)),
        }[how]

    found = {}
    for how in ("plain", "expanded", "one place", "transposed", "negated"):
        run = copy_of_trained(place)
        change(run, "last", lambda value, how=how: laid_out(value, how), at)
        status, _, err = resumed(run)
        assert status == 0, err
        found[how] = (run / "model.safetensors").read_bytes()
        shutil.rmtree(run)
    assert all(data == found["plain"] for data in found.values())


@pytest.mark.parametrize("at", ["step", "exp_avg_sq"])
def test_squares_and_counts_below_zero_are_refused(place, at):
    run = copy_of_trained(place)
    change(run, "last", lambda value: -value.abs() - 1, at)
    assert "below 0" in refused("train", f"resume={run}", "trainer.max_epochs=3")


def test_a_best_checkpoint_of_another_net_is_named_before_it_is_trained_on(place):
    run = copy_of_trained(place)
    change(run, "best", lambda value: value[:1], "weights")
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert "best.ckpt is not a checkpoint of this run's net" in message
    (run / "checkpoints" / "best.ckpt").unlink()
    assert resumed(run).status == 0


def test_a_checkpoint_that_unpacks_to_more_than_it_is_is_not_unpacked(place, monkeypatch):
    run = copy_of_trained(place)
    path = run / "checkpoints" / "last.ckpt"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**entries, "archive/data/99": bytes(1 << 24)}.items():
            archive.writestr(name, data)
    (run / "manifest.json").unlink()
    unpacked = zipfile.ZipFile.testzip

    def testzip(archive):
        assert archive.getinfo(archive.namelist()[0]).compress_type == zipfile.ZIP_STORED
        return unpacked(archive)

    monkeypatch.setattr(zipfile.ZipFile, "testzip", testzip)
    status, _, err = resumed(run)
    assert status == 0 and "last.ckpt is damaged: its entries are larger than all of it" in err
    assert "going on from checkpoints/best.ckpt" in err


def alter(run, changed):
    path = run / "checkpoints" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    changed(state)
    torch.save(state, path)
    (run / "manifest.json").unlink()


def spent(nodes):
    return {"batches": 0, "nodes": nodes, "seconds": 1.0, "wall": 1.0}


def waited(score):
    return lambda state: state["callbacks"].update(one={"wait_count": 1, "best_score": score})


@pytest.mark.parametrize(
    "changed",
    [
        lambda state: state.update(progress=spent(10**400)),
        lambda state: state.update(progress=spent(float("nan"))),
        lambda state: state.update(global_step=2**70),
        waited(torch.empty((), device="meta")),
        waited(torch.eye(1).to_sparse()),
    ],
)
def test_counts_and_scores_that_are_none_are_named(place, changed):
    run = copy_of_trained(place)
    alter(run, changed)
    status, _, err = resumed(run)
    assert status == 0 and err.count("\n") == 1
    assert "last.ckpt is not a checkpoint to go on from" in err


def test_a_name_of_another_in_a_checkpoint_stays_on_its_line(place):
    run = copy_of_trained(place)
    alter(run, lambda state: state["state_dict"].update({"net.\x1b[31m\nline": torch.zeros(1)}))
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert "\n" not in message and "\x1b" not in message


# Numbers beyond all measure


@pytest.mark.parametrize("word", ["trainer.learning_rate=1e300", "trainer.weight_decay=1e308"])
def test_weights_that_the_last_step_spoils_are_not_kept(place, word):
    run = copy_of_trained(place)
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    words = ("trainer.max_epochs=3", "trainer.batch_nodes=1000000", "trainer.schedule=constant")
    message = refused("train", f"resume={run}", *words, word)
    assert "not finite" in message and "last.ckpt" in message
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before


@pytest.mark.parametrize("size", [{"batch_nodes": 64}, {"batch_nodes": 64, "batch_size": 4}])
def test_a_pool_beyond_all_samples_is_one_of_all(size):
    given = {"shuffle": True, "seed": 3, **size}
    one, other = (Batches(range(1, 40), pool=pool, **given) for pool in (10**6, 10**18))
    assert list(map(list, one)) == list(map(list, other))


def test_a_manifest_without_end_is_damaged(place):
    run = copy_of_trained(place)
    with (run / "manifest.json").open("wb") as file:
        file.truncate(1 << 33)
    status, _, err = call("test", f"run={run}")
    assert status == 0 and "manifest.json is damaged" in err and err.count("\n") == 1


def test_a_net_too_large_is_not_begun_where_a_run_goes_on(place, monkeypatch):
    run = copy_of_trained(place)
    file = run / "config.yaml"
    file.write_text(file.read_text().replace("hidden_size: 4", "hidden_size: 300000"))
    monkeypatch.setattr(
        "structnet.training.fit.load_samples", lambda run: pytest.fail("data is read")
    )
    assert "parameters" in refused("train", f"resume={run}", "trainer.max_epochs=3")


def test_workers_of_a_node_loader_leave_signals_to_their_process():
    graph = sn.Edges(np.array([[0], [1]]), 2)
    loader = node_loader(graph, np.zeros((2, 1)), [0, 1], sn.topologies.create("graph"))
    assert loader.workers["worker_init_fn"] is ignore


@pytest.mark.parametrize("precision", ["16-true", "bf16-true", "64-true", "transformer-engine"])
def test_floats_that_batches_are_not_of_are_refused(place, precision):
    run = copy_of_trained(place)
    words = (f"resume={run}", "trainer.max_epochs=3", f"trainer.precision={precision}")
    message = refused("train", *words)
    assert '"32-true" or "16-mixed" or "bf16-mixed"' in message and "\n" not in message
