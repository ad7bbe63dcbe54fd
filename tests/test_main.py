import json
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
import yaml
from commands import (
    ROOT,
    SMALL,
    call,
    call_anew,
    code_folder,
    copy_of_trained,
    files_below,
    isolated,
    logged,
    opened,
    refused,
    run_python,
    trained,
    write_code,
    write_sst,
)
from safetensors.torch import load_file

import structnet as sn
from structnet.cli import COMMANDS, commands
from structnet.cli.usage import FLAGS, HELP, USAGE

TINY = ("train", f"task.root={code_folder()}", *SMALL)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Every test in an empty folder of its own."""
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


# --help, and what is no command


def test_help_imports_neither_torch_nor_lightning_nor_hydra():
    source = (
        "import sys\n"
        "from structnet.cli.main import main\n"
        "status = main(['--help'])\n"
        "heavy = {'torch', 'lightning', 'hydra', 'omegaconf', 'numpy', 'yaml', 'rich'}\n"
        "sys.exit(status or ', '.join(sorted(heavy & set(sys.modules))) or 0)\n"
    )
    done = run_python("-c", source)
    assert done.returncode == 0, done.stderr
    assert done.stdout == USAGE + commands.listed()


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_help_is_printed_wherever_it_is_asked_for(words):
    assert call(*words) == (0, USAGE + commands.listed(), "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own_with_all_its_flags(name):
    for words in (["help", name], [name, "--help"], [name, "x=1", "-h"]):
        assert call(*words) == (0, HELP[name], "")
    assert HELP[name].startswith(f"structnet {name}")
    assert max(map(len, HELP[name].splitlines())) <= 100
    for flag in FLAGS[name]:
        assert flag in HELP[name] or flag == "--help"


def test_no_command_prints_the_usage_and_is_a_mistake():
    assert call() == (2, USAGE + commands.listed(), "")


def test_usage_names_every_command_and_flag_and_fits_a_terminal():
    for word in ("train", "test", "predict", "list", "--cfg", "--config-dir", "--plugin", "--json"):
        assert word in USAGE
    assert max(map(len, (USAGE + commands.listed()).splitlines())) <= 100


def test_an_unknown_command_offers_the_closest():
    assert "did you mean 'train'?" in refused("trian")
    assert str(sorted(commands.names())) in refused("zzz")


def test_traceback_shows_where_an_error_came_from():
    with pytest.raises(ValueError, match="no command"):
        call("trian", "--traceback")


# list


def test_list_as_json_has_every_component_with_its_options():
    status, out, err = call("list", "--json")
    assert (status, err) == (0, "")
    listed = json.loads(out)
    kinds = ("cells", "topologies", "readouts", "heads", "nets", "tasks")
    assert {*kinds, "trainers", "executors"} == set(listed)
    for group in kinds:
        kind = getattr(sn, group)
        assert set(listed[group]) == set(kind.names())
        for name, about in listed[group].items():
            assert about["doc"], f"{name} has no description"
            assert set(about["options"]) == set(kind.options(name))
            for spec in about["options"].values():
                assert ("default" in spec) != (spec.pop("required", False) is True)
                assert {"type"} <= set(spec) <= {"type", "default", "meaning", "choices"}
    lstm = listed["cells"]["lstm"]["options"]["forget_bias"]
    assert lstm.items() >= {"type": "float", "default": 1.0}.items()
    arity = listed["topologies"]["tree"]["options"]["arity"]
    assert arity.items() >= {"type": "int or null", "default": 2}.items()


def test_list_as_text_has_every_component_and_option():
    status, out, _ = call("list")
    assert status == 0
    for group in ("cells", "topologies", "readouts", "nets", "tasks"):
        kind = getattr(sn, group)
        for name in kind.names():
            assert re.search(rf"^  {name}\b", out, re.MULTILINE), name
            for option in kind.options(name):
                assert re.search(rf"^    {option} = ", out, re.MULTILINE), option
    assert re.search(r"^    max_epochs = \d+ \(int\)$", out, re.MULTILINE)


@pytest.mark.parametrize("word", ["cell", "cells"])
def test_list_shows_one_group(word):
    assert set(json.loads(call("list", word, "--json").out)) == {"cells"}
    out = call("list", word).out
    assert "lstm" in out and "chain" not in out


def test_list_refuses_an_unknown_group_and_an_unknown_flag():
    assert "did you mean 'cells'?" in refused("list", "cels")
    assert "no flag '--jsn' of list" in refused("list", "--jsn")


# train


def test_a_run_directory_has_all_that_it_should_and_nothing_half_written():
    run = trained()
    assert {path.name for path in run.iterdir()} >= {
        "config.yaml", "model.safetensors", "config.json", "metrics.json", "curve.png", "logs",
        "checkpoints", "README.md",
    }  # fmt: skip
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    leftovers = [name for name in files_below(run) if "/." in f"/{name}" or "tmp" in name]
    assert not leftovers


def test_the_saved_configuration_is_plain_data():
    text = (trained() / "config.yaml").read_text()
    config = yaml.safe_load(text)
    assert "!" not in text and "_target_" not in text
    tree = {"name": "tree", "arity": 2, "distinct": None, "direction": "up"}
    assert config["topology"] == tree
    assert config["net"]["hidden_size"] == 4 and config["seed"] == 0
    described = json.loads((trained() / "config.json").read_text())
    assert described["config"] == config
    assert "<Name>" in described["vocabulary"]


def test_metrics_have_the_model_and_the_best_baseline_in_the_test():
    metrics = json.loads((trained() / "metrics.json").read_text())
    assert 0 <= metrics["test"]["accuracy"] <= 1
    assert {"coin", "bag", "positional"} == set(metrics["baselines"])
    best = max(figures["accuracy"] for figures in metrics["baselines"].values())
    assert metrics["baseline"]["accuracy"] == best
    names = {"accuracy", "call", "comparison", "operation", "calibration_error"}
    assert set(metrics["test"]) == names
    assert metrics["train"]["epochs"] == 2 and metrics["train"]["nodes_per_s"] > 0


def test_the_curve_is_a_png():
    image = (trained() / "curve.png").read_bytes()
    assert image[:8] == b"\x89PNG\r\n\x1a\n" and image[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", image[16:24])
    assert width > 400 and height > 200


@pytest.mark.slow
def test_a_run_speaks_in_plain_lines_where_there_is_no_terminal(place):
    done = call_anew(*TINY, "trainer.max_epochs=2", "run=out", cwd=place)
    assert done.status == 0
    assert done.err == ""
    assert re.search(r"^swapped: \d+ train, \d+ validation, \d+ test samples, read in",
                     done.out, re.MULTILINE)  # fmt: skip
    for epoch in ("1/2", "2/2"):
        assert re.search(
            rf"^epoch {epoch}  loss \d\.\d+  nodes_per_s [\d,]+  validation/accuracy \d\.\d+",
            done.out, re.MULTILINE,
        )  # fmt: skip
    assert "\x1b" not in done.out and "\r" not in done.out
    assert "positional" in done.out and "tree lstm" in done.out
    assert "structnet predict run=out path=FILE_OR_FOLDER" in done.out


def test_without_a_name_a_run_gets_a_directory_of_its_own_below_runs(place):
    for _ in range(2):
        assert call(*TINY, "debug=steps").status == 0
    runs = list((place / "runs").iterdir())
    assert len(runs) == 2
    for run in runs:
        assert re.match(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_swapped-tree-lstm", run.name)


@pytest.mark.parametrize(
    "words",
    [
        ["topology=chain"],
        ["topology=bichain", "cell=gru"],
        ["topology.arity=null", "cell=elman"],
        ["topology.direction=both", "readout=attention", "net.num_layers=2"],
        ["net.executor=reference", "trainer.batch_nodes=64"],
        ["trainer.optimizer=sgd", "trainer.clip_value=0.1", "trainer.batch_size=7"],
        ["trainer.precision=bf16-mixed", "trainer.patience=1"],
        ["trainer.deterministic=true", "trainer.schedule=constant"],
    ],
    ids=" ".join,
)
def test_a_composition_trains_saves_and_tests_again(words):
    status, out, err = call(*TINY, *words, "debug=steps", "run=out")
    assert status == 0, err
    again = call("test", "run=out")
    assert again.status == 0, again.err
    # The last table of the training is all that the test prints.
    assert again.out.strip() in out


def test_one_seed_gives_identical_losses_and_another_one_others():
    words = (*TINY, "trainer.max_epochs=2", "trainer.batch_nodes=128")
    for run, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert call(*words, f"run={run}", f"seed={seed}").status == 0
    a, b, c = (logged(sn_path, "loss") for sn_path in _paths("a", "b", "c"))
    assert len(a) >= 3
    assert a == b
    assert [step for step, _ in a] == [step for step, _ in c]
    assert all(x != y for (_, x), (_, y) in zip(a, c, strict=True))
    same, other, _ = (load_file(f"{run}/model.safetensors") for run in ("a", "b", "c"))
    assert all(torch.equal(same[name], other[name]) for name in same)


def test_every_epoch_has_all_samples_in_another_order_and_is_validated(place):
    from structnet.training.module import Module

    seen = {}
    step = Module.training_step

    def noted(self, batch, batch_idx):
        (one,) = batch
        seen.setdefault(self.trainer.current_epoch, []).append(one.x.ids.tolist())
        return step(self, batch, batch_idx)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Module, "training_step", noted)
        words = ("trainer.max_epochs=6", "trainer.batch_nodes=150", "run=out")
        assert call(*TINY, *words).status == 0
    epochs = [[word for batch in batches for word in batch] for batches in seen.values()]
    assert len(epochs) == 6
    assert len({tuple(words) for words in epochs}) == 6
    # The number of batches differs between epochs, and no sample is lost.
    assert len({tuple(sorted(words)) for words in epochs}) == 1
    assert len(logged(place / "out", "validation/accuracy")) == 6


# resume


def test_a_resumed_run_ends_where_a_straight_one_does():
    words = (*TINY, "trainer.schedule=constant", "trainer.batch_nodes=128")
    assert call(*words, "trainer.max_epochs=2", "run=straight").status == 0
    assert call(*words, "trainer.max_epochs=1", "run=broken").status == 0
    status, out, err = call("train", "resume=broken", "trainer.max_epochs=2")
    assert status == 0, err
    assert "epoch 2/2" in out and "epoch 1/2" not in out
    straight, broken = _paths("straight", "broken")
    for name in ("best.ckpt", "last.ckpt"):
        one, other = (
            torch.load(run / "checkpoints" / name, weights_only=True)["state_dict"]
            for run in (straight, broken)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one), name
    one, other = (load_file(run / "model.safetensors") for run in (straight, broken))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert yaml.safe_load((broken / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
    # The earlier log is kept, so the curve has both stretches.
    assert (broken / "logs" / "version_0").is_dir() and (broken / "logs" / "version_1").is_dir()
    assert logged(broken, "validation/accuracy") == logged(straight, "validation/accuracy")


def test_a_run_that_was_moved_is_resumed_and_its_best_weights_are_kept(place):
    run = copy_of_trained(place)
    best = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    # Nothing is better than all right.
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    for state in last["callbacks"].values():
        if state.get("monitor"):
            state["best_model_score"] = torch.tensor(1.1)
    torch.save(last, run / "checkpoints" / "last.ckpt")
    # It says of the file that it is damaged.
    (run / "manifest.json").unlink()
    status, _, err = call("train", f"resume={run}", "trainer.max_epochs=3")
    assert (status, err) == (0, "")
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    kept = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert kept["epoch"] == best["epoch"]
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 2


def test_a_run_is_not_resumed_to_fewer_epochs_than_it_has(place):
    run = copy_of_trained(place)
    done = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1
    message = refused("train", f"resume={run}", f"trainer.max_epochs={done - 1}" if done > 1 else
                      "trainer.max_epochs=0")  # fmt: skip
    enough = f"take trainer.max_epochs={done + 1} or more"
    assert f"trained for {done} epochs already; {enough}" in message


def test_only_a_run_with_a_checkpoint_is_resumed(place):
    run = copy_of_trained(place)
    shutil.rmtree(run / "checkpoints")
    message = refused("train", f"resume={run}")
    assert "nothing to resume" in message and "last.ckpt" in message and str(run) in message
    assert "no run in nowhere" in refused("train", "resume=nowhere")
    assert "resume" in refused("train", "resume=")


def test_a_resumed_run_keeps_its_components(place):
    run = copy_of_trained(place)
    before = (run / "config.yaml").read_text()
    for word in ("cell=gru", "topology=chain"):
        message = refused("train", f"resume={run}", word)
        assert "keeps its components" in message and word in message
    assert "no option 'max_epoch'" in refused("train", f"resume={run}", "trainer.max_epoch=3")
    assert "no group or option" in refused("train", f"resume={run}", "tranier.max_epochs=3") or (
        "keeps its components" in refused("train", f"resume={run}", "tranier.max_epochs=3")
    )
    assert (run / "config.yaml").read_text() == before


def test_a_checkpoint_with_a_pickled_object_is_refused(place):
    run = copy_of_trained(place)
    proof = place / "executed"
    for name in ("last.ckpt", "best.ckpt"):
        saved = torch.load(run / "checkpoints" / name, weights_only=True)
        torch.save({**saved, "callbacks": _Executed(str(proof))}, run / "checkpoints" / name)
    message = refused("train", f"resume={run}", "trainer.max_epochs=3")
    assert "last.ckpt" in message
    assert not proof.exists()


class _Executed:
    """Touches a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


