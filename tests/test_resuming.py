"""Going on where a run stopped: from whole checkpoints alone, with the options that are named."""

import json
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import yaml
from commands import SMALL, call, code_folder, copy_of_trained, logged, refused
from safetensors.torch import load_file

from structnet.run.manifest import Damaged, Manifest

WORDS = ("train", f"task.root={code_folder()}", *SMALL, "trainer.batch_nodes=128")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint(run, name="last"):
    return torch.load(Path(run, "checkpoints", f"{name}.ckpt"), weights_only=True)


def save(state, run, name="last"):
    """A checkpoint of another's: nothing says what it was."""
    torch.save(state, Path(run, "checkpoints", f"{name}.ckpt"))
    Path(run, "manifest.json").unlink(missing_ok=True)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 4
    path.write_bytes(data)


def files(run):
    return {path: path.read_bytes() for path in Path(run).rglob("*") if path.is_file()}


def assert_same_run(one, other):
    assert load_file(f"{one}/model.safetensors").keys()
    for name in ("best", "last"):
        a, b = checkpoint(one, name), checkpoint(other, name)
        assert (a["epoch"], a["global_step"]) == (b["epoch"], b["global_step"])
        for key, value in a["state_dict"].items():
            assert torch.equal(value, b["state_dict"][key]), key
        for index, state in a["optimizer_states"][0]["state"].items():
            for key, value in state.items():
                assert torch.equal(value, b["optimizer_states"][0]["state"][index][key])
    a, b = (load_file(f"{run}/model.safetensors") for run in (one, other))
    assert all(torch.equal(a[key], b[key]) for key in a)
    figures = [json.loads(Path(run, "metrics.json").read_text()) for run in (one, other)]
    for found in figures:
        for key in ("seconds", "nodes_per_s"):
            del found["train"][key]
    assert figures[0] == figures[1]
    for name in ("loss", "validation/accuracy"):
        assert dict(logged(Path(one), name)) == dict(logged(Path(other), name)), name


# Within an epoch


NOISY = ("net.dropout=0.3", "trainer.max_epochs=3", "trainer.save_steps=1", "seed=3")


