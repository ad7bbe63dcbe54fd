"""A run knows the plugins that it needs, and says which one is missing."""

import json
import subprocess
import sys

import pytest
from commands import call, refused

from structnet.run import needs

CELL = '''
import structnet as sn

@sn.cells.register("sound")
class Sound(sn.Cell):
    """A cell that works."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh()
'''
FIT = """
import sys
import numpy as np
import structnet as sn
CELL
if __name__ == "__main__":
    rows = [(2, np.ones((2, 1)), float(at)) for at in range(20)]
    sn.fit(rows, {"hidden_size": 4}, cell="sound", run=sys.argv[1], quiet=True,
           trainer={"max_epochs": 1, "num_workers": 0})
"""
WORDS = ("task=arithmetic", "task.digits=1", "task.train_size=20", "topology=chain", "cell=sound",
         "net.hidden_size=4", "net.embedding_size=4", "trainer.num_workers=0",
         "trainer.max_epochs=1")  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my cell.py").write_text(CELL)
    return tmp_path


def test_a_run_says_which_plugin_file_it_needs(place):
    status, _, err = call("train", *WORDS, "--plugin", "my cell.py", "run=out")
    assert status == 0, err
    assert json.loads((place / "out" / "config.json").read_text())["plugins"] == [
        {"file": "my cell.py"}
    ]
    # A file of that name in the run's directory is not imported.
    (place / "out" / "my cell.py").write_text("raise SystemExit(99)")
    way = "this run needs the plugin file 'my cell.py': add --plugin 'my cell.py'"
    for words in (["test", "run=out"], ["predict", "run=out", "path=x"], ["train", "resume=out"],
                  ["diagnose", "run=out"], ["draw", "run=out"]):  # fmt: skip
        assert way in refused(*words)
    status, _, err = call("test", "run=out", "--plugin", "my cell.py")
    assert status == 0, err
    # Without a description there is nothing to say, nor in a damaged one.
    for text in ("", "[]", "{}", '{"plugins": 3}', '{"plugins": [3]}'):
        (place / "out" / "config.json").write_text(text)
        assert needs.missing("out") == []
        assert "no cell 'sound'" in refused("test", "run=out")


def test_a_run_without_plugins_needs_none(place):
    words = [word for word in WORDS if word != "cell=sound"]
    assert call("train", *words, "run=out").status == 0
    assert json.loads((place / "out" / "config.json").read_text())["plugins"] == []


def test_a_run_says_which_distribution_it_needs_and_of_which_version(place):
    (place / "out").mkdir()
    described = {"plugins": [{"distribution": "stranger", "version": "0.9"}]}
    (place / "out" / "config.json").write_text(json.dumps(described))
    assert needs.missing("out") == [
        "this run needs the distribution stranger 0.9, which is not installed here"
    ]


@pytest.mark.slow
def test_a_run_says_which_module_registers_what_it_needs(place):
    """A component of a program, or of what it imports, is no plugin file."""
    (place / "sounds.py").write_text(CELL)
    (place / "program.py").write_text(FIT.replace("CELL", "import sounds"))
    (place / "whole.py").write_text(FIT.replace("CELL", CELL))
    for program, run, way in (
        (
            "program.py",
            "a",
            "the module sounds: import it in Python, or add --plugin with its file",
        ),
        (
            "whole.py",
            "b",
            "the plugin file whole.py: add --plugin whole.py, or import it in Python",
        ),
    ):
        subprocess.run([sys.executable, program, run], check=True, timeout=120)
        assert f"; this run needs {way}" in refused("test", f"run={run}")
    typed = {"plugins": [{"module": "__main__"}]}
    (place / "a" / "config.json").write_text(json.dumps(typed))
    assert "a component that was typed into a notebook" in refused("test", "run=a")
    typed["plugins"][0]["module"] = "sounds"
    (place / "a" / "config.json").write_text(json.dumps(typed))
    status, _, err = call("predict", "run=a", "path=nowhere", "--plugin", "sounds.py")
    assert status == 2 and "needs the module" not in err