# test and predict without a model


def test_the_test_figures_are_the_same_again():
    run = trained()
    saved = json.loads((run / "metrics.json").read_text())["test"]
    status, out, err = call("test", f"run={run}")
    assert (status, err) == (0, "")
    row = next(line for line in out.splitlines() if "tree lstm" in line)
    assert re.findall(r"\d\.\d{4}", row) == [f"{value:.4f}" for value in saved.values()]


def test_an_option_as_in_training_is_no_other_data():
    run = trained()
    options = opened(run).config["task"]
    name, value = next((name, value) for name, value in options.items() if type(value) is int)
    assert call("test", f"run={run}", f"task.{name}={value}") == call("test", f"run={run}")
    other = call("test", f"run={run}", f"task.{name}={value + 1}").out
    assert f"with task.{name}={value + 1}, unlike in the training of {run}" in other


def test_the_test_figures_are_the_same_to_the_last_bit():
    from structnet.training.trainer import evaluate

    with isolated():
        run = opened(trained())
        net = run.load_net()
        figures = evaluate(run, net, run.task.load(run.topology)["test"])
    assert figures == json.loads((trained() / "metrics.json").read_text())["test"]


def test_a_bare_word_is_told_what_it_may_be_meant_as(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copy_of_trained(tmp_path / "mine")
    (tmp_path / "new.py").write_text("a + b")
    run = next(tmp_path.rglob("config.yaml")).parent.relative_to(tmp_path)
    assert (
        f"no option '{run}'" in (said := refused("predict", run)) and f"; write run={run}" in said
    )
    assert "; write path=new.py" in refused("predict", f"run={run}", "new.py")
    assert "write" not in refused("predict", f"run={run}", "nowhere.py")
    assert "stands in quotes, as in 'task.id=Visit No'" in refused("train", "task.id=Pump", "No.")


@pytest.mark.parametrize("command", [["test"], ["predict", "path=."]], ids=["test", "predict"])
def test_a_run_directory_without_a_model_says_what_is_missing(place, command):
    assert "no run in nowhere: there is no such directory" in refused(*command, "run=nowhere")
    assert "run=... is missing" in refused(*command)
    run = copy_of_trained(place)
    (run / "model.safetensors").unlink()
    message = refused(*command, f"run={run}")
    assert "no model.safetensors" in message and f"structnet train resume={run}" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"no tensors"),
        ("config.json", b"{"),
        ("config.json", b"[]"),
        ("config.yaml", b""),
        ("config.yaml", b"a list\n"),
        ("config.yaml", b"{"),
        ("config.yaml", b"task: {name: swapped}\n"),
        ("config.yaml", b"!!python/object/apply:os.system ['touch executed']\n"),
    ],
)
def test_a_spoilt_file_of_a_run_is_named(place, name, content):
    run = copy_of_trained(place)
    (run / name).write_bytes(content)
    assert name in refused("test", f"run={run}")
    assert not (place / "executed").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"_target_": "os.system"},
        {"hydra": {"callbacks": {"x": {"_target_": "os.system"}}}},
        {"extra": 1},
        {"task": {"name": "swapped", "_target_": "os.system"}},
        {"cell": {"name": "os.system"}},
        {"cell": "os.system"},
        {"trainer": {"name": "default", "logger": "os.system"}},
    ],
    ids=str,
)
def test_a_saved_configuration_with_anything_unknown_is_refused(place, change):
    run = copy_of_trained(place)
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump({**config, **change}))
    message = refused("test", f"run={run}")
    assert any(word in message for word in ("_target_", "hydra", "extra", "os.system", "logger"))