@pytest.mark.parametrize("stop", [2, 6, 11])
def test_a_run_that_was_killed_within_an_epoch_ends_with_the_bits_of_one_that_was_not(
    monkeypatch, stop
):
    from structnet.training.module import Module

    assert call(*WORDS, *NOISY, "run=straight").status == 0
    step = Module.training_step

    def killed(self, batch, batch_idx):
        if self.trainer.global_step == stop:
            raise ChildProcessError("killed")
        return step(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(Module, "training_step", killed)
        assert call(*WORDS, *NOISY, "run=broken").status == 2
    saved = checkpoint("broken")
    assert saved["global_step"] == stop
    status, _, err = call("train", "resume=broken")
    assert (status, err) == (0, "")
    assert_same_run("straight", "broken")


@pytest.mark.slow
@pytest.mark.parametrize("stop", [2, 8])
def test_a_run_that_compiles_on_the_way_ends_with_the_same_bits_too(monkeypatch, stop):
    from structnet.training import compiling

    monkeypatch.setattr(compiling, "FROM", 5)
    monkeypatch.setattr(compiling, "LEAST", 6)
    assert "1 layer compiled" in call(*WORDS, *NOISY, "run=plain").out
    test_a_run_that_was_killed_within_an_epoch_ends_with_the_bits_of_one_that_was_not(
        monkeypatch, stop
    )


def test_batches_of_an_epoch_that_is_gone_on_with_are_kept(monkeypatch):
    assert call(*WORDS, "trainer.max_steps=2", "trainer.max_epochs=2", "run=out").status == 0
    assert checkpoint("out")["progress"]["batches"] == 2
    message = refused("train", "resume=out", "trainer.max_steps=9", "trainer.batch_nodes=64")
    assert "trainer.batch_nodes=64" in message and "within epoch 1" in message
    message = refused("train", "resume=out", "trainer.max_steps=9", "trainer.lanes=2")
    assert "trainer.lanes=2: " in message and "leave it at 1" in message
    assert call("train", "resume=out", "trainer.max_steps=3", "trainer.lanes=1").status == 0


def test_minutes_are_counted_from_the_last_checkpoint():
    from structnet.training import keeping

    module, saved = SimpleNamespace(wall_s=0.0), []

    class Trainer:
        loggers = ()
        save_checkpoint = saved.append

    run = type("Run", (), {"task": type("Task", (), {"monitor": "accuracy"}), "directory": Path()})
    keep = keeping.Keep(run, 2.0, None, None)
    keep.on_train_start(Trainer, module)
    counts = []
    for module.wall_s in (0.0, 119.0, 120.0, 239.0, 240.0):
        keep.on_train_batch_start(Trainer, module, None, 1)
        counts.append(len(saved))
    assert counts == [0, 0, 1, 1, 2]


# Options


def group(run):
    return checkpoint(run)["optimizer_states"][0]["param_groups"][0]


@pytest.mark.parametrize(
    ("word", "option", "value"),
    [
        ("trainer.learning_rate=0.1", "initial_lr", 0.1),
        ("trainer.weight_decay=0.5", "weight_decay", 0.5),
        ("trainer.schedule=constant", "lr", 0.004),
    ],
)
def test_options_named_where_a_run_goes_on_take_effect(place, word, option, value):
    run = copy_of_trained(place)
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3", word)
    assert (status, err) == (0, "")
    assert group(run)[option] == pytest.approx(value)
    name = word.split("=")[0].removeprefix("trainer.")
    assert str(yaml.safe_load((run / "config.yaml").read_text())["trainer"][name]) in word


def test_a_longer_cosine_ends_at_its_lowest_rate(place):
    run = copy_of_trained(place)
    assert call("train", f"resume={run}", "trainer.max_epochs=5").status == 0
    assert group(run)["lr"] < 0.0005


def test_another_optimizer_is_refused_and_nothing_is_changed(place):
    run = copy_of_trained(place)
    before = files(run)
    for optimizer in ("sgd", "adam", "adagrad"):
        words = (f"resume={run}", f"trainer.optimizer={optimizer}", "trainer.max_epochs=3")
        message = refused("train", *words)
        assert f"trainer.optimizer={optimizer}" in message and "trainer.optimizer=adamw" in message
    assert files(run) == before


def test_options_that_fail_at_the_first_step_are_not_saved(place, monkeypatch):
    from structnet.training.module import Module

    run = copy_of_trained(place)
    before = files(run)

    def fails(self, batch, batch_idx):
        raise ValueError("cannot be")

    monkeypatch.setattr(Module, "training_step", fails)
    words = (f"resume={run}", "trainer.learning_rate=7.5", "trainer.max_epochs=3")
    assert call("train", *words).status == 2
    assert all(files(run)[path] == data for path, data in before.items())


def test_a_finished_run_is_left_as_it_is_and_said_to_be(place):
    run = copy_of_trained(place)
    before = files(run)
    status, out, err = call("train", f"resume={run}")
    assert (status, err) == (0, "")
    assert "trained for 2 epochs already; take trainer.max_epochs=3 or more" in out
    message = refused("train", f"resume={run}", "trainer.learning_rate=0.1")
    assert "take trainer.max_epochs=3 or more" in message
    assert files(run) == before


def test_speed_is_that_of_all_the_training(place):
    run = copy_of_trained(place)
    (run / "metrics.json").unlink()
    assert call("train", f"resume={run}").status == 0
    assert json.loads((run / "metrics.json").read_text())["train"]["nodes_per_s"] > 0


def test_patience_may_change_and_counts_on():
    words = ("trainer.learning_rate=1e-12", "trainer.max_epochs=9", "trainer.patience=1")
    status, out, err = call(*WORDS, *words, "run=out")
    assert status == 0, err
    assert "stopped after epoch 2/9: validation/accuracy was not better for 1 epoch" in out
    status, out, _ = call("train", "resume=out")
    assert status == 0 and "take trainer.patience=2" in out
    assert call("train", "resume=out", "trainer.patience=3").status == 0
    assert checkpoint("out")["epoch"] == 3


# Damage


@pytest.mark.parametrize("at", [0.0, 0.1, 0.35, 0.5, 0.8, 0.999, 1.0])
def test_a_flipped_bit_is_found_and_the_newest_whole_checkpoint_taken(place, at):
    run = copy_of_trained(place)
    flip(run / "checkpoints" / "last.ckpt", at)
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0
    assert "checkpoints/last.ckpt is damaged" in err and "going on from checkpoints/best" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "metrics.json"])
@pytest.mark.parametrize("at", [0.2, 0.7])
def test_a_flipped_bit_is_found_where_a_run_is_used(place, name, at):
    run = copy_of_trained(place)
    flip(run / name, at)
    assert f"{name} is damaged" in refused("test", f"run={run}")


def test_a_best_checkpoint_that_is_damaged_is_said_and_another_found(place):
    run = copy_of_trained(place)
    flip(run / "checkpoints" / "best.ckpt", 0.6)
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0 and err.count("\n") == 1
    assert "best.ckpt is damaged" in err and "the epochs that follow" in err
    assert checkpoint(run, "best")["epoch"] == 2


