"""States of a trained net as inputs of another, beside running that net by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMALL, call, opened, refused, trained
from conftest import assert_same, randomise

import structnet as sn
from structnet.nn.pretrained import Contextual, Pretrained, bordered

CHAIN, BOTH = (sn.topologies.create(name) for name in ("chain", "bichain"))
KNOWN = sn.Vocabulary({"<eos>": 9, "a": 5, "b": 3, "new": 2})
OWN = sn.Vocabulary({"b": 4, "c": 2, "a": 1}).extended(KNOWN.counts)
SENTENCES = [["c", "new", "a"], ["b"], ["?", "b", "a", "a", "new"]]


def net_of(words=KNOWN, seed=1, topology=BOTH, **options):
    sizes = sn.Sizes(words, None, 3, **options.pop("sizes", {}))
    given = {"embedding_size": 4, "hidden_size": 4, "num_layers": 2, **options}
    made = sn.nets.create("stack", sizes, topology, "lstm", "every", **given)
    return randomise(made.double(), seed).eval()


def batch_of(sentences=SENTENCES, words=OWN, topology=CHAIN, border=()):
    samples = []
    for sentence in sentences:
        flat = [*border, *sentence, *border]
        x = words.tokens([(word,) for word in flat], flat)
        samples.append(sn.Sample(len(flat), x, np.zeros(len(flat), np.int64)))
    return sn.collate(samples, topology)


# Layers


@pytest.mark.parametrize("skip", ["none", "residual", "input", "dense"])
def test_states_are_those_of_layers_called_one_after_the_other(skip):
    net = net_of(apart=True, skip=skip, seed=3)
    batch = batch_of(words=KNOWN, topology=BOTH)
    x = net.input.weight[batch.x.ids]
    expected = [torch.cat([x, x], 1)]
    sides = []
    for stack, plan in zip(net.stack.stacks, batch.plans, strict=True):
        h, found = x, []
        for layer in stack.layers:
            out = layer(h, (plan,))
            out = out + h if skip == "residual" else out
            found.append(out)
            h = (
                torch.cat([out, x if skip == "input" else h], 1)
                if skip in ("input", "dense")
                else out
            )
        sides.append(found)
    expected += [torch.cat(layer, 1) for layer in zip(*sides, strict=True)]
    states = net.layer_states(batch)
    assert net.layer_shape == (3, 8) == (len(states), states[0].shape[1])
    for one, other in zip(states, expected, strict=True):
        assert_same(one.detach(), other.detach())


def test_the_input_is_a_layer_only_where_sizes_are_equal():
    net, batch = net_of(embedding_size=3), batch_of(words=KNOWN, topology=BOTH)
    assert net.layer_shape == (2, 8) and len(net.layer_states(batch)) == 2
    assert net_of(embedding_size=4, topology=CHAIN).layer_shape == (3, 4)
    with_characters = net_of(embedding_size=3, characters="cnn", character_size=1, apart=True)
    assert with_characters.layer_shape == (3, 8)
    assert len(with_characters.layer_states(batch)) == 3


# As inputs


def by_hand(inner, sentences, border):
    """The layers' states at the words of every sentence, read by itself, (layers, N, size)."""
    found = []
    for sentence in sentences:
        batch = batch_of([sentence], KNOWN, BOTH, border)
        states = torch.stack(inner.layer_states(batch))
        found.append(states[:, 1:-1] if border else states)
    return torch.cat(found, 1)


@pytest.mark.parametrize("border", ["<eos>", None])
@pytest.mark.parametrize("characters", [None, "cnn"])
def test_a_net_reads_the_mean_of_layers_and_its_gradients_reach_their_weights_alone(
    border, characters
):
    options = {"apart": True, "characters": characters, "character_size": characters and 2}
    inner = net_of(**options)
    source = Pretrained(lambda: inner, KNOWN, BOTH, border)
    net = net_of(OWN, seed=2, topology=CHAIN, sizes={"pretrained": source})
    part = net.embeddings
    batch = batch_of()
    states = by_hand(inner, SENTENCES, [border] if border else [])
    weights, scale = (one.detach().clone().requires_grad_() for one in (part.weights, part.scale))
    expected = scale * (weights.softmax(0)[:, None, None] * states).sum(0)
    found = part(batch)
    assert_same(found.detach(), expected.detach())
    direction = torch.randn_like(expected)
    ours = torch.autograd.grad((found * direction).sum(), [part.weights, part.scale])
    theirs = torch.autograd.grad((expected * direction).sum(), [weights, scale])
    for one, other in zip(ours, theirs, strict=True):
        assert_same(one, other)
    net.train()(batch).square().sum().backward()
    assert not part.net.training
    for name, parameter in net.named_parameters():
        frozen = name.startswith("embeddings.net.")
        assert (parameter.grad is None) == frozen == (not parameter.requires_grad), name


