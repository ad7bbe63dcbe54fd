"""Plugins that fail: each is named with its cause, and everything else works."""

import re
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import call, isolated, refused

import structnet as sn
from structnet import registry
from structnet.cli.main import main
from structnet.registry import plugin
from structnet.registry.plugin import PluginWarning

GOOD = """
import structnet as sn

@sn.cells.register("sound")
class Sound(sn.Cell):
    "A cell that works."
    node_gates = ("u",)
    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh()
"""
# What is wrong with a plugin, and what is said of it. All but a few register a cell first.
BROKEN = {
    "import nowhere_to_be_found": "ModuleNotFoundError: No module named 'nowhere_to_be_found'",
    "def (:": "SyntaxError: ",
    "raise SystemExit(0)": "SystemExit: 0",
    "raise SystemExit": "SystemExit",
    "import sys; sys.exit('bye')": "SystemExit: bye",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "class Stop(BaseException): pass\nraise Stop('now')": "Stop: now",
    "raise GeneratorExit": "GeneratorExit",
    "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd": "Odd",
    "raise ValueError('one\\ntwo')": "ValueError: one two",
    "sn.cells.register('lstm')(Mine)": "two cells named 'lstm': "
    "structnet.cell.library.lstm.LSTM and ",
    "sn.cells.register('nay')(type('No', (), {}))": "cell 'nay' is not a Cell",
    "sn.cells.register('nay')(lambda *sizes: 1)": "cell 'nay' is not a Cell",
    "sn.cells.register('nay')(5)": "cell 'nay' is not a Cell",
    "sn.topologies.register('nay')(Mine)": "topology 'nay' is not a Topology",
    "sn.topologies.register('nay')(type('No', (sn.Topology,), {}))": "does not implement pred",
    "sn.readouts.register('nay')(Mine)": "readout 'nay' is not a Readout",
    "sn.nets.register('nay')(dict)": "net 'nay' is not a Module",
    "sn.tasks.register('nay')(Mine)": "task 'nay' is not a Task",
    "@sn.tasks.register('nay')\ndef no(*, a: int = 1): ...": "task 'nay' is not a Task",
    "sn.cells.register('a/b=c')(Mine)": "cell 'a/b=c' has no valid name",
    "sn.cells.register('a b')(Mine)": "cell 'a b' has no valid name",
    "sn.cells.register('')(Mine)": "cell '' has no valid name",
    "sn.cells.register('null')(Mine)": "cell 'null' has no valid name",
    "sn.cells.register('è')(Mine)": "cell 'è' has no valid name",
    "sn.cells.register(5)(Mine)": "cell 5 has no valid name",
    "sn.cells.register(None)(Mine)": "cell None has no valid name",
    "sn.cells.register([1])(Mine)": "cell [1] has no valid name",
    "sn.cells.register('gru')(5)": "two cells named 'gru': structnet.cell.library.gru.GRU and 5",
    "option('name: str = \"x\"')": "option 'name' of cell 'nay' is reserved",
    "option('rate: list = []')": "option 'rate' of cell 'nay' has the type",
    "option('rate: list[int] = 3')": "option 'rate' of cell 'nay' is of type list[int]",
    "option('rate: int = \"x\"')": "option 'rate' of cell 'nay' is of type int",
    "option('rate: float = None')": "option 'rate' of cell 'nay' is of type float",
    "option('rate: dict[str, int] | None = None')": "option 'rate' of cell 'nay' has the type",
    "option('größe: int = 1')": "option 'größe' of cell 'nay' has no valid name",
    "option('_x: int = 1')": "option '_x' of cell 'nay' has no valid name",
    "option('rate: Unknown = 1')": "NameError: name 'Unknown' is not defined",
    "class No(Mine):\n    def __init__(self): ...\nsn.cells.register('nay')(No)":
        "cell 'nay' has to take 3 positional arguments",
}  # fmt: skip
BEFORE = """
import structnet as sn

@sn.cells.register("half")
class Mine(sn.Cell):
    "Registered before its plugin fails."
    def forward(self, z, h):
        return z

def option(text):
    space = dict(Mine=Mine)
    exec("class No(Mine):\\n def __init__(self, a, b, c, *, " + text + "): ...", space)
    sn.cells.register("nay")(space["No"])

"""


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Entry points instead of those that are installed: name -> source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(**sources):
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)

        def entry_points(group):
            for name in sources:
                yield SimpleNamespace(
                    name="mine", value=name, dist=SimpleNamespace(name=f"{name}-dist", version="1"),
                    load=lambda name=name: __import__(name),
                )  # fmt: skip

        monkeypatch.setattr(plugin.metadata, "entry_points", entry_points)
        monkeypatch.setattr(registry, "_loaded", False)

    from structnet.config.composing import GROUPS  # noqa: F401

    with isolated():
        for state in ("_failed", "_lost"):
            monkeypatch.setattr(registry, state, {})
        monkeypatch.setattr(plugin, "_known", list(plugin._known))
        before = set(sys.modules)
        yield put
    for name in set(sys.modules) - before:
        if not name.startswith("structnet.") and Path(tmp_path, f"{name}.py").exists():
            del sys.modules[name]


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_plugin_that_fails_is_named_and_everything_else_works(install, wrong, capsys):
    source = wrong if wrong.startswith("def (") else BEFORE + wrong
    install(first=source, second=GOOD)
    status = main(["list", "cell", "--json"])
    out, err = capsys.readouterr()
    assert status == 0 and '"sound"' in out and '"lstm"' in out
    assert '"half"' not in out and '"nay"' not in out
    assert err.startswith("structnet: plugin 'mine' (first) of first-dist 1 failed: ")
    assert BROKEN[wrong] in err and "first.py, line " in err
    assert err.count("\n") == 1 and "uninstall first-dist 1" in err