def test_weights_that_are_damaged_are_written_again_from_checkpoints(place):
    run = copy_of_trained(place)
    before = (run / "model.safetensors").read_bytes()
    flip(run / "model.safetensors", 0.6)
    assert f"structnet train resume={run}" in refused("test", f"run={run}")
    assert call("train", f"resume={run}").status == 0
    assert (run / "model.safetensors").read_bytes() == before
    assert call("test", f"run={run}").status == 0


def test_flipped_bits_of_a_run_without_a_manifest_are_found_by_the_archives_sums(place):
    run = copy_of_trained(place)
    (run / "manifest.json").unlink()
    assert call("test", f"run={run}").status == 0
    path = run / "checkpoints" / "last.ckpt"
    whole = checkpoint(run)["state_dict"]["net.head.weight"].numpy().tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(whole) + 2] ^= 16
    path.write_bytes(data)
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0 and "last.ckpt is damaged: the CRC of its" in err


def test_a_damaged_manifest_is_said_and_the_run_goes_on(place):
    run = copy_of_trained(place)
    flip(run / "manifest.json", 0.4)
    status, _, err = call("test", f"run={run}")
    assert status == 0 and "manifest.json is damaged" in err


def test_no_whole_checkpoint_is_refused_with_every_name(place):
    run = copy_of_trained(place)
    for name in ("last", "best"):
        (run / "checkpoints" / f"{name}.ckpt").write_bytes(b"PK")
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert "last.ckpt" in message and "best.ckpt" in message and "\n" not in message


# A kill while a file is written


