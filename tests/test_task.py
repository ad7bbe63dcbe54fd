from types import SimpleNamespace

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.data.batch import collate


class Parity(sn.Task):
    """Whether a sequence has an even length."""

    structures = ("sequence",)
    classes = ("odd", "even")
    kinds = ("short", "long")

    def load(self, topology):
        def sample(size):
            return sn.Sample(size, np.zeros((size, 1), np.float32), size % 2, kind=int(size > 3))

        return {"test": [sample(size) for size in range(1, 8)]}


@pytest.fixture
def batch():
    topology = sn.topologies.create("chain")
    return collate(Parity().load(topology)["test"], topology)


def test_a_task_refuses_a_topology_whose_structures_it_has_not():
    Parity().check(sn.topologies.create("bichain"))
    with pytest.raises(ValueError, match=r"Parity has structures of kind \['sequence'\].*'tree'"):
        Parity().check(sn.topologies.create("tree"))


def test_a_task_has_as_many_outputs_as_classes_and_reads_its_root():
    assert Parity().num_outputs == 2
    assert Parity().readout(sn.topologies.create("chain")) == "root"
    assert Parity().baselines() == {}


def test_a_task_that_reads_no_files_says_so():
    with pytest.raises(ValueError, match=r"Parity has no samples to read from mine\.txt"):
        list(Parity().read("mine.txt", sn.topologies.create("chain")) or ())


def test_a_sample_of_many_scores_is_read_at_its_root(batch):
    per_sample = torch.randn(batch.num_samples, 2)
    assert Parity().sample_output(per_sample, batch) is per_sample
    per_node = torch.randn(batch.num_nodes, 2)
    last = batch.ptr[1:] - 1
    assert torch.equal(Parity().sample_output(per_node, batch), per_node[last])


def test_the_loss_leaves_out_what_has_no_label(batch):
    scores = torch.randn(batch.num_samples, 2)
    batch = SimpleNamespace(y=batch.y.clone())
    batch.y[1:] = sn.IGNORE
    expected = torch.nn.functional.cross_entropy(scores[:1], batch.y[:1])
    assert torch.equal(Parity().loss(scores, batch), expected)


def test_kinds_are_measured_on_their_own(batch):
    task = Parity()
    metrics = task.metrics()
    assert set(metrics) == {"accuracy", "short", "long"}
    # Right for the short ones alone.
    right = torch.nn.functional.one_hot(batch.y, 2).float()
    scores = torch.where((batch.kind == 0)[:, None], right, 1 - right)
    figures = {}
    for name, (output, target) in task.measured(scores, batch).items():
        metrics[name].update(output, target)
        figures[name] = metrics[name].compute().item()
    assert figures == {"accuracy": pytest.approx(3 / 7), "short": 1, "long": 0}


def test_data_is_where_the_root_says_before_the_environment(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "data" / "words").mkdir(parents=True)
    for folder in (tmp_path / "mine", tmp_path / "data" / "words"):
        (folder / "a.txt").write_text("")
    monkeypatch.setenv("STRUCTNET_DATA", str(tmp_path / "data"))
    assert sn.data_folder(None, "words", ["a.txt"]) == tmp_path / "data" / "words"
    assert sn.data_folder(str(tmp_path / "mine"), "words", ["a.txt"]) == tmp_path / "mine"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sn.data_folder("~/mine", "words", ["a.txt"]) == tmp_path / "mine"


@pytest.mark.parametrize("value", [None, ""])
def test_data_that_nobody_points_to_is_asked_for(monkeypatch, value):
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    if value is not None:
        monkeypatch.setenv("STRUCTNET_DATA", value)
    with pytest.raises(FileNotFoundError) as caught:
        sn.data_folder(None, "words", ["a.txt", "b.txt"])
    for fragment in ("a.txt", "b.txt", "task.root=", "STRUCTNET_DATA", "words"):
        assert fragment in str(caught.value)


def test_only_missing_files_are_named_with_the_folder_that_was_looked_in(tmp_path, monkeypatch):
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").mkdir()
    with pytest.raises(FileNotFoundError) as caught:
        sn.data_folder(str(tmp_path), "words", ["a.txt", "b.txt", "c.txt"])
    message = str(caught.value)
    assert "b.txt, c.txt" in message and "a.txt" not in message.replace(str(tmp_path), "")
    assert str(tmp_path) in message and "task.root=" in message and "STRUCTNET_DATA" in message


def test_nodes_are_named_by_their_words():
    words = [("a", "b"), (), ("seldom",)]
    task = Parity()
    sample = sn.Sample(3, np.zeros((3, 1)), 0)
    assert task.node_names(sample) is None
    task.vocabulary = sn.Vocabulary({"a": 2, "b": 1})
    assert task.node_names(sample) is None
    tokens = task.vocabulary.tokens(words)
    assert task.node_names(sn.Sample(3, tokens, 0)) == ["a b", "", "?"]