def test_whoever_asks_for_a_component_of_a_failed_plugin_gets_the_cause(install):
    install(first=BEFORE + "raise RuntimeError('no license')", second=GOOD)
    with pytest.warns(PluginWarning, match="no license"):
        sn.cells.create("sound", 2, 3, 1)
    # Of what was registered until then, and of what would have been registered.
    for name in ("half", "later"):
        with pytest.raises(KeyError, match=f"no cell '{name}' .*; plugin 'mine' .*no license"):
            sn.cells.create(name, 2, 3, 1)


def test_a_plugin_that_another_one_imports_stays_when_that_one_fails(install):
    install(first="import second\nraise ValueError", second=GOOD)
    with pytest.warns(PluginWarning, match="first-dist"):
        assert "sound" in sn.cells.names()
    assert registry.cells.plugin("sound").distribution == "second-dist"


def test_what_a_plugin_prints_is_not_among_our_own_lines(install, capsys):
    install(first="print('Processing... Done!')")
    sn.cells.names()
    assert capsys.readouterr() == ("", "Processing... Done!\n")


def test_an_interrupt_from_the_keyboard_is_no_failure_of_a_plugin(install):
    install(first=f"import signal\nsignal.raise_signal({int(signal.SIGINT)})", second=GOOD)
    with pytest.raises(KeyboardInterrupt):
        sn.cells.names()
    with pytest.warns(PluginWarning):
        install(first="raise KeyboardInterrupt", second=GOOD)
        assert "sound" in sn.cells.names()


# Files


@pytest.mark.parametrize("wrong", BROKEN)
def test_a_plugin_file_that_fails_stops_the_command_in_one_line(install, tmp_path, wrong):
    source = wrong if wrong.startswith("def (") else BEFORE + wrong
    (tmp_path / "mine.py").write_text(source)
    message = refused("list", "--plugin", tmp_path / "mine.py")
    assert message.startswith(f"plugin file {tmp_path}/mine.py failed: ")
    assert BROKEN[wrong] in message and "\n" not in message
    assert re.search(rf"\({re.escape(str(tmp_path))}/mine.py, line \d+\)$", message)


def test_two_files_of_one_name_are_two_plugins(tmp_path):
    for folder, name in (("a", "sound"), ("b", "silent")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cell.py").write_text(GOOD.replace("sound", name))
    words = [f"--plugin={tmp_path}/{folder}/cell.py" for folder in "ab"]
    words = [part for word in words for part in word.split("=")]
    status, out, err = call("list", "cell", *words, *words[:2])
    assert (status, err) == (0, "") and " sound " in out and " silent " in out
    (tmp_path / "b" / "cell.py").write_text(GOOD)
    assert "two cells named 'sound'" in refused("list", *words)


def test_a_component_knows_its_plugin(tmp_path):
    (tmp_path / "mine.py").write_text(GOOD)
    with isolated():
        found = plugin.load_file(str(tmp_path / "mine.py"))
        assert registry.cells.plugin("sound") == found
        assert str(found) == f"plugin file {tmp_path}/mine.py"
        assert plugin.plugin_files() == [f"{tmp_path}/mine.py"]
    assert registry.cells.plugin("lstm") is None and plugin.plugin_files() == []
    with pytest.raises(FileNotFoundError, match="no plugin file"):
        plugin.load_file(str(tmp_path / "nowhere.py"))


# What fails later


def test_an_error_within_a_plugins_code_is_one_line_with_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("train", "task=arithmetic", "task.digits=1", "task.train_size=20", "topology=chain",
             "cell=sound", "net.hidden_size=4", "net.embedding_size=4", "trainer.num_workers=0",
             "debug=steps", "--plugin", "mine.py")  # fmt: skip
    for wrong, cause in (
        ("u.tanh() + self.nothing", "AttributeError: 'Sound' object has no attribute 'nothing'"),
        ("u @ u", "RuntimeError: "),
        ("{}['x']", "KeyError: 'x'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ):
        (tmp_path / "mine.py").write_text(GOOD.replace("u.tanh()", wrong))
        message = refused(*words)
        assert message.startswith(f"plugin file mine.py failed: {cause}")
        assert re.search(r"mine\.py, line 10\)$", message) and "\n" not in message
    with pytest.raises(ZeroDivisionError):
        call(*words, "--traceback")