def test_weights_of_another_shape_are_refused(place):
    run = copy_of_trained(place)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["net"]["hidden_size"] = 6
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "model.safetensors" in refused("test", f"run={run}")


# Configurations


@pytest.mark.slow
def test_a_sweep_makes_one_run_of_every_combination(place):
    words = (*TINY, "-m", "topology=chain,bichain", "cell=lstm,gru", "debug=steps")
    status, out, err = call(*words)
    assert status == 0, err
    assert out.count("structnet train ") >= 4
    found = set()
    for run in (place / "runs").iterdir():
        config = yaml.safe_load((run / "config.yaml").read_text())
        found.add((config["topology"]["name"], config["cell"]["name"]))
        assert (run / "metrics.json").is_file()
    assert found == {(t, c) for t in ("chain", "bichain") for c in ("lstm", "gru")}


def test_a_mistake_anywhere_in_a_sweep_is_found_before_the_first_run(place):
    message = refused(*TINY, "-m", "cell=lstm,grru", "debug=steps")
    assert "did you mean 'gru'?" in message
    assert not list(place.iterdir())


def test_cfg_prints_the_configuration_and_stops(place):
    status, out, err = call("train", "--cfg", "cell=gru", "topology=chain", "seed=7")
    assert (status, err) == (0, "")
    config = yaml.safe_load(out)
    assert config["cell"]["name"] == "gru" and config["topology"] == {"name": "chain"}
    assert config["seed"] == 7
    assert not list(place.iterdir())


