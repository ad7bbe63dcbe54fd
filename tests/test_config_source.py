"""Configurations of others, in a folder: plain data, no aliases, nothing computed, nothing read."""

import os

import pytest
from commands import call, refused
from test_saved import BOMB

ARITHMETIC = "defaults:\n  - override /task: arithmetic\n  - override /topology: chain\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSWORD", "hunter2")
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    return tmp_path / "mine"


def write(folder, text):
    (folder / "experiment" / "x.yaml").write_text(f"# @package _global_\n{text}")


def compose(*words):
    return call("train", "--config-dir", "mine", "experiment=x", "--cfg", *words)


def test_plain_files_and_references_are_taken(folder):
    write(folder, ARITHMETIC + "net:\n  embedding_size: 12\n  hidden_size: ${net.embedding_size}\n")
    status, out, err = compose()
    assert status == 0, err
    assert "hidden_size: 12" in out and "name: arithmetic" in out


@pytest.mark.parametrize("name", ["a b", "ü", "it's", "a,b", "a[1]", "x=1", "a:b"])
def test_a_folder_may_have_any_name(folder, name):
    write(folder, ARITHMETIC)
    folder.rename(name)
    status, out, err = call("train", "--config-dir", name, "experiment=x", "--cfg")
    assert status == 0 and "name: arithmetic" in out, err


SECRETS = {
    "run: ${oc.env:PASSWORD}": "run.*is computed",
    "run: 'a ${oc.env:PASSWORD} b'": "is computed",
    'run: "\\x24{oc.env:PASSWORD}"': "is computed",
    "run: ${oc.decode:${oc.env:PASSWORD}}": "is computed",
    "run: ${oc.select:${oc.env:PASSWORD}}": "is computed",
    "run: ${now:%Y}": "is computed",
    "run: ${hydra:runtime.cwd}": "is computed",
    "run: ${oc.create:${oc.env:PASSWORD}}": "is computed",
    "task:\n  root: ${oc.env:PASSWORD,x}": "is computed",
    "defaults:\n  - override /cell: ${oc.env:PASSWORD}": "is computed",
    "run: ${task.${oc.env:PASSWORD}}": "is computed",
}


@pytest.mark.parametrize("text", SECRETS)
def test_nothing_of_the_environment_gets_into_a_configuration(folder, text):
    import re

    write(folder, text if "defaults" in text else ARITHMETIC + text)
    message = refused("train", "--config-dir", "mine", "experiment=x", "--cfg")
    assert re.search(SECRETS[text], message) and "hunter2" not in message
    assert "x.yaml" in message


@pytest.mark.parametrize("word", ["run=${oc.env:PASSWORD}", "task.root='${oc.env:PASSWORD}'"])
def test_nor_by_the_words_of_a_comparison(folder, word):
    rows = f'compare:\n  seeds: [0]\n  columns: {{a: []}}\n  rows: {{b: ["{word}"]}}\n'
    write(folder, ARITHMETIC + rows)
    message = refused("train", "--config-dir", "mine", "experiment=x")
    assert "is computed" in message and "hunter2" not in message
    # In two steps: a reference whose text makes up another.
    word = word.replace("${", "${run}{")
    rows = f'run: $\ncompare:\n  seeds: [0]\n  columns: {{a: []}}\n  rows: {{b: ["{word}"]}}\n'
    write(folder, ARITHMETIC + rows)
    status, out, err = call("train", "--config-dir", "mine", "experiment=x", "trainer.max_epochs=0")
    assert status and "hunter2" not in out + err


FILES = {
    "aliases": (BOMB, "*a is an alias"),
    "an alias": ("run: &a x\nseed: *a\n", "*a is an alias"),
    "a merge": ("net: &a {skip: none}\ncell:\n  <<: *a\n", "*a is an alias"),
    "depth": ("run: " + "[" * 20_000, "nested too deep"),
    "size": ("# " + "x" * 70_000, "at most 65.5 kB"),
    "a tag": ("run: !!python/object/apply:os.system [ls]", "not plain YAML"),
    "bytes": ("run: \0", "not plain YAML"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_would_not_end_is_refused_with_the_files_name(folder, name):
    text, message = FILES[name]
    write(folder, text)
    found = refused("train", "--config-dir", "mine", "experiment=x", "--cfg")
    assert message in found and "x.yaml" in found and len(found) < 600


def test_other_files_of_the_folder_are_read_so_as_well(folder):
    write(folder, "defaults:\n  - override /cell: own\n")
    (folder / "cell").mkdir()
    (folder / "cell" / "own.yaml").write_text("name: ${oc.env:PASSWORD}\n")
    message = refused("train", "--config-dir", "mine", "experiment=x", "--cfg")
    assert "own.yaml" in message and "is computed" in message


def test_a_pipe_is_no_configuration(folder):
    os.mkfifo(folder / "experiment" / "x.yaml")
    message = refused("train", "--config-dir", "mine", "experiment=x", "--cfg")
    assert "experiment" in message and "x'" in message


def test_a_mark_before_a_configuration_is_passed_over(folder):
    (folder / "experiment" / "x.yaml").write_bytes(
        b"\xef\xbb\xbf# @package _global_\n" + ARITHMETIC.encode()
    )
    status, out, err = compose()
    assert status == 0 and "name: arithmetic" in out, err
