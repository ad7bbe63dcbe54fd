"""Sizes that no machine holds are refused before anything is made or read."""

import re

import pytest
import torch
import yaml
from commands import SMALL, copy_of_trained, opened, refused, trained
from torch import nn

import structnet as sn
from structnet.run.size import check_workers, refuse_large, refuse_other_size, without_memory

ARITHMETIC = ("task=arithmetic", "task.digits=2", "task.train_size=20", *SMALL)


@pytest.fixture
def unread(monkeypatch):
    """No task reads its data."""

    def load(self, topology):
        raise AssertionError("the data was read")

    for name in ("arithmetic", "swapped", "digits"):
        monkeypatch.setattr(sn.tasks[name], "load", load)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.hidden_size=200000"], "the net has 160,002,000,000 parameters|parameters: .* TB"),
        (["net.hidden_size=1000000000"], "more entries than can be counted"),
        (["net.hidden_size=10000000", "cell=gru"], "PB of weights, .* PB with gradients"),
        (["net.hidden_size=500000", "cell=indrnn", "net.num_layers=3"], "TB of weights"),
        (["net.parameters=1000000000000"], r"net\.parameters below 1000000000000"),
        (["net.hidden_size=300000", "trainer.optimizer=sgd"], "the state of sgd"),
        (["net.num_layers=1000000"], "'num_layers' is at most 1000, got 1000000"),
        (["net.num_layers=1000000", "net.apart=true"], "'num_layers' is at most 1000"),
        (["trainer.num_workers=100000"], "'num_workers' of trainer must be at most .*, got 100000"),
    ],
)
def test_a_net_too_large_is_refused_before_data_is_read(unread, tmp_path, words, message):
    found = refused("train", *ARITHMETIC, *words, f"run={tmp_path / 'run'}")
    assert re.search(message, found), found
    assert not (tmp_path / "run").exists() and "\n" not in found


@pytest.mark.parametrize("net", ["pixelrnn", "pixelcnn"])
def test_nets_of_pixels_are_bounded_too(unread, tmp_path, net):
    words = ["train", "task=digits", "topology=diagonal", f"net={net}", f"run={tmp_path / 'run'}"]
    assert "at most 1000, got 1000000" in refused(*words, "net.num_layers=1000000")
    assert "of memory" in refused(*words, "net.hidden_size=100000")


def test_what_fits_is_let_through_and_counted(tmp_path):
    run = opened(trained())
    run.load_learned()
    net = without_memory(run.build_net)
    count = sum(one.numel() for one in net.parameters())
    assert count == sum(one.numel() for one in run.load_net().parameters())
    assert all(one.is_meta for one in net.parameters())
    refuse_large(net, run.config)
    state = torch.random.get_rng_state()
    without_memory(run.build_net)
    assert torch.equal(state, torch.random.get_rng_state())


class Odd(nn.Module):
    """Needs the values of its tensors."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(3))
        self.largest = self.weight.max().item()


def test_a_net_that_needs_values_is_not_counted():
    assert without_memory(Odd) is None
    with pytest.raises(ValueError, match="option 'x'"):
        without_memory(lambda: (_ for _ in ()).throw(ValueError("option 'x'")))


CHANGES = [
    ("net", "hidden_size", 10_000_000, "does not hold this net's weights: it has"),
    ("net", "hidden_size", 20_000, "does not hold this net's weights: it has"),
    ("net", "hidden_size", 2_000_000_000, "more entries than can be counted"),
    ("net", "embedding_size", 10**12, "does not hold this net's weights: it has"),
    ("net", "num_layers", 1_000_000, "'num_layers' is at most 1000"),
    ("net", "num_layers", 900, "does not hold this net's weights: it has"),
    ("net", "parameters", 10**15, "does not hold this net's weights: it has"),
    ("net", "skip", "no.e", "option 'skip' is 'none' or"),
    ("trainer", "num_workers", 100_000, "'num_workers' of trainer must be at most"),
]


@pytest.mark.parametrize(("group", "option", "value", "message"), CHANGES)
def test_a_saved_run_is_not_made_larger_than_its_weights(
    tmp_path, monkeypatch, group, option, value, message
):
    run = copy_of_trained(tmp_path)
    file = run / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config[group][option] = value
    file.write_text(yaml.safe_dump(config))
    made = []
    own = torch.nn.init.normal_

    def counted(tensor, *args, **kwargs):
        if not tensor.is_meta:
            made.append(tensor.numel())
        return own(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.nn.init, "normal_", counted)
    found = refused("test", f"run={run}")
    assert (message in found and str(run) in found) or option == "num_workers"
    assert not made


def test_workers_are_bounded_by_what_machines_have():
    check_workers({"num_workers": 64, "threads": None})
    with pytest.raises(ValueError, match="'threads' of trainer must be at most"):
        check_workers({"threads": 10**6})
    with pytest.raises(ValueError, match="at most"):
        check_workers({"num_workers": 10**6})


def test_a_file_with_fewer_numbers_than_the_net_is_named(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, 4)}, tmp_path / "model.safetensors")
    refuse_other_size(nn.Linear(3, 3), tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"it has 20 numbers, model\.safetensors holds 12"):
        refuse_other_size(nn.Linear(4, 4), tmp_path / "model.safetensors")
