"""What commands print, to a terminal, a file, a pipe that nobody reads any more, or not at all."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
from commands import SMALL, call, code_folder

import structnet as sn
from structnet.diagnosis.gradients import Diagnosis
from structnet.diagnosis.report import print_diagnosis
from structnet.diagnosis.saturation import Saturation
from structnet.system.terminal import print_rows
from structnet.training.report import print_table


def test_the_version_is_the_distributions():
    from importlib.metadata import version

    assert sn.__version__ == version("structnet")
    assert call("--version") == (0, f"structnet {sn.__version__}\n", "")


def test_a_table_is_not_cut_where_stdout_is_no_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    names = [f"a_metric_of_a_long_name_{number}" for number in range(8)]
    task = SimpleNamespace(note="")
    run = SimpleNamespace(config={"task": {"name": "wide"}}, parts=["tree", "lstm"], task=task)
    print_table(run, {"test": dict.fromkeys(names, 0.25)})
    print_rows(["", *names], [["row", *["0.25"] * 8]])
    lines = capsys.readouterr().out.splitlines()
    assert sum(all(name in line for name in names) for line in lines) == 2
    assert not any("…" in line for line in lines)


def test_a_diagnosis_says_what_its_columns_are(capsys):
    saturation = {
        "i": Saturation("sigmoid", 0.25, 0.5, 1.0),
        "u": Saturation("tanh", 0.125, 0.75, 1.0),
    }
    print_diagnosis([Diagnosis("layer 1", [1.0, 0.5], saturation, [])])
    out = capsys.readouterr().out
    for words in ("saturated gates", "share below 0.1", "share above 0.9", "spectral radius"):
        assert words in out
    row = next(line for line in out.splitlines() if " u " in line)
    assert "0.12 (below -0.9)" in row and "0.75" in row


def test_a_pipe_that_is_closed_ends_as_shells_expect():
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "structnet.cli.main", "help", "train"], stdout=writes,
        stderr=subprocess.PIPE, text=True, timeout=300,
    )  # fmt: skip
    os.close(writes)
    assert done.returncode == 141
    assert done.stderr == "structnet: stopped, as its output is no longer read\n"


def test_quiet_says_nothing_but_warnings_and_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "--quiet", f"task.root={code_folder()}", *SMALL, "debug=steps")
    assert call(*words, "run=out") == (0, "", "")
    assert (tmp_path / "out" / "metrics.json").is_file()
    status, out, err = call(*words, "cell=lstmm")
    assert (status, out) == (2, "") and "did you mean 'lstm'?" in err


@pytest.mark.parametrize("name", ["last", "root"])
def test_readouts_of_two_names_say_how_they_differ(name):
    other = {"last": "root", "root": "last"}[name]
    assert sn.readouts.doc(name) != sn.readouts.doc(other)


def test_the_next_commands_are_quoted_for_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", f"task.root={code_folder()}", *SMALL, "debug=steps")
    out = call(*words, "run=it's a # run").out
    assert """structnet test 'run=it'"'"'s a # run'""" in out
    assert call("test", "run=it's a # run").status == 0
