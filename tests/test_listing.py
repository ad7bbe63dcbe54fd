"""What `structnet list` shows: components, options with meanings and choices, files of settings."""

import json
import re
import time
from typing import Literal

import pytest
from commands import call, refused, run_python

from structnet import registry
from structnet.cell.library.elman import Elman
from structnet.config import listing
from structnet.config.composing import compose
from structnet.config.groups import GROUPS, REGISTRIES, groups, names_of
from structnet.execute.executor import find
from structnet.registry.meanings import meanings


def test_every_option_of_every_built_in_component_has_a_meaning():
    missing = [
        f"{group} {name}: {option}"
        for group, components in groups().items()
        for name, about in components.items()
        for option, spec in about["options"].items()
        if not spec.get("meaning") and _is_built_in(group, name)
    ]
    assert not missing


def _is_built_in(group, name):
    if group == "trainer":
        return True
    return REGISTRIES[group][name].__module__.split(".")[0] == "structnet"


def test_one_component_is_listed_with_default_type_meaning_and_choices():
    out = call("list", "cell", "lstm").out
    assert out.startswith("cells\n  lstm")
    assert '    drop_gate = null (null or "input" or "forget" or "output")\n' in out
    assert "    forget_bias = 1.0 (float)\n        the initial biases of the forget gates" in out
    assert "gru" not in out.split("\n", 2)[2]
    assert max(map(len, out.splitlines())) <= 100
    listed = json.loads(call("list", "cell", "gru", "--json").out)["cells"]["gru"]["options"]
    assert listed["reset"]["choices"] == ["after", "before"]
    assert "patience = null" in call("list", "trainer").out


@pytest.mark.parametrize("group", ["executor", "executors"])
def test_executors_are_listed_with_what_they_take(group):
    listed = json.loads(call("list", group, "--json").out)["executors"]
    assert set(listed) == set(registry.executors.names())
    assert all(set(about["takes"]) == find(name).takes for name, about in listed.items())
    out = call("list", group).out
    names, *rows = [line.split() for line in out[out.index("what they can do") :].splitlines()[1:]]
    assert names == list(listed)
    zoneout = next(row for row in rows if row[:1] == ["zoneout"])
    assert zoneout.count("yes") == sum("zoneout" in about["takes"] for about in listed.values())


@pytest.mark.parametrize("group", ["experiment", "experiments", "debug", "trainer"])
def test_files_of_settings_are_listed_with_what_they_are(group, tmp_path):
    kind = group.rstrip("s")
    (tmp_path / kind).mkdir()
    (tmp_path / kind / "mine.yaml").write_text("# @package _global_\n# My own. More.\nseed: 1\n")
    out = call("list", group, "--config-dir", tmp_path).out
    assert re.search(r"^  mine +My own.$", out, re.MULTILINE)
    known = {"experiment": "treelstm_sst", "debug": "steps", "trainer": "gpu"}
    assert f"  {known[kind]} " in out


def test_what_is_not_there_is_answered_with_what_to_type():
    assert "write structnet list cell lstm" in refused("list", "lstm")
    assert "did you mean 'lstm'?" in refused("list", "cell", "LSTM")
    assert "did you mean 'cells'?" in refused("list", "cels")


def test_every_group_lists_each_of_its_components():
    for group in GROUPS:
        for name in names_of(group):
            assert call("list", group, name).status == 0


class Documented(Elman):
    """Documented.

    Arguments:
        much: how much, over
            two lines.
        mode: what to do.
    """

    def __init__(
        self, input_size, hidden_size, arity, *,
        much: int = 3, mode: Literal["a", "b"] | None = None, level: Literal[1, 2] = 1,
        init: str = "identity",
    ):  # fmt: skip
        super().__init__(input_size, hidden_size, arity)


def test_meanings_come_from_the_docstring_and_those_of_the_classes_above():
    said = meanings(Documented)
    assert said["much"] == "how much, over two lines."
    assert said["init"] == meanings(Elman)["init"]
    assert "level" not in said


class InGooglesStyle(Elman):
    """In the style of Google's guide.

    Args:
        much (int): how much.
    """

    def __init__(self, input_size, hidden_size, arity, *, much: int = 3, bare: int = 1):
        super().__init__(input_size, hidden_size, arity)