def test_a_printed_configuration_is_printed_for_every_combination():
    out = call("train", "--cfg", "-m", "cell=lstm,gru").out
    assert out.count("name: swapped") == 2


def test_a_user_has_experiments_in_a_folder_of_their_own(place):
    (place / "mine" / "experiment").mkdir(parents=True)
    (place / "mine" / "experiment" / "small.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /cell: gru\nnet:\n  hidden_size: 5\n"
    )
    words = ("--config-dir", "mine", "experiment=small")
    config = yaml.safe_load(call("train", "--cfg", *words).out)
    assert config["cell"] == {"name": "gru", **_options("cells", "gru")}
    assert config["net"]["hidden_size"] == 5
    assert call(*TINY, *words, "debug=steps", "run=out").status == 0
    assert "'small'" in refused("train", "--cfg", "--config-dir", "mine", "experiment=smal")
    assert "'lstm'" in refused("train", "--cfg", "--config-dir", "mine", "cell=lstmm")


@pytest.mark.parametrize(
    "text",
    [
        "_target_: os.system\n",
        "net:\n  _target_: os.system\n",
        "cell:\n  name: os.system\n",
        "extra: 1\n",
        "net:\n  hidden_size: !!python/object/apply:os.system ['touch executed']\n",
    ],
)
def test_a_users_configuration_holds_nothing_unknown_or_executable(place, text):
    (place / "mine" / "experiment").mkdir(parents=True)
    (place / "mine" / "experiment" / "bad.yaml").write_text(f"# @package _global_\n{text}")
    message = refused(*TINY, "--config-dir", "mine", "experiment=bad", "run=out")
    assert any(word in message for word in ("_target_", "hydra", "os.system", "extra", "bad"))
    assert [path.name for path in place.iterdir()] == ["mine"]