def test_words_that_training_lacks_are_unknown_to_the_own_embeddings_alone():
    inner = net_of()
    net = net_of(OWN, seed=2, sizes={"pretrained": Pretrained(lambda: inner, KNOWN, BOTH)})
    assert len(net.input.weight) == 4 and [*net.embeddings.words.counts] == ["b", "c", "a"]
    batch = batch_of([["new", "c", "?"]], topology=BOTH)
    assert net.embeddings.own(batch.x).ids.tolist() == [0, 2, 0]
    other = batch_of([["?", "c", "?"]], topology=BOTH)
    assert net.input(net.embeddings.own(batch.x)).equal(net.input(net.embeddings.own(other.x)))
    assert not net.embeddings(batch).equal(net.embeddings(other))


def test_a_pretrained_net_is_saved_within_and_not_reset():
    inner = net_of()
    before = {name: value.clone() for name, value in inner.state_dict().items()}
    net = net_of(OWN, seed=2, sizes={"pretrained": Pretrained(lambda: inner, KNOWN, BOTH)})
    saved = net.state_dict()
    assert not any(".head." in name for name in saved if name.startswith("embeddings."))
    net.reset_parameters()
    assert net.embeddings.weights.eq(0).all() and net.embeddings.scale == 1
    for name, value in net.embeddings.net.state_dict().items():
        assert value.equal(saved[f"embeddings.net.{name}"]) and value.shape == before[name].shape


def test_borders_stand_around_every_sample():
    sample = torch.tensor([0, 0, 0, 1, 2, 2])
    found = bordered(torch.arange(6), sample, torch.tensor([8, 9]))
    assert found.tolist() == [8, 9, 0, 1, 2, 8, 9, 8, 9, 3, 8, 9, 8, 9, 4, 5, 8, 9]


def test_what_can_not_read_them_says_so():
    source = Pretrained(net_of, KNOWN, BOTH)
    net = net_of(OWN, topology=CHAIN, sizes={"pretrained": source})
    with pytest.raises(ValueError, match=r"net\.embeddings is for whole samples"):
        net.stepper()
    features = sn.Sizes(None, 2, 3, pretrained=source)
    with pytest.raises(ValueError, match="the task has features: leave them out"):
        sn.Net(features, CHAIN, "lstm", "every")
    with pytest.raises(ValueError, match="names a run, 'run:x', that is opened where a run is"):
        sn.Net(sn.Sizes(OWN, None, 3), CHAIN, "lstm", "every", embeddings="run:x")


def test_a_diagnosis_is_of_the_layers_that_learn():
    from structnet.diagnosis.gradients import diagnose

    net = net_of(OWN, sizes={"pretrained": Pretrained(net_of, KNOWN, BOTH)})
    assert isinstance(net.embeddings, Contextual)
    assert len(diagnose(net, batch_of(topology=BOTH))) == 4


# Runs

TEXT = [f"the {a} {b} {c} .\n" for a in ("cat", "dog") for b in ("sat", "ran") for c in "xyz"]
RARE = "the rare cat sat x ."


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a language model `lm`, tagged sentences, and a tagger with its states."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "text.txt").write_text("".join([*TEXT, f"{RARE}\n"] * 3))
    words = ("task=bidirectional_text", f"task.root={folder / 'text.txt'}", "topology=bichain")
    trains(folder / "lm", *words, "net.num_layers=2")
    tagged = folder / "tagged"
    tagged.mkdir()
    rows = {"train": TEXT[::2], "dev": TEXT[1::4], "test": [*TEXT[1::3], f"{RARE}\n"]}
    for split, lines in rows.items():
        sentences = ["".join(f"{w}\t{w[0].upper()}\n" for w in line.split()) for line in lines]
        (tagged / f"{split}.txt").write_text("\n".join(sentences))
    tags(folder, "tagger")
    return folder


def trains(run, *words):
    given = ("cell=lstm", *SMALL, "trainer.max_epochs=1", "trainer.keep=last", f"run={run}")
    status, _, err = call("train", *words, *given)
    assert status == 0, err


def tagging(folder, embeddings):
    return ("task=tagging", f"task.root={folder / 'tagged'}", "task.column=2", "topology=bichain",
            f"net.embeddings={embeddings}")  # fmt: skip


def tags(folder, name, *words):
    trains(folder / name, *tagging(folder, f"run:{folder / 'lm'}"), *words)


