"""Directories of runs that somebody else has made: nothing outside them is written or removed."""

import os
import shutil
from pathlib import Path

import pytest
from commands import call, copy_of_trained, refused

from structnet.files import write_bytes


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
    assert all(f"{name}/metrics.csv is passed over" in err for name in ("version_5", "version_4"))
    assert len(err.splitlines()) <= 3
