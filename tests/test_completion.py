"""What a shell offers to complete a command line, and the scripts that ask for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call, refused

from structnet.cli import COMMANDS
from structnet.cli.candidates import candidates
from structnet.registry.plugin import PluginError


def offered(line):
    """The words that the last one of a line can become."""
    return [one.word for one in candidates(line.split(" ")[1:])]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("runs/a", "runs/b", "mine"):
        Path(name).mkdir(parents=True)
        Path(name, "config.yaml").write_text("")
    Path("mine/config.json").write_text('{"config": {"task": {"name": "sst"}}}')
    Path("mine/experiment").mkdir()
    Path("mine/experiment/own.yaml").write_text("defaults:\n  - override /task: sst\n")
    Path("data").mkdir()
    Path("data/my file.csv").write_text("")
    Path("data/.hidden").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("structnet tra", ["train ", "translate "]),
        ("structnet help di", ["diagnose "]),
        ("structnet train to", ["topology=", "topology."]),
        ("structnet train --j", ["--jobs "]),
        ("structnet train topology=bi", ["topology=bichain", "topology=bidiagonal"]),
        ("structnet train -m topology=tree,ro", ["topology=tree,row"]),
        ("structnet train task=sst task.bi", ["task.binary="]),
        ("structnet train task=sst task.binary=", ["task.binary=true", "task.binary=false"]),
        ("structnet train topology.dir", ["topology.direction="]),
        ("structnet train cell.drop_gate=", ["cell.drop_gate=input", "cell.drop_gate=forget",
                                             "cell.drop_gate=output", "cell.drop_gate=null"]),
        ("structnet train experiment=treel", ["experiment=treelstm_sst"]),
        ("structnet train task=nothing task.", []),
        ("structnet train task.root=da", ["task.root=data/"]),
        ("structnet train task.root=data/", ["task.root=data/my file.csv "]),
        ("structnet train --plugin data/", ["data/my file.csv "]),
        ("structnet bench cell=indr", ["cell=indrnn"]),
        ("structnet list hea", ["head "]),
        ("structnet new ", ["plugin "]),
        ("structnet new plugin mine o", ["out="]),
        ("structnet list cell lst", ["lstm "]),
        ("structnet list topologies di", ["diagonal "]),
        ("structnet check executor=ba", ["executor=batched"]),
        ("structnet completion z", ["zsh "]),
        ("structnet errors he", []),
        ("structnet test run=", ["run=data/", "run=mine ", "run=runs/", "run=runs/a ",
                                 "run=runs/b "]),
        ("structnet test run=runs/", ["run=runs/a ", "run=runs/b "]),
        ("structnet test run=mine task.bi", []),
        ("structnet predict run=mine pa", ["path="]),
        ("structnet predict run=mine path=data/.h", ["path=data/.hidden "]),
        ("structnet nothing wo", []),
        ("structnet fore", ["forecast "]),
        ("structnet help plan", ["planted "]),
        ("structnet forecast o", ["out=", "origins="]),
        ("structnet forecast --t", ["--traceback "]),
        ("structnet train experiment=treelstm_sst task.bi", ["task.binary="]),
        ("structnet train experiment=treelstm_sst task=swapped task.ha", ["task.habits="]),
        ("structnet train experiment=none task.ha", ["task.habits="]),
        ("structnet train --config-dir mine experiment=own task.bi", ["task.binary="]),
    ],
)  # fmt: skip
def test_words_are_completed(line, words):
    assert offered(line) == words


def test_all_commands_and_flags_are_offered():
    every = {*(f"{name} " for name in COMMANDS), "forecast ", "planted ", "help "}
    assert every <= {*offered("structnet ")}
    assert {"--json ", "--help "} <= {*offered("structnet runs -")}
    about = {one.word: one.meaning for one in candidates(["he"]) + candidates(["li"])}
    assert about["list "] == "components, with default, type and meaning of their options"


def test_a_run_s_options_are_offered_where_it_is_typed():
    assert "task.binary=" in offered("structnet train run=mine task.b")
    assert "task.habits=" in offered("structnet train run=runs/a task.h")


def test_bash_gets_what_follows_the_sign_that_parts_words():
    line = "structnet train task=sst task.binary=t"
    ask = ("completion", "bash", "--breaks", " =:", "--", line)
    assert call(*ask).out == "true\n"
    ask = ("completion", "bash", "--breaks", " ", "--", line)
    assert call(*ask).out == "task.binary=true\n"
    ask = ("completion", "bash", "--breaks", " =", "--", "structnet train task.root=data/")
    assert call(*ask).out == "data/my\\ file.csv \n"
    # Flags that are typed are none of the command that completes them.
    for typed in ("structnet train --plugin data/ ta", "structnet train --help ta"):
        assert call("completion", "bash", "--", typed).out.startswith("task=\n")


@pytest.mark.parametrize(
    ("typed", "bash", "zsh"),
    [
        ("path=data/my\\ f", "data/my\\ file.csv ", "path=data/my\\ file.csv "),
        ("path=data/my\\", "data/my\\ file.csv ", "path=data/my\\ file.csv "),
        ("path='data/my f", "data/my file.csv", "path='data/my file.csv' "),
        ('path="data/my f', "data/my file.csv", 'path="data/my file.csv" '),
        ("'pa", "path=", "'path="),
        ('path="data/my file.csv" pa', "path=", None),
    ],
)
def test_quoted_words_are_gone_on_with(typed, bash, zsh):
    ask = ("completion", "bash", "--breaks", " =:\"'", "--", f"structnet predict {typed}")
    assert call(*ask).out == f"{bash}\n"
    if zsh is not None:
        assert call("completion", "zsh", "--", "predict", typed).out == f"{zsh}\n"
        out = call("completion", "fish", "--", "predict", typed).out
        assert out in ("path=data/my file.csv\n", "path=\n")


def test_what_a_quote_keeps_special_is_escaped(tmp_path):
    (tmp_path / "data" / "it's $5.csv").write_text("")
    for typed, rest in (('"path=data/it', 'path=data/it\'s \\$5.csv'),
                        ("'path=data/it", "path=data/it'\\''s $5.csv")):  # fmt: skip
        ask = ("completion", "bash", "--breaks", " =", "--", f"structnet predict {typed}")
        assert call(*ask).out == f"{rest}\n"


def test_a_command_that_fails_offers_nothing(monkeypatch):
    def fail(name):
        raise PluginError("broken")

    monkeypatch.setattr("structnet.cli.commands.find", fail)
    assert offered("structnet forecast o") == offered("structnet forecast --t") == []


def test_other_shells_get_meanings():
    out = call("completion", "zsh", "--", "list", "cell", "lstm").out
    assert out.startswith("lstm \t") and len(out.splitlines()) == 1
    out = call("completion", "fish", "--", "train", "task.root=data/").out
    assert out == "task.root=data/my file.csv\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_are_installed_once(shell, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    start = home / f".{shell}rc"
    if shell != "fish":
        start.write_text("alias a=b")
    first, second = (call("completion", shell, "--install") for _ in range(2))
    assert first.status == second.status == 0, first.err
    script = call("completion", shell).out
    (written,) = (*home.rglob("structnet.fish"), *home.rglob("completion.*"))
    assert written.read_text() == script and str(written) in first.out
    if shell == "fish":
        assert not start.exists()
    else:
        expected = f"alias a=b\n# Completion of structnet.\nsource {written}\n"
        assert start.read_text() == expected
        assert "added to" in first.out and "added to" not in second.out


def test_a_home_with_a_quote_is_quoted(tmp_path, monkeypatch):
    home = tmp_path / "h's o"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    (home / ".bashrc").write_bytes(b"# \xe9\n")
    assert call("completion", "bash", "--install").status == 0
    done = subprocess.run(["bash", "-c", 'source "$HOME/.bashrc"; complete -p structnet'],
                          capture_output=True, text=True)  # fmt: skip
    assert "_structnet" in done.stdout, done.stderr
    assert (home / ".bashrc").read_bytes().startswith(b"# \xe9\n# Completion")


def test_files_that_a_shell_does_not_start_with_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".bashrc").mkdir()
    assert ".bashrc is a folder" in refused("completion", "bash", "--install")
    (tmp_path / ".zshrc").symlink_to(tmp_path / "nowhere")
    assert "a link to nothing" in refused("completion", "zsh", "--install")
    monkeypatch.setenv("ZDOTDIR", str(tmp_path / "data"))
    assert call("completion", "zsh", "--install").status == 0
    assert (tmp_path / "data" / ".zshrc").is_file()


def test_names_that_a_terminal_would_obey_are_left_out(tmp_path):
    (tmp_path / "data" / "q\x1bc").write_text("")
    (tmp_path / "data" / "n\nl").write_text("")
    assert offered("structnet predict path=data/") == ["path=data/my file.csv "]
    assert offered("structnet predict path=~nobody_of_that_name/") == []


def test_a_run_that_is_damaged_offers_the_default_s_options(tmp_path):
    for text in ("[" * 100_000, '{"config": {"task": {"name": ["x"]}}}', ""):
        (tmp_path / "mine" / "config.json").write_text(text)
        assert "task.habits=" in offered("structnet train run=mine task.h")


def test_shells_that_are_not_known_are_named():
    for words in ((), ("csh",), ("bash", "zsh")):
        assert "Write one of bash, zsh, fish" in refused("completion", *words)


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_complete_in_their_shells(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(call("completion", shell).out)
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "structnet"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m structnet.cli.main "$@"\n')
    command.chmod(0o755)
    typed = "structnet train task=sst task.bi"
    lines = {
        "bash": f"source ./script; COMP_WORDBREAKS=' ='; COMP_LINE='{typed}'; "
        f'COMP_POINT={len(typed)}; _structnet; echo "${{COMPREPLY[@]}}"',
        # Compdef and compadd are those of the line editor: here they print.
        "zsh": "compdef() { }; source ./script; compadd() { print -- $found }; "
        f"words=({typed}); CURRENT=4; PREFIX=task.bi; _structnet",
        "fish": f"source ./script; complete -C '{typed}'",
    }
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [shell, "-c", lines[shell]], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**os.environ, "PATH": path, "HOME": str(tmp_path), "STRUCTNET_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.split("\t")[0].strip() == "task.binary=", done.stderr