def test_a_run_reads_another_ones_words_and_states(place):
    run = opened(place / "tagger")
    net, words = run.load_net(), run.task.vocabulary
    counts = words.counts
    assert counts["rare"] == 0 < counts["cat"] and words["rare"]
    inner = opened(place / "lm")
    expected = inner.load_net()
    for name, value in net.embeddings.net.state_dict().items():
        assert value.equal(expected.state_dict()[name]), name
    splits = run.task.keep(run.task.load(run.topology))
    texts = [one.origin.text for one in splits["test"]]
    assert RARE in texts and [*counts].index("rare") > [*counts].index("cat")
    sample = splits["test"][texts.index(RARE)]
    assert (sample.x.ids > 0).all()
    batch = sn.collate([sample], run.topology)
    lm = inner.task.vocabulary.tokens([(w,) for w in ("<eos>", *RARE.split(), "<eos>")])
    given = sn.collate([sn.Sample(8, lm, np.zeros(16, np.int64))], inner.topology)
    states = torch.stack(expected.layer_states(given))[:, 1:-1]
    mean = (net.embeddings.weights.softmax(0)[:, None, None] * states).sum(0)
    assert_same(net.embeddings(batch).detach(), (net.embeddings.scale * mean).detach(), 1e-6)


def test_a_run_stands_alone(place, tmp_path):
    """The run that it read may be gone, and is not looked for."""
    copied = shutil.copytree(place / "tagger", tmp_path / "tagger")
    config = copied / "config.yaml"
    config.write_text(config.read_text().replace(str(place / "lm"), "/nowhere/at/all"))
    status, out, err = call("test", f"run={copied}")
    assert status == 0, err
    figures = json.loads((copied / "metrics.json").read_text())["test"]
    assert f"{figures['accuracy']:.4f}" in out
    assert call("predict", f"run={copied}", f"text={RARE}").status == 0
    status, _, err = call("train", f"resume={copied}", "trainer.max_epochs=2")
    assert status == 0, err
    again = opened(copied).load_net().embeddings
    before = opened(place / "tagger").load_net().embeddings
    for one, other in zip(again.net.parameters(), before.net.parameters(), strict=True):
        assert one.equal(other)
    assert not again.weights.equal(before.weights)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda described: described.pop("embedded"),
            "does not describe the run of net.embeddings",
        ),
        (lambda d: d["embedded"].pop("config"), "does not describe the run of net.embeddings"),
        (lambda d: d["embedded"]["config"].pop("net"), "does not describe the run"),
        (
            lambda d: d["embedded"]["config"]["net"].update(name=[1]),
            "net.name must be the name of a component",
        ),
        (lambda d: d["embedded"]["vocabulary"].update(a=-1), "must be a count, got -1"),
        (lambda d: d["embedded"]["vocabulary"].update(a=1), "does not hold this net's weights"),
        (lambda d: d["embedded"]["config"]["net"].update(hidden_size=10**6), "holds"),
    ],
)
def test_what_is_saved_of_the_other_run_is_checked(place, tmp_path, change, message):
    copied = shutil.copytree(place / "tagger", tmp_path / "tagger")
    (copied / "manifest.json").unlink()
    described = json.loads((copied / "config.json").read_text())
    change(described)
    (copied / "config.json").write_text(json.dumps(described))
    found = refused("test", f"run={copied}")
    assert message in found and str(copied) in found and "\n" not in found


def test_runs_that_do_not_fit_are_refused_and_nothing_is_written(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = trained()
    cases = {
        "lm": "write net.embeddings=run:DIR, with the directory of a run",
        "run:": "write net.embeddings=run:DIR",
        "run:nowhere": "no run in nowhere: there is no such directory",
        f"run:{code}": "is a run with topology 'tree'",
    }
    for given, message in cases.items():
        found = refused("train", *tagging(place, given), "cell=lstm", *SMALL, "run=new")
        assert message in found and "\n" not in found, found
        assert not list(Path("new").rglob("*.safetensors"))
    (tmp_path / "french.txt").write_text("".join(f"mot{n}\tM\n\n" for n in range(20)))
    given = [*tagging(place, f"run:{place / 'lm'}"), "task.root=french.txt"]
    given.remove(f"task.root={place / 'tagged'}")
    found = refused("train", *given, "cell=lstm", *SMALL, "run=new")
    assert "knows none of the 16 words of this task, such as 'mot" in found
    assert not list(Path("new").rglob("*.safetensors"))
    tree = refused("train", "task=swapped", f"net.embeddings=run:{place / 'lm'}", *SMALL)
    assert "is for sequences, and this run has topology 'tree'" in tree