def test_settings_of_hydra_in_a_users_configuration_have_no_effect(place):
    (place / "mine" / "experiment").mkdir(parents=True)
    (place / "mine" / "experiment" / "bad.yaml").write_text(
        "# @package _global_\n"
        "hydra:\n  run:\n    dir: made\n"
        "  callbacks:\n    x:\n      _target_: os.mkdir\n      path: executed\n"
    )
    call(*TINY, "--config-dir", "mine", "experiment=bad", "run=out", "debug=steps")
    assert {path.name for path in place.iterdir()} <= {"mine", "out"}


# Plugins of the user's own


def test_the_example_files_are_listed_with_their_options_and_train(place):
    plugins = [
        word for name in ("leaky_cell", "skip_topology")
        for word in ("--plugin", ROOT / "examples" / f"{name}.py")
    ]  # fmt: skip
    listed = json.loads(call("list", "--json", *plugins).out)
    assert "leak" in listed["cells"]["leaky"]["options"]
    assert "stride" in listed["topologies"]["skip"]["options"]
    words = ("topology=skip", "topology.stride=3", "cell=leaky", "cell.leak=0.3", "run=out")
    status, _, err = call(*TINY, *plugins, *words, "debug=steps")
    assert status == 0, err
    config = yaml.safe_load((place / "out" / "config.yaml").read_text())
    assert config["topology"] == {"name": "skip", "stride": 3}
    assert config["cell"] == {"name": "leaky", "leak": 0.3}
    assert call("test", "run=out", *plugins).status == 0
    assert "no topology 'skip'" in refused("test", "run=out")


def test_a_plugin_file_that_fails_or_is_missing_is_named(place):
    (place / "mine.py").write_text("import nowhere_to_be_found\n")
    message = refused("list", "--plugin", "mine.py")
    assert "plugin file mine.py failed" in message and "nowhere_to_be_found" in message
    (place / "mine.py").write_text("def (\n")
    assert "SyntaxError" in refused("list", "--plugin", "mine.py")
    (place / "mine.py").write_text("raise SystemExit(3)\n")
    assert "mine.py" in refused("list", "--plugin", "mine.py")
    assert "no plugin file other.py" in refused("list", "--plugin", "other.py")
    (place / "text.txt").write_text("")
    assert "not a Python file" in refused("list", "--plugin", "text.txt")
    assert "--plugin takes a value" in refused("list", "--plugin")


