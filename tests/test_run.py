import json
import os

import pytest
import torch
import yaml
from commands import code_folder, copy_of_trained, isolated, opened, trained
from safetensors.torch import load_file

from structnet.config.composing import compose
from structnet.run.components import create
from structnet.run.directories import locked
from structnet.run.run import Run
from structnet.system.files import write


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with isolated():
        yield tmp_path


def small(*words):
    return compose(
        [f"task.root={code_folder()}", "net.hidden_size=4", "net.embedding_size=4", *words]
    )


def test_a_new_run_makes_its_directory_only_when_something_is_saved(place):
    run = Run.new(small("run=a/b"))
    assert not run.directory.exists()
    run.save_config()
    assert [path.name for path in (place / "a" / "b").iterdir()] == ["config.yaml"]


def test_the_name_of_a_run_says_when_and_what(place):
    one = Run.new(small("topology=chain", "cell=gru"))
    one.save_config()
    two = Run.new(small("topology=chain", "cell=gru"))
    assert one.directory.parent.name == "runs"
    assert "swapped-chain-gru" in one.directory.name
    assert one.directory != two.directory


def test_two_runs_of_one_second_do_not_share_a_directory(place, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "now")
    runs = [Run.new(small()) for _ in range(3)]
    assert len({run.directory for run in runs}) == 3


def test_a_directory_is_held_by_one_process(place):
    run = Run.new(small("run=mine"))
    with locked(run.directory):
        run.save_config()
        again = Run.compose(run.config, run.directory)
        message = "another process is training in"
        with pytest.raises(ValueError, match=message), locked(again.directory):
            pass
    with locked(run.directory):
        pass
    assert [path.name for path in (place / "mine").iterdir()] == ["config.yaml"]


def test_a_run_that_saves_nothing_leaves_nothing(place):
    for words in ((), ("run=mine",)):
        with locked(Run.new(small(*words)).directory):
            pass
    assert list(place.iterdir()) == []


def test_a_home_directory_is_meant_by_its_sign(monkeypatch, place):
    monkeypatch.setenv("HOME", str(place))
    assert Run.new(small("run=~/mine")).directory == place / "mine"


def test_a_saved_run_is_opened_as_it_was():
    config = small("run=mine", "topology.arity=null", "seed=5")
    run = Run.new(config)
    run.save_config()
    again = opened("mine")
    assert again.config == config
    assert again.topology.arity is None
    assert type(again.task) is type(run.task)


def test_a_saved_net_gives_the_same_scores_to_the_last_bit():
    from structnet.data.batch import collate

    run = opened(trained())
    one, other = run.load_net(), opened(trained()).load_net()
    assert not one.training
    samples = run.task.load(run.topology)["test"][:9]
    batch = collate(samples, run.topology)
    assert torch.equal(one(batch), other(batch))


def test_a_saved_net_brings_its_vocabulary():
    run = opened(trained())
    assert run.task.vocabulary is None
    run.load_net()
    counts = json.loads((trained() / "config.json").read_text())["vocabulary"]
    assert run.task.vocabulary.counts == counts
    assert [run.task.vocabulary[word] for word in counts] == list(range(1, 1 + len(counts)))
    run.task.load(run.topology)
    assert run.task.vocabulary.counts == counts


def test_saved_weights_are_those_of_the_best_checkpoint():
    saved = torch.load(trained() / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    weights = load_file(trained() / "model.safetensors")
    for name, value in weights.items():
        assert torch.equal(value, saved[f"net.{name}"]), name
    extra = {name for name in saved if not name.startswith("net.")}
    assert {name.removeprefix("net.") for name in set(saved) - extra} == set(weights)


def test_a_checkpoint_is_put_into_a_net(place):
    run = opened(copy_of_trained(place))
    net = run.load_net()
    expected = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    run.load_checkpoint(net, "best.ckpt")
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())


def test_weights_that_share_memory_or_are_views_are_saved(place):
    run = opened(copy_of_trained(place))
    net = run.load_net()
    net.head.weight = torch.nn.Parameter(torch.arange(4.0 * len(net.head.weight)).reshape(4, -1).T)
    run.save_net(net)
    assert torch.equal(load_file(run.directory / "model.safetensors")["head.weight"],
                       net.head.weight)  # fmt: skip


@pytest.mark.parametrize("existing", [None, "before"])
def test_a_file_that_fails_to_be_written_leaves_what_was_there(place, existing):
    path = place / "figures.json"
    if existing:
        path.write_text(existing)

    def fail(temporary):
        temporary.write_text("half")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        write(path, fail)
    assert [(p.name, p.read_text()) for p in place.iterdir()] == (
        [("figures.json", "before")] if existing else []
    )


def test_a_file_is_replaced_whole(place):
    path = place / "figures.json"
    path.write_text("before")

    def save(temporary):
        assert path.read_text() == "before"
        assert temporary.parent == path.parent
        temporary.write_text("after")

    write(path, save)
    assert path.read_text() == "after" and os.listdir(place) == ["figures.json"]


def test_figures_that_cannot_be_written_as_json_leave_the_old_ones(place):
    run = opened(copy_of_trained(place))
    before = (run.directory / "metrics.json").read_text()
    with pytest.raises(TypeError):
        run.save_metrics({"test": object()})
    assert (run.directory / "metrics.json").read_text() == before


def test_a_directory_without_a_configuration_is_no_run(place):
    with pytest.raises(FileNotFoundError, match="no run in nowhere: there is no such directory"):
        opened("nowhere")
    (place / "config.yaml").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no config\.yaml"):
        opened(place)


def test_a_configuration_with_python_tags_is_refused_and_not_run(place):
    for tag in ("!!python/object/apply:os.mkdir ['made']", "!!python/name:os.system"):
        (place / "config.yaml").write_text(f"task: {tag}\n")
        with pytest.raises((ValueError, yaml.YAMLError), match="python"):
            opened(place)
    assert not (place / "made").exists()


def test_a_component_is_created_from_its_name_and_options():
    from structnet import registry

    topology = create(registry.topologies, {"name": "tree", "arity": 3})
    assert topology.arity == 3
    with pytest.raises(KeyError, match="did you mean 'tree'"):
        create(registry.topologies, {"name": "treee"})
    with pytest.raises(ValueError, match="no option 'ariti'"):
        create(registry.topologies, {"name": "tree", "ariti": 3})


def test_a_configuration_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="arity is 3"):
        Run.new(small("topology.arity=3"))


def test_a_net_is_as_large_as_its_task_says():
    run = Run.new(small("readout=mean"))
    run.task.keep(run.task.load(run.topology))
    net = run.build_net()
    assert net.head.num_outputs == run.task.num_outputs
    assert net.input.num_embeddings == len(run.task.vocabulary)


def test_what_ended_before_its_first_epoch_may_be_begun_again(place):
    run = Run.new(small("run=mine"))
    run.save_config()
    (place / "mine" / "logs" / "version_0").mkdir(parents=True)
    assert Run.new(small("run=mine")).directory == run.directory
    (place / "mine" / "checkpoints").mkdir()
    (place / "mine" / "checkpoints" / "last.ckpt").write_text("")
    with pytest.raises(ValueError, match="in use"):
        Run.new(small("run=mine"))