@pytest.mark.parametrize("at", ["replace", "link", "fsync"])
@pytest.mark.parametrize("call_number", [1, 2, 3, 4])
def test_a_kill_while_a_checkpoint_is_written_leaves_a_whole_one(
    place, monkeypatch, at, call_number
):
    manifest = Manifest(place)
    for content in (b"one", b"two"):
        manifest.write("last", content, before="previous")

    class Killed(BaseException):
        pass

    calls = 0
    done = getattr(__import__("os"), at)

    def killed(*given, **more):
        nonlocal calls
        calls += 1
        if calls == call_number:
            raise Killed
        return done(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(f"os.{at}", killed)
        with suppress(Killed):
            Manifest(place).write("last", b"three", before="previous")
    found = [Manifest(place).read(name) for name in ("last", "previous")]
    assert found in ([b"two", b"one"], [b"two", b"two"], [b"three", b"two"])
    # What comes after is no less whole.
    Manifest(place).write("last", b"four", before="previous")
    assert Manifest(place).read("last") == b"four"
    assert Manifest(place).read("previous") in (b"two", b"three")


def test_a_file_that_is_not_what_was_written_is_damaged(place):
    manifest = Manifest(place)
    manifest.write("a", b"one")
    (place / "a").write_bytes(b"two")
    with pytest.raises(Damaged, match="a is damaged"):
        manifest.read("a")


def test_what_a_killed_process_left_hinders_nobody(place):
    dead = ".999999999-config.yaml"
    Path("out").mkdir()
    Path("out", dead).write_text("half")
    assert call(*WORDS, "run=out", "trainer.max_epochs=1").status == 0
    assert not Path("out", dead).exists()
    left = Path("out", "checkpoints", ".999999999-last.ckpt")
    left.write_text("half")
    assert call("train", "resume=out", "trainer.max_epochs=2").status == 0
    assert not left.exists()
    assert sorted(path.name for path in left.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_where_only_the_last_but_one_is_left_it_is_gone_on_from(place):
    run = copy_of_trained(place)
    last = run / "checkpoints" / "last.ckpt"
    last.rename(last.with_name("previous.ckpt"))
    (run / "manifest.json").unlink()
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0 and "last.ckpt is missing; going on from checkpoints/previous.ckpt" in err


# Checkpoints of others


@pytest.mark.parametrize("form", ["/q/../../precious", "{place}/precious", "local://{place}/precious",
                                  "file://{place}/precious", "../../precious", "link"])  # fmt: skip
@pytest.mark.parametrize("key", ["best_model_path", "last_model_path", "kth_best_model_path",
                                 "best_k_models"])  # fmt: skip
def test_no_path_in_a_checkpoint_is_ever_removed(place, form, key):
    run = copy_of_trained(place)
    precious = place / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("all of it")
    (run / "checkpoints" / "link").symlink_to(precious)
    path = form.format(place=place)
    path = str(run / "checkpoints" / "link") if form == "link" else path
    state = checkpoint(run)
    for one in state["callbacks"].values():
        value = {path: torch.tensor(0.1)} if key == "best_k_models" else path
        one.update({"dirpath": "/q", key: value, "best_model_score": torch.tensor(0.0)})
    save(state, run)
    assert call("train", f"resume={run}", "trainer.max_epochs=3").status == 0
    assert (precious / "thesis").read_text() == "all of it"


def shortened(state, size, dtype=torch.float32):
    state["optimizer_states"][0]["state"][0]["exp_avg"] = torch.zeros(size, dtype=dtype)


def without(key):
    return lambda state: state.pop(key)


def put(value, *path):
    def change(state):
        for key in path[:-1]:
            state = state[key]
        state[path[-1]] = value

    return change


OPTIMIZER = ("optimizer_states", 0, "state")
ODD = {
    "one value": lambda state: shortened(state, 1),
    "no value": lambda state: shortened(state, 0),
    "whole numbers": lambda state: put(
        state["optimizer_states"][0]["state"][0]["exp_avg"].long(), *OPTIMIZER, 0, "exp_avg"
    )(state),
    "no tensor": put("x", *OPTIMIZER, 0, "exp_avg_sq"),
    "a missing moment": lambda state: state["optimizer_states"][0]["state"][0].pop("exp_avg"),
    "one more moment": put(torch.zeros(3), *OPTIMIZER, 0, "max_exp_avg_sq"),
    "a parameter too many": put({}, *OPTIMIZER, 999),
    "no state": put({}, *OPTIMIZER),
    "a state of lists": put([], *OPTIMIZER),
    "no optimizer": put([], "optimizer_states"),
    "an odd optimizer": put([3], "optimizer_states"),
    "other parameters": put([0], "optimizer_states", 0, "param_groups", 0, "params"),
    "step": put(torch.zeros(5), *OPTIMIZER, 0, "step"),
    "NaN": put(torch.tensor(float("nan")), *OPTIMIZER, 0, "step"),
    "epoch -5": put(-5, "epoch"),
    "epoch 1e9": put(10**9, "epoch"),
    "epoch x": put("x", "epoch"),
    "epoch true": put(True, "epoch"),
    "step 7.5": put(7.5, "global_step"),
    "no epoch": without("epoch"),
    "no weights": without("state_dict"),
    "a list of weights": put([], "state_dict"),
    "other weights": lambda state: put(torch.zeros(2), "state_dict", "net.head.bias")(state),
    "a weight less": lambda state: state["state_dict"].pop("net.head.bias"),
    "a weight more": put(torch.zeros(2), "state_dict", "net.more"),
    "no callbacks": without("callbacks"),
    "empty callbacks": put({}, "callbacks"),
    "no loops": without("loops"),
    "odd loops": put(3, "loops"),
    "no optimizer_states": without("optimizer_states"),
    "odd progress": put({"batches": -1}, "progress"),
    "a list of progress": put([1], "progress"),
    "states in one": lambda state: state["progress"].update(states=torch.zeros(2)),
}


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_checkpoint_is_named_in_one_line(place, odd):
    run = copy_of_trained(place)
    state = checkpoint(run)
    ODD[odd](state)
    save(state, run)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert "last.ckpt" in err and err.count("\n") == 1 and len(err) < 600, err
    assert status == 2 or "going on from" in err


@pytest.mark.parametrize("value", [[], 3, None, "x", {}, {"epoch": 1}], ids=str)
def test_a_checkpoint_that_is_no_checkpoint_is_named(place, value):
    run = copy_of_trained(place)
    save(value, run)
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0 and "last.ckpt is no" in err and "going on from" in err


def test_schedulers_of_others_are_not_read(place):
    run = copy_of_trained(place)
    state = checkpoint(run)
    state["lr_schedulers"] = 3
    save(state, run)
    assert call("train", f"resume={run}", "trainer.max_epochs=3").status == 0


# A full disk


def test_a_full_disk_names_the_file(place, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_bytes", _no_space)
    message = refused(*WORDS, "run=out", "trainer.max_epochs=1")
    assert "cannot write out/" in message and "No space left" in message and "\n" not in message


def _no_space(path, data):
    raise OSError(28, "No space left on device")


def test_a_run_whose_executor_is_not_here_goes_on_with_auto_and_says_so(place):
    run = copy_of_trained(place)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("executor: auto", "executor: gone"))
    status, out, err = call("test", f"run={run}")
    assert status == 0 and "accuracy" in out
    assert "there is no executor 'gone'" in err and "auto runs" in err
    status, out, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert status == 0, err
    assert "there is no net.executor=gone: going on with auto" in out and "epoch 3/3" in out
    assert "executor: gone" in config.read_text()
