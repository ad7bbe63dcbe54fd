"""Two processes train one run: it is the run of one process, and an error of one ends both."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from commands import ROOT, call

PLUGIN = ROOT / "tests" / "together_task.py"
WORDS = (
    "train", "--plugin", str(PLUGIN), "task=together", "topology=chain", "net.hidden_size=8",
    "cell=lstm", "trainer.batch_nodes=200", "trainer.accelerator=cpu", "trainer.num_workers=0",
    "trainer.threads=1", "trainer.max_epochs=2",
)  # fmt: skip
# Texts whose windows follow each other, in two lanes.
TEXT = (
    "train", "task=text", "task.root=text.txt", "task.window=5", "topology=chain", "cell=gru",
    "net.embedding_size=4", "net.hidden_size=4", "trainer.batch_nodes=40", "trainer.threads=1",
    "trainer.accelerator=cpu", "trainer.num_workers=0", "trainer.max_epochs=1", "trainer.lanes=2",
)  # fmt: skip
# Of 21 steps, 3 in an epoch.
LANES = ("trainer.lanes=3", "trainer.max_epochs=7")
STEPS = ("trainer.schedule=constant", "trainer.max_epochs=9", "trainer.lanes=2")
BEGUN = {
    "lanes": (*WORDS, *LANES, "run=lanes"),
    "idle": (*WORDS, "trainer.lanes=1", "run=idle"),
    "text": (*TEXT, "run=text"),
    "two then one": (*WORDS, *STEPS, "trainer.max_steps=4", "run=two-one"),
    "one then two": ("train", "resume=one-two", "--plugin", str(PLUGIN), "trainer.max_steps=8"),
    "nan": (*WORDS, "task.fault=nan", "run=nan"),
    "data": (*WORDS, "task.fault=data", "run=data"),
    "load": (*WORDS, "task.fault=load", "run=load"),
    "devices": (*WORDS, "trainer.devices=3", "run=devices"),
    "sweep": (*WORDS, "-m", "seed=1,2", "run=sweep"),
    "double": ("double",),
    # Last: the first process then knows of no others.
    "test": ("test", "run=lanes", "--plugin", str(PLUGIN)),
}


def torchrun(*words, cwd, processes=2):
    """A script or module in processes of torchrun; what they print, and the status."""
    return subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}",
         "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "STRUCTNET_CACHE": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip


@cache
def begun():
    """A folder with the runs of BEGUN, and for each what the two processes printed."""
    folder = Path(mkdtemp())
    draw = torch.Generator().manual_seed(0)
    letters = torch.randint(0, 12, (4000,), generator=draw).tolist()
    (folder / "text.txt").write_text("".join("abcdefg \nhij"[i] for i in letters))
    before = os.getcwd()
    os.chdir(folder)
    assert call(*WORDS, *STEPS, "trainer.max_steps=4", "run=one-two").status == 0
    (folder / "calls.json").write_text(json.dumps(list(BEGUN.values())))
    done = torchrun(ROOT / "tests" / "together.py", "calls.json", cwd=folder)
    os.chdir(before)
    assert done.returncode == 0, done.stderr
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return folder, {name: [one[i] for one in found] for i, name in enumerate(BEGUN)}


@pytest.fixture
def folder(monkeypatch):
    found, _ = begun()
    monkeypatch.chdir(found)
    return found


def said(name):
    return begun()[1][name]


def state(run):
    return torch.load(Path(run, "checkpoints", "last.ckpt"), weights_only=True)


def figures(run):
    """Those of the splits; not the seconds."""
    found = json.loads(Path(run, "metrics.json").read_text())
    return {name: found[name] for name in ("test", "validation")}


def assert_same(one, other):
    """The same bits of weights and of the optimizer, and the same figures."""
    a, b = state(one), state(other)
    assert a["global_step"] == b["global_step"] and a["state_dict"].keys() == b["state_dict"].keys()
    for name, value in a["state_dict"].items():
        assert torch.equal(value, b["state_dict"][name]), name
    for mine, theirs in zip(*(s["optimizer_states"][0]["state"].values() for s in (a, b)),
                            strict=True):  # fmt: skip
        assert torch.equal(mine["exp_avg_sq"], theirs["exp_avg_sq"])
    assert figures(one) == figures(other)


def test_two_processes_and_three_lanes_are_one_process(folder):
    first, second = said("lanes")
    assert first["status"] == second["status"] == 0, first["err"]
    assert "each of 3 batches (trainer.lanes=3) shared by 2 processes on 1 machine" in first["out"]
    assert second["out"] == second["err"] == ""
    assert call(*WORDS, *LANES, "run=lanes-alone").status == 0
    # The second one's weights stayed the same as well: half of every gradient is by them.
    assert_same("lanes", "lanes-alone")
    assert state("lanes")["global_step"] == 21
    # A kind that one process alone had samples of.
    assert {"accuracy", "often", "rare"} == figures("lanes")["validation"].keys()


def test_a_process_without_lanes_changes_nothing(folder):
    assert "1 process has no batches: take trainer.lanes=2 or more" in said("idle")[0]["out"]
    assert call(*WORDS, "run=idle-alone").status == 0
    assert_same("idle", "idle-alone")


def test_texts_are_read_on_by_lanes_as_by_one_process(folder):
    assert said("text")[0]["status"] == 0, said("text")[0]["err"]
    assert call(*TEXT, "run=text-alone").status == 0
    assert_same("text", "text-alone")


def test_lanes_change_what_is_learned(folder):
    """Else the comparisons above could not fail."""
    assert call(*WORDS, *LANES, "trainer.lanes=1", "run=one-lane").status == 0
    assert any(
        not torch.equal(value, state("one-lane")["state_dict"][name])
        for name, value in state("lanes")["state_dict"].items()
    )


def test_a_run_goes_on_in_another_number_of_processes(folder):
    assert [one["status"] for one in said("two then one") + said("one then two")] == [0] * 4
    assert call("train", "resume=two-one", "--plugin", PLUGIN, "trainer.max_steps=8").status == 0
    assert call(*WORDS, *STEPS, "trainer.max_steps=8", "run=straight").status == 0
    assert_same("two-one", "straight")
    assert_same("one-two", "straight")


@pytest.mark.parametrize(("name", "error"), [
    ("nan", "at step 4 of epoch 0, from lane 0 (process 0): the first parameter"),
    ("data", "has another train split, validation split, test split than the first process"),
    ("load", "no numbers.txt here"),
    ("devices", "trainer.devices=3, but 2 of the processes were started on this machine"),
    ("sweep", "2 processes train one run together; a sweep or a comparison"),
])  # fmt: skip
def test_an_error_of_one_ends_both_and_the_first_tells_it(folder, name, error):
    first, second = said(name)
    assert (first["status"], second["status"]) == (2, 2)
    assert error in first["err"] and first["err"].count("structnet: error: ") == 1
    assert second["out"] == second["err"] == ""
    if name in ("data", "load"):
        assert "process 1 of 2" in first["err"]
    assert not Path(name, "model.safetensors").exists()


def test_another_command_is_run_by_the_first_process(folder):
    first, second = said("test")
    assert first["status"] == second["status"] == 0, first["err"]
    assert "accuracy" in first["out"] and second["out"] == second["err"] == ""


def test_gradients_in_float64_are_those_of_the_union(folder):
    """Of the batches of all lanes, one of them without targets and one that is empty."""
    for one in said("double"):
        assert one["status"] == 0, one["err"]
        assert max(json.loads(one["out"]).values()) <= 1e-12