def test_meanings_may_stand_below_args_and_none_prints_nothing():
    registry.cells.register("google")(InGooglesStyle)
    try:
        out = call("list", "cell", "google").out.splitlines()
    finally:
        del registry.cells._components["google"]
    assert out[2:] == ["    much = 3 (int)", "        how much.", "    bare = 1 (int)"]


def test_a_literal_is_a_choice_of_its_values_and_no_other():
    registry.cells.register("documented")(Documented)
    try:
        words = ["cell=documented", "cell.mode=b", "cell.level=2"]
        assert compose(words)["cell"]["mode"] == "b" and compose(words)["cell"]["level"] == 2
        assert compose(["cell=documented", "cell.mode=null"])["cell"]["mode"] is None
        with pytest.raises(ValueError, match=r'is "a" or "b" or null, got \'c\''):
            compose(["cell=documented", "cell.mode=c"])
        with pytest.raises(ValueError, match="is 1 or 2, got '3'"):
            compose(["cell=documented", "cell.level=3"])
        options = groups()["cell"]["documented"]["options"]
        assert options["mode"] == {
            "type": '"a" or "b" or null', "default": None, "meaning": "what to do.",
            "choices": ["a", "b", None],
        }  # fmt: skip
        with pytest.raises(ValueError, match=r"is 'a' or 'b' or None, got 'A'.*mean 'a'"):
            registry.cells.create("documented", 2, 3, 1, mode="A")
    finally:
        del registry.cells._components["documented"], registry.cells._owners["documented"]


# The file that a list is read from


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """A cache in which a list is kept, as if no plugin were imported; a module that it is of."""
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "some.py").write_text("")
    monkeypatch.setenv("STRUCTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "_sources", lambda: [str(folder), str(folder / "some.py")])
    monkeypatch.setattr(listing.plugin, "imported", list)
    listing._write({"cell": {"mine": {"doc": "", "options": {}}}}, time.time_ns())
    return folder


def test_a_list_is_read_again(kept, monkeypatch):
    assert list(listing.components()) == ["cell"]
    assert "mine" in call("list", "cell").out
    monkeypatch.setenv("STRUCTNET_CACHE", "")
    assert "lstm" in listing.components()["cell"]


def test_a_list_is_made_anew_where_something_has_changed(kept, tmp_path, monkeypatch):
    assert listing._read()
    (kept / "notes.txt").write_text("")
    assert listing._read() is None
    (kept / "notes.txt").unlink()
    (kept / "other.py").write_text("")
    assert listing._read() is None
    (kept / "other.py").unlink()
    assert listing._read()
    (kept / "some.py").write_text("changed")
    assert listing._read() is None
    (kept / "some.py").unlink()
    assert listing._read() is None


def test_a_list_is_made_anew_where_a_package_was_installed(kept, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    (tmp_path / "site" / "mycells-1.0.dist-info").mkdir(parents=True)
    assert listing._read() is None


def test_a_list_that_a_source_changed_under_is_not_kept(kept):
    (file,) = (kept.parent / "cache").iterdir()
    file.unlink()
    began = time.time_ns()
    (kept / "some.py").write_text("changed")
    listing._write({"cell": {}}, min(began, (kept / "some.py").stat().st_mtime_ns))
    assert listing._read() is None


def test_a_list_with_other_values_is_made_anew(kept):
    (file,) = (kept.parent / "cache").iterdir()
    whole = json.loads(file.read_text())
    for components in ([], {}, {"cell": []}, {"cell": {"mine": 3}}, {"cell": {"mine": {}}}):
        file.write_text(json.dumps({**whole, "components": components}))
        assert listing._read() is None, components


@pytest.mark.parametrize("text", ["", "{", "[]", '{"installed": []}', "\xff", "[" * 100_000])
def test_a_damaged_list_is_made_anew(kept, text):
    (file,) = (kept.parent / "cache").iterdir()
    file.write_bytes(text.encode("latin-1"))
    assert listing._read() is None
    assert "lstm" in listing.components()["cell"]
    assert listing._read()["cell"].keys() == listing.components()["cell"].keys()


def test_the_second_list_imports_no_torch(tmp_path):
    code = (
        "import sys; from structnet.cli.main import main; main(['list']); "
        "print('torch' in sys.modules, file=sys.stderr)"
    )
    first, second = (run_python("-c", code, STRUCTNET_CACHE=str(tmp_path)) for _ in range(2))
    assert first.stdout == second.stdout and "lstm" in first.stdout
    assert (first.stderr.split()[-1], second.stderr.split()[-1]) == ("True", "False")