def test_two_components_under_one_name_are_both_named(place):
    (place / "mine.py").write_text(
        "import structnet as sn\n\n\n"
        "@sn.cells.register('lstm')\nclass Mine(sn.Cell):\n    '''Mine.'''\n"
    )
    message = refused("list", "--plugin", "mine.py")
    assert "two cells named 'lstm'" in message
    assert "structnet.cell.library.lstm.LSTM" in message and "mine.Mine" in message


# Bad input


BAD = {
    # Names.
    "cell=lstmm": ["no cell 'lstmm'", "did you mean 'lstm'?"],
    "topology=treee": ["no topology 'treee'", "did you mean 'tree'?"],
    "task=swaped": ["no task 'swaped'", "did you mean 'swapped'?"],
    "net=stak": ["no net 'stak'", "did you mean 'stack'?"],
    "readout=meen": ["no readout 'meen'", "did you mean 'mean'?"],
    "trainer=gpuu": ["no trainer 'gpuu'", "did you mean 'gpu'?"],
    "experiment=treelstm_ss": ["no experiment", "did you mean"],
    "debug=step": ["no debug 'step'", "did you mean 'steps'?"],
    "cel=lstm": ["no group or option 'cel'", "did you mean 'cell'?"],
    "tranier.max_epochs=2": ["no group or option 'tranier'", "did you mean 'trainer'?"],
    "net.hiden_size=3": ["no option 'hiden_size' of net 'stack'", "did you mean 'hidden_size'?"],
    "trainer.max_epoch=3": ["no option 'max_epoch' of trainer", "did you mean 'max_epochs'?"],
    "topology=chain topology.arity=3": ["no option 'arity' of topology 'chain'"],
    "readout.size=3": ["readout"],
    "trainer.optimizer=adamv": ["'optimizer'", "'adamv'", "did you mean 'adam'?"],
    "trainer.schedule=cosin": ["'schedule'", "'cosin'", "did you mean 'cosine'?"],
    "net.executor=bached": ["no executor 'bached'", "did you mean 'batched'?"],
    "trainer.name=other": ["trainer", "other"],
    # Out of range.
    "net.dropout=1.5": ["dropout", "1.5"],
    "net.dropout=-0.1": ["dropout", "-0.1"],
    "net.hidden_size=0": ["hidden_size", "0"],
    "net.embedding_size=0": ["embedding_size", "0"],
    "net.num_layers=0": ["num_layers", "0"],
    "topology.arity=0": ["arity", "0"],
    "topology.direction=upp": ["direction", "'upp'"],
    "task.min_count=0": ["min_count", "0"],
    "seed=-1": ["seed", "-1"],
    "seed=99999999999999": ["seed", "99999999999999"],
    "trainer.max_epochs=0": ["max_epochs", "0"],
    "trainer.max_steps=0": ["max_steps", "0"],
    "trainer.max_steps=-5": ["max_steps", "-5"],
    "trainer.limit_batches=0": ["limit_batches", "0"],
    "trainer.limit_batches=-1": ["limit_batches", "-1"],
    "trainer.batch_nodes=0": ["batch_nodes", "0"],
    "trainer.batch_size=0": ["batch_size", "0"],
    "trainer.num_workers=-1": ["num_workers"],
    "trainer.learning_rate=0": ["learning_rate", "0"],
    "trainer.weight_decay=-1": ["weight_decay", "-1"],
    "trainer.clip_norm=-1": ["clip_norm", "-1"],
    "trainer.clip_value=-1": ["clip_value", "-1"],
    "trainer.patience=-1": ["patience", "-1"],
    "trainer.precision=half": ["precision", "half", "bf16-mixed"],
    "trainer.accelerator=gpuu": ["accelerator", "gpuu", "cpu"],
    # Types.
    "cell.forget_bias=abc": ["'forget_bias' of cell 'lstm'", "float", "'abc'"],
    "cell.forget_bias=null": ["'forget_bias' of cell 'lstm'", "float", "'null'"],
    "trainer.max_epochs=1.5": ["'max_epochs' of trainer", "int", "1.5"],
    "trainer.deterministic=maybe": ["'deterministic' of trainer", "bool", "'maybe'"],
    "topology.arity=two": ["'arity' of topology 'tree'", "int", "'two'"],
    "net.dropout=": ["'dropout' of net 'stack'", "float"],
    "net.hidden_size=[4]": ["'hidden_size' of net 'stack'", "int", "[4]"],
    "seed=abc": ["seed", "'abc'"],
    "seed=null": ["seed"],
    # Nonsense.
    "foo": ["'foo'", "GROUP=NAME or GROUP.OPTION=VALUE"],
    "=": ["no group or option ''"],
    "a=b=c": ["no group or option 'a'"],
    "net=[1": ["no net '[1' among"],
    "net={a": ["no net '{a' among"],
    '"': ["GROUP=NAME or GROUP.OPTION=VALUE"],
    "cell=null": ["cell"],
    "~cell": ["cell is", "write cell=NAME"],
    "~cell.peephole": ["'~cell.peephole'", "write cell.peephole=VALUE"],
    "cell=[lstm,gru]": ["cell", "lstm"],
    "cell=lstm,gru": ["cell=lstm,gru", "-m cell=lstm,gru"],
    "net.hidden_size=8,16": ["takes int, got '8,16'", "-m net.hidden_size=8,16"],
    "cell=gru cell=lstm": ["cell is chosen twice: cell=gru and cell=lstm"],
    "cell.forget_bias=nan": ["'forget_bias' of cell 'lstm' must be finite, got nan"],
    "cell.forget_bias=1e999": ["'forget_bias' of cell 'lstm' must be finite, got inf"],
    "--fast": ["no flag '--fast' of train, which has -m,", "structnet help train"],
    "--config-dir": ["--config-dir takes a value"],
    "--config-dir nowhere": ["no folder nowhere for --config-dir"],
    # Nothing executable.
    "+_target_=os.system": ["_target_"],
    "+cell._target_=os.system": ["no option '_target_' of cell 'lstm'"],
    "cell._target_=os.system": ["no option '_target_' of cell 'lstm'"],
    "+trainer._target_=os.system": ["no option '_target_' of trainer"],
    "cell.name=os.system": ["no cell 'os.system'"],
    "++cell={_target_:os.system}": ["cell"],
    "+hydra.callbacks.x._target_=os.system": ["hydra"],
    "+hydra/callbacks=x": ["hydra"],
    "hydra/launcher=basic": ["hydra"],
    "hydra.run.dir=elsewhere": ["hydra"],
    "hydra.searchpath=[pkg://os]": ["hydra"],
    # What doesn't go together.
    "topology.arity=3": ["task 'swapped'", "arity is 3"],
    "readout=every": ["every", "swapped"],
    "task.root=nowhere": ["no file or folder nowhere (task.root)"],
    "task.root=.": ["no *.py file below '.'"],
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_named_and_leaves_nothing(place, words):
    message = refused(*TINY, "debug=steps", *words.split())
    for fragment in BAD[words]:
        assert fragment in message
    assert not list(place.iterdir())


def test_bad_input_leaves_no_traceback_and_no_warning_in_a_process_of_its_own(place):
    done = call_anew(*TINY, "debug=steps", "net.dropout=1.5", cwd=place)
    assert done.status == 2
    assert done.out.count("\n") <= 1
    assert done.err.startswith("structnet: error: ") and done.err.count("\n") == 1
    assert not list(place.iterdir())


def test_the_largest_seed_is_named():
    assert str(2**32 - 1) in refused(*TINY, "debug=steps", f"seed={2**32}")


def test_a_run_that_ended_before_its_first_checkpoint_is_begun_again(place):
    """Even where its epoch has left pictures; a folder of that name alone may be the user's."""
    begun = place / "begun"
    (begun / "samples").mkdir(parents=True)
    (begun / "samples" / "net-001.png").write_text("")
    assert "run=begun is in use for other files" in refused(*TINY, "run=begun")
    (begun / "config.yaml").write_text("")
    assert call(*TINY, "run=begun").status == 0


def test_a_directory_in_use_is_not_written_to(place):
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years of work")
    message = refused(*TINY, "run=mine")
    assert "run=mine is in use for other files" in message and "run=mine/first" in message
    assert "run=. is in use for other files" in refused(*TINY, "run=.")
    assert files_below(place) == {"mine", "mine/thesis.txt"}
    (place / "file").write_text("")
    assert "run=file: file is a file" in refused(*TINY, "run=file")
    assert "run=file/x: file is a file" in refused(*TINY, "run=file/x")
    assert "run= takes the directory of a run" in refused(*TINY, "run=")
    copied = copy_of_trained(place / "a b")
    message = refused(*TINY, f"run={copied}")
    assert f"go on with: structnet train 'resume={copied}'" in message


def test_an_empty_directory_is_taken(place):
    (place / "mine").mkdir()
    assert call(*TINY, "run=mine", "debug=steps").status == 0


def test_missing_data_says_which_files_where_it_looked_and_how_to_point_to_them(place, monkeypatch):
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    words = ("train", "task=sst", *SMALL)
    message = refused(*words)
    for fragment in ("train.txt", "dev.txt", "test.txt", "task.root=", "STRUCTNET_DATA"):
        assert fragment in message
    monkeypatch.setenv("STRUCTNET_DATA", str(place / "data"))
    message = refused(*words)
    assert str(place / "data" / "sst") in message and "train.txt" in message
    write_sst(place / "mine")
    (place / "mine" / "dev.txt").unlink()
    message = refused(*words, "task.root=mine")
    assert "no dev.txt in mine" in message and "train.txt" not in message
    assert files_below(place) == {"mine", "mine/train.txt", "mine/test.txt"}


@pytest.mark.parametrize(
    ("line", "fragments"),
    [
        ("(3 (2 a) (2 b)", ["line 32, column 15", "a bracket is not closed"]),
        ("(3 (2 a) (2 b)))", ["line 32, column 16", "after the end of the tree"]),
        ("(3 (2 a) word)", ["line 32, column 10", "'word'"]),
        ("(3 (2 a) (9 b))", ["line 32", "label '9'", "'b'"]),
        ("(3 (a) (2 b))", ["line 32, column 6", "empty node"]),
        ("\n()", ["line 33, column 2", "empty node"]),
    ],
)
def test_a_malformed_tree_is_named_by_file_line_and_column(place, line, fragments):
    write_sst(place / "mine")
    with (place / "mine" / "train.txt").open("a") as file:
        file.write(f"{line}\n")
    message = refused("train", "task=sst", "task.root=mine", *SMALL, "run=out")
    assert str(place.joinpath("mine", "train.txt").relative_to(place)) in message
    for fragment in fragments:
        assert fragment in message
    assert not (place / "out").exists()


def test_too_little_code_is_refused(place):
    write_code(place / "mine", files=2)
    assert "2 Python files" in refused("train", "task.root=mine", *SMALL)
    for number in range(12):
        (place / "mine" / f"part_{number}.py").write_text("pass\n")
    message = refused("train", "task.root=mine", *SMALL)
    assert "no expressions" in message and "mine" in message
    assert not (place / "runs").exists()


def test_a_task_refuses_a_topology_that_its_structures_do_not_fit(place):
    (place / "mine.py").write_text(
        "import structnet as sn\n\n\n"
        "@sn.topologies.register('ring')\n"
        "class Ring(sn.Topology):\n"
        "    '''Nothing takes it.'''\n\n"
        "    takes = 'ring'\n\n"
        "    def predecessors(self, structure):\n"
        "        return []\n"
    )
    message = refused(*TINY, "--plugin", "mine.py", "topology=ring")
    assert "'tree', 'sequence'" in message and "'ring'" in message
    assert not (place / "runs").exists()


# NaN


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(place):
    (place / "spoilt.py").write_text(SPOILT)
    words = (*TINY, "--plugin", "spoilt.py", "task=spoilt", "run=out", "trainer.max_epochs=3")
    message = refused(*words, "trainer.batch_size=26")
    found = re.search(
        r"loss nan at step 7 of epoch 1: .* is (\S+); last good checkpoint: (\S+)\. ", message
    )
    assert found, message
    assert found[1].startswith(("input.", "layers."))
    checkpoint = place / "out" / "checkpoints" / "last.ckpt"
    assert Path(found[2]).resolve() == checkpoint.resolve()
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["global_step"] == 6
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    assert not (place / "out" / "model.safetensors").exists()
    # The command line offers to go on from there.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPOILT_AFTER", "1000")
        status, _, err = call("train", "--plugin", "spoilt.py", "resume=out")
    assert status == 0, err
    assert call("test", "--plugin", "spoilt.py", "run=out").status == 0


SPOILT = """\
import os

import structnet as sn

@sn.tasks.register("spoilt")
class Spoilt(sn.tasks["swapped"]):
    '''Swapped operands, with a loss that is lost after some steps.'''

    def __init__(self, *, root: str | None = None):
        super().__init__(root=root)
        self.left = int(os.environ.get("SPOILT_AFTER", 7))

    def loss(self, output, batch):
        self.left -= 1
        loss = super().loss(output, batch)
        return loss * float("nan") if self.left < 0 else loss
"""


def _paths(*names):
    return [Path(name) for name in names]


def _options(group, name):
    return {option: default for option, (_, default) in getattr(sn, group).options(name).items()}
