"""Runs pushed to a hub and pulled from it: a stand-in answers as its HTTP interface does."""

import json
import os
import pickle
import shutil
import socket
import sys
from hashlib import sha256

import pytest
from commands import call, copy_of_trained, opened, refused, trained
from hub import OWNER, TOKEN, Repository, running

import structnet as sn
from structnet.run.manifest import Manifest
from structnet.sharing import pulled
from structnet.sharing.files import LIMITS, NAMES

huggingface_hub = pytest.importorskip("huggingface_hub")
# huggingface_hub uploads large files with an argument that httpx warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")
WHERE = f"{OWNER}/swaps"
NOBODY = "0" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    from huggingface_hub import constants

    with running() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.endpoint)
        template = f"{found.endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found
    huggingface_hub.close_session()


def push(run=None, *words):
    status, out, err = call("push", f"run={run or trained()}", f"to={WHERE}", *words)
    assert status == 0, err
    return out.split("@")[1].split()[0]


def held(**changed):
    """The files of a run, some of which are others."""
    files = {name: (trained() / name).read_bytes() for name in NAMES}
    return {**files, **{name.replace("_", "."): data for name, data in changed.items()}}


def repository(hub, files):
    hub.repositories[WHERE] = found = Repository()
    return found.commit(files)


def test_a_run_is_pulled_as_it_was_pushed_and_tests_alike(hub, tmp_path):
    revision = push()
    status, out, err = call("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert status == 0, err
    assert f"from={WHERE}@{revision}" in out and "left out" not in out
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert names == {*NAMES, "pulled.json"}
    for name in NAMES:
        assert (tmp_path / "mine" / name).read_bytes() == (trained() / name).read_bytes()
    # Neither checkpoints nor logs were sent.
    assert set(hub.repositories[WHERE].commits[-1][1]) == {*NAMES, ".gitattributes"}
    figures = [call("test", f"run={run}").out for run in (trained(), tmp_path / "mine")]
    assert figures[0] == figures[1] and "accuracy" in figures[0]
    assert call("runs", tmp_path / "mine").out.count("finished") == 1


def test_where_a_folder_came_from_is_written_into_it(hub, tmp_path):
    revision = push()
    assert call("pull", f"from={WHERE}@main", f"out={tmp_path / 'mine'}").status == 0
    record = json.loads((tmp_path / "mine" / "pulled.json").read_text())
    assert record["repository"] == WHERE and record["revision"] == revision
    assert record["asked"] == f"{WHERE}@main" and record["endpoint"] == hub.endpoint
    for name, digest in record["sha256"].items():
        assert sha256((tmp_path / "mine" / name).read_bytes()).hexdigest() == digest


def test_a_hash_gives_the_same_files_whatever_is_pushed_later(hub, tmp_path):
    first, run = push(), copy_of_trained(tmp_path)
    (run / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    (run / "curve.png").unlink()
    second = push(run)
    hub.repositories[WHERE].tags["v1"] = first
    texts = {}
    for revision in (first, "v1", second, "main"):
        out = tmp_path / revision
        assert call("pull", f"from={WHERE}@{revision}", f"out={out}").status == 0
        texts[revision] = (out / "README.md").read_text()
        # What an earlier push had is not left among the files of a later one.
        assert (out / "curve.png").exists() == (revision in (first, "v1"))
    assert texts[first] == texts["v1"] != texts[second] == texts["main"]


def test_a_hash_needs_no_network_the_second_time(hub, tmp_path, monkeypatch):
    revision = push()
    here = pulled(f"hub:{WHERE}@{revision}")
    assert opened(here).read_metrics() == opened(trained()).read_metrics()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", nowhere)
        assert pulled(f"{WHERE}@{revision}") == here
        for where in (WHERE, f"{WHERE}@{NOBODY}"):
            message = refused("pull", f"from={where}", f"out={tmp_path / 'mine'}")
            assert f"{nowhere} does not answer" in message and "OWNER/NAME@HASH" in message
        message = refused("push", f"run={trained()}", f"to={WHERE}")
        assert f"{nowhere} does not answer" in message
    assert not (tmp_path / "mine").exists()


def test_other_files_of_a_repository_are_named_and_not_fetched(hub, tmp_path):
    others = {"pytorch_model.bin": pickle.dumps(print), "train.py": b"1/0", "sub/config.yaml": b"",
              "\x1b[2J.md": b"", "pulled.json": b"{}", "checkpoints/last.ckpt": b"x"}  # fmt: skip
    repository(hub, {**held(), **others})
    status, out, err = call("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert status == 0, err
    (said,) = [line for line in out.splitlines() if line.startswith("left out")]
    for name in ("pytorch_model.bin", "train.py", "sub/config.yaml", r"\x1b[2J.md"):
        assert name in said
    assert "\x1b" not in out
    assert {*hub.downloads()} == {*NAMES}
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {*NAMES, "pulled.json"}
    assert json.loads((tmp_path / "mine" / "pulled.json").read_text())["revision"]


def test_of_many_other_files_some_are_named(hub, tmp_path):
    repository(hub, {**held(), **{f"{number:03}.txt": b"" for number in range(30)}})
    out = call("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}").out
    assert "009.txt, 20 others" in out and "010.txt" not in out


DAMAGES = {
    "model.safetensors": b"\x80\x04.",
    "config.json": b"{}",
    "config.yaml": b"task: !!python/object/apply:os.system [id]\n",
    "metrics.json": b'{"test": {"accuracy": 1.0}}',
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_not_the_runs_is_refused(hub, tmp_path, name):
    """The hub lists what was pushed, which is not what the run wrote."""
    repository(hub, held(**{name.replace(".", "_"): DAMAGES[name]}))
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert f"{WHERE}@" in message and name in message and "cannot be used" not in message
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("name", [*DAMAGES, "README.md", "curve.png", "manifest.json"])
@pytest.mark.parametrize("by", ["another byte", "its length"])
def test_what_is_not_what_the_hub_lists_is_refused_and_fetched_again(hub, tmp_path, name, by):
    push()
    data = (trained() / name).read_bytes()
    hub.sent[name] = data[:-1] if by == "its length" else bytes([data[0] ^ 1]) + data[1:]
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert name in message and WHERE in message and not (tmp_path / "mine").exists()
    hub.sent.clear()
    assert call("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}").status == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_too_large_is_not_fetched(hub, tmp_path, name):
    push()
    hub.sizes[name] = LIMITS[name] + 1
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert f"{name} has " in message and "more than the " in message
    assert not hub.downloads() and not (tmp_path / "mine").exists()


def test_weights_that_do_not_fit_in_memory_are_not_fetched(hub, tmp_path, monkeypatch):
    push()
    monkeypatch.setattr("structnet.sharing.pulling.total_memory", lambda: 1000)
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert "more than this machine's memory of" in message and not hub.downloads()


def test_a_repository_without_a_run_says_what_it_lacks(hub, tmp_path):
    repository(hub, {"config.json": b"{}", "pytorch_model.bin": b""})
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert "holds no run of structnet: it has no config.yaml, model.safetensors" in message
    assert not hub.downloads()


def test_what_is_not_there_is_said_with_the_way_out(hub, tmp_path, monkeypatch):
    out = f"out={tmp_path / 'mine'}"
    assert "no such repository, or it is private" in refused("pull", f"from={OWNER}/none", out)
    push(None, "--private")
    for revision in ("none", NOBODY):
        message = refused("pull", f"from={WHERE}@{revision}", out)
        assert f"{WHERE} has no revision '{revision}'; leave out @{revision}" in message
    monkeypatch.delenv("HF_TOKEN")
    message = refused("pull", f"from={WHERE}", out)
    assert f"cannot pull from {WHERE}: there is no such repository, or it is private" in message
    assert "hf auth login" in message
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    message = refused("pull", f"from={WHERE}", out)
    assert "answers 401" in message and "your token is not valid" in message


def test_a_push_needs_a_token_that_may_write(hub, monkeypatch):
    assert "answers 403" in refused("push", f"run={trained()}", "to=others/swaps")
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "your token is not valid" in refused("push", f"run={trained()}", f"to={WHERE}")
    monkeypatch.delenv("HF_TOKEN")
    message = refused("push", f"run={trained()}", f"to={WHERE}")
    assert f"no token for {hub.endpoint}" in message and "HF_TOKEN" in message
    assert not hub.repositories


def test_a_hub_that_fails_is_to_be_tried_again(hub, tmp_path):
    push()
    hub.status = 500
    message = refused("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}")
    assert "the hub answers 500" in message and "try again later" in message


def test_private_is_not_public(hub):
    push(None, "--private")
    assert hub.repositories[WHERE].private
    hub.repositories[WHERE].private = False
    message = refused("push", f"run={trained()}", f"to={WHERE}", "--private")
    assert f"{WHERE} is there, and is public" in message
    assert len(hub.repositories[WHERE].commits) == 2


def test_a_run_that_is_not_trained_or_damaged_is_not_pushed(hub, tmp_path):
    run = copy_of_trained(tmp_path)
    assert f"no run in {tmp_path}" in refused("push", f"run={tmp_path}", f"to={WHERE}")
    (run / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:-1])
    assert "model.safetensors is damaged" in refused("push", f"run={run}", f"to={WHERE}")
    (run / "model.safetensors").unlink()
    message = refused("push", f"run={run}", f"to={WHERE}")
    assert "it has no model.safetensors; go on with: structnet train resume=" in message
    assert not hub.requests


def test_a_run_of_an_older_version_gets_its_card(hub, tmp_path):
    run = copy_of_trained(tmp_path)
    (run / "README.md").unlink()
    push(run)
    assert b"library_name: structnet" in hub.repositories[WHERE].commits[-1][1]["README.md"]


def test_paths_of_this_machine_are_named(hub):
    out = call("push", f"run={trained()}", f"to={WHERE}").out
    assert "names a path of this machine: task.root=/" in out


def test_files_of_ones_own_in_a_repository_stay(hub, tmp_path):
    push()
    found = hub.repositories[WHERE]
    found.commit({**found.commits[-1][1], "LICENSE": b"mine"})
    push()
    assert found.commits[-1][1]["LICENSE"] == b"mine"


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("swaps", "'swaps' is no repository of a hub: write OWNER/NAME[@REVISION]"),
        ("a/b/c", "'a/b/c' is no repository"),
        ("../b", "'../b' is no repository"),
        ("a/..", "'a/..' is no repository"),
        ("a/b@", "'a/b@' has no valid revision"),
        ("a/b@../../c", "has no valid revision"),
        ("a/b@x y", "has no valid revision"),
        ("https://huggingface.co/a/b", "is no repository of a hub"),
    ],
)
def test_a_wrong_address_is_answered_with_its_form(tmp_path, where, message):
    assert message in refused("pull", f"from={where}", f"out={tmp_path / 'mine'}")


def test_a_push_goes_to_no_revision():
    assert "write OWNER/NAME" in refused("push", f"run={trained()}", f"to={WHERE}@main")
    assert "to=... is missing: write to=OWNER/NAME" in refused("push", f"run={trained()}")
    assert "from=... is missing: write from=OWNER/NAME[@REVISION]" in refused("pull", "out=x")


def test_a_folder_in_use_is_not_written_to(hub, tmp_path):
    push()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    requests = len(hub.requests)
    assert "is in use" in refused("pull", f"from={WHERE}", f"out={tmp_path}")
    for name in ("file", "link"):
        assert "is no folder" in refused("pull", f"from={WHERE}", f"out={tmp_path / name}")
    assert len(hub.requests) == requests
    (tmp_path / "empty").mkdir()
    assert call("pull", f"from={WHERE}", f"out={tmp_path / 'empty'}").status == 0
    assert (tmp_path / "file").read_text() == "mine"


def test_what_a_run_needs_that_is_not_here_is_said(hub, tmp_path):
    run = copy_of_trained(tmp_path)
    described = json.loads((run / "config.json").read_text())
    described["plugins"] = [{"file": "my_cells.py"}]
    Manifest(run).write("config.json", json.dumps(described).encode())
    push(run)
    out = call("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}").out
    assert "this run needs the plugin file my_cells.py: add --plugin my_cells.py" in out


def test_without_the_library_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for words in (("pull", f"from={WHERE}", f"out={tmp_path / 'mine'}"),
                  ("push", f"run={trained()}", f"to={WHERE}")):  # fmt: skip
        message = refused(*words)
        assert "huggingface_hub" in message and "pip install -e '.[hub]'" in message


def test_an_interrupted_pull_leaves_nothing(hub, tmp_path, monkeypatch):
    push()
    monkeypatch.setattr(shutil, "copyfile", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        from structnet.sharing import pull

        pull(WHERE, tmp_path / "mine")
    assert "mine" not in " ".join(os.listdir(tmp_path))


def _interrupted(*_):
    raise KeyboardInterrupt


def test_a_link_is_not_pushed(hub, tmp_path):
    copied = copy_of_trained(tmp_path)
    (copied / "README.md").unlink(missing_ok=True)
    (copied / "README.md").symlink_to("/etc/hostname")
    assert "README.md is a link" in refused("push", f"run={copied}", f"to={WHERE}")


def test_a_run_of_a_hub_is_loaded_in_python(hub):
    revision = push()
    run = sn.Run.load(f"hub:{WHERE}@{revision}")
    assert run.config == opened(trained()).config and run.metrics["test"]
