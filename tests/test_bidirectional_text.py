"""Bidirectional language models, and the vectors of words that `structnet embed` writes."""

import functools
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMALL, call, opened, refused, trained
from conftest import assert_same, randomise

import structnet as sn
from structnet.plugins.sequence.language.measures import figures

BOTH = sn.topologies.create("bichain")
TEXT = [f"the {a} {b} {c} .\n" for a in ("cat", "dog") for b in ("sat", "ran") for c in "xyz"]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("".join(TEXT * 4))
    return tmp_path


def loaded(root="text.txt", **options):
    task = sn.tasks.create("bidirectional_text", root=str(root), **options)
    return task, task.keep(task.load(BOTH))


def net_of(task, head="softmax", seed=1, **options):
    sizes = sn.Sizes(task.vocabulary, None, task.num_outputs, apart=task.apart)
    given = {"hidden_size": 4, "embedding_size": 4, "num_layers": 2, "dropout": 0.0, **options}
    net = sn.nets.create("stack", sizes, BOTH, "lstm", task.readout(BOTH), head, **given)
    return randomise(net.double(), seed).eval()


def batch_of(splits, count=3, split="train"):
    return sn.collate([splits[split][at] for at in range(count)], BOTH)


# Samples


def test_a_line_stands_between_two_ends_and_is_told_from_both_sides(place):
    (place / "text.txt").write_text("b\n" * 9 + "\n  \na b c\n" + "b\n" * 9)
    task, splits = loaded()
    assert task.classes == ("<unk>", "<eos>", "b", "a", "c")
    words = [task.vocabulary.words(one.x) for one in splits["train"]]
    at = [len(one) for one in words].index(5)
    assert words[at] == [["<eos>"], ["a"], ["b"], ["c"], ["<eos>"]]
    y = splits["train"][at].y.reshape(5, 2).tolist()
    skip = sn.IGNORE
    assert y == [[3, skip], [2, 1], [4, 3], [1, 2], [skip, 4]]
    assert {len(one.x) for one in splits["train"]} == {3, 5}


def test_long_lines_are_read_in_pieces(place):
    (place / "text.txt").write_text("a b c d e\n" * 20)
    task, splits = loaded(max_length=2)
    found = [task.decode(one.x.ids) for one in splits["train"]][:3]
    assert found == ["\na b\n", "\nc d\n", "\ne\n"]


@pytest.mark.parametrize("tokens", ["characters", "subwords"])
def test_tokens_are_of_any_kind(tokens):
    task, splits = loaded(tokens=tokens, vocabulary_size=270)
    sample = splits["test"][-1]
    assert task.classes[sample.x.ids[0]] == "<eos>" == task.classes[sample.x.ids[-1]]
    assert task.decode(sample.x.ids[1:-1]) + "\n" in TEXT
    # Each character counts, and the end of the line as one.
    net, batch = net_of(task), batch_of(splits, 2, "test")
    _, written = task.measured(net(batch).detach(), batch)["bits_per_character"]
    texts = [task.decode(splits["test"][at].x.ids[1:-1]) for at in range(2)]
    assert written.sum() == 2 * sum(len(text) + 1 for text in texts)


def test_words_tell_how_they_are_written(place):
    (place / "text.txt").write_text("naïve b b\n" * 40)
    task, splits = loaded(min_count=50)
    sample = splits["test"][-1]
    # One is too rare to be known.
    assert sample.x.ids.tolist() == [1, 0, 2, 2, 1]
    bounds = zip(sample.x.spelling.ptr, sample.x.spelling.ptr[1:], strict=False)
    texts = [bytes(sample.x.spelling.ids[a + 1 : b - 1]).decode() for a, b in bounds]
    assert texts == ["<eos>", "naïve", "b", "b", "<eos>"]
    net = net_of(task, characters="cnn", character_size=3)
    assert net(batch_of(splits)).isfinite().all()


def row(number, form):
    return "\t".join([str(number), form, *"_" * 8]) + "\n"


def test_sentences_of_a_treebank_are_lines(place):
    (place / "bank").mkdir()
    for split in ("train", "dev", "test"):
        text = f"# text\n{row('1-2', 'ab')}{row(1, 'a')}{row(2, split)}\n{row(1, 'c')}\n"
        (place / "bank" / f"x-{split}.conllu.gz").write_bytes(gzip.compress(text.encode()))
    task, splits = loaded(place / "bank")
    assert [task.decode(one.x.ids) for one in splits["train"]] == ["\na train\n", "\nc\n"]
    assert splits["validation"][0].x.ids.tolist()[1:3] == [task.vocabulary["a"], 0]
    (place / "bank" / "x-dev.conllu.gz").unlink()
    with pytest.raises(ValueError, match="bank has no file of CoNLL-U for validation"):
        loaded(place / "bank")
    (place / "one.conllu").write_text(f"{row(1, 'word')}\n" * 40)
    _, splits = loaded("one.conllu")
    assert len(splits["train"]) > 30 > len(splits["test"])


# Models


def test_a_direction_sees_what_it_has_read_alone():
    task, splits = loaded()
    net = net_of(task)
    batch = batch_of(splits, 1)
    before = net(batch).reshape(-1, 2, task.num_outputs)
    at = 3
    batch.x.ids[at] = 0
    after = net(batch).reshape(-1, 2, task.num_outputs)
    changed = (before != after).any(2)
    assert changed[:, 0].tolist() == [node >= at for node in range(len(before))]
    assert changed[:, 1].tolist() == [node <= at for node in range(len(before))]


def test_the_loss_is_that_of_two_language_models_with_the_same_words():
    task, splits = loaded()
    net, batch = net_of(task), batch_of(splits)
    nats = {"forward": [], "backward": []}
    for ids in batch.x.ids.split(batch.ptr.diff().tolist()):
        for stack, name, order in zip(net.stack.stacks, nats, (ids, ids.flip(0)), strict=True):
            h = net.input.weight[order]
            plan = sn.topologies.create("chain").plan([len(order)])[0]
            for layer in stack.layers:
                h = sn.Recurrence("chain", lambda *_, cell=layer.cells[0]: cell, 4, 4)(h, (plan,))
            scores = h @ net.head.weight.T + net.head.bias
            one = torch.nn.functional.cross_entropy(scores[:-1], order[1:], reduction="none")
            nats[name] += one.tolist()
    both = nats["forward"] + nats["backward"]
    output = net(batch)
    assert task.loss(output, batch).item() == pytest.approx(np.mean(both), rel=1e-9)
    metrics = task.metrics()
    for name, given in task.measured(output.detach(), batch).items():
        metrics[name].update(*given)
    found = {name: metric.compute().item() for name, metric in metrics.items()}
    assert found["perplexity"] == pytest.approx(np.exp(np.mean(both)), rel=1e-5)
    for name, some in nats.items():
        assert found[f"perplexity_{name}"] == pytest.approx(np.exp(np.mean(some)), rel=1e-5)
    assert found["words"] == len(both) == 2 * sum(batch.ptr.diff() - 1)
    texts = [task.decode(splits["train"][at].x.ids[1:-1]) for at in range(3)]
    assert found["characters"] == 2 * sum(len(text) + 1 for text in texts)


@pytest.mark.parametrize("head", ["softmax", "sampled", "adaptive"])
def test_any_head_is_the_same_for_both_directions(head):
    options = {"sampled": {"samples": 5}, "adaptive": {"cutoffs": "2,4", "shrink": 1.5}}
    task, splits = loaded()
    head = functools.partial(sn.heads.create, head, **options.get(head, {}))
    net, batch = net_of(task, head).train(), batch_of(splits)
    loss = task.loss(net(batch), batch)
    assert loss.isfinite()
    loss.backward()
    assert all(one.grad is not None for one in net.parameters())


def test_n_grams_beside_it_read_both_ways():
    task, splits = loaded(ngram=2)
    found = task.baselines()
    assert [*found] == ["unigram", "2-gram"]
    ids = splits.source["test"]
    share = np.bincount(splits.source["train"], minlength=task.num_outputs)
    share = share / share.sum()
    nats = -np.log(share[ids[1:]]).mean() / 2 - np.log(share[ids[:-1]]).mean() / 2
    assert found["unigram"]["nats_per_word"] == pytest.approx(nats, abs=0.02)
    assert found["2-gram"]["perplexity"] < found["unigram"]["perplexity"]
    assert [*found["unigram"]] == [*figures("word", 1, 1, 1)]
    assert found["unigram"]["words"] == 2 * (len(ids) - 1)


WORDS = ("train", "task=bidirectional_text", "task.root=text.txt", "cell=lstm", *SMALL)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("topology=chain",), "take topology=bichain"),
        (("net.apart=false",), "net.apart=false, with which layers see both directions"),
        (("net.before=gcn",), "net.before or net.after, which see neighbours"),
        (("readout=every",), "take readout=directions"),
        (("task.max_length=0",), "option 'max_length' is at least 1, got 0"),
        (("task.root=blank.txt",), "is empty: there is no text to learn from"),
        (("task.root=latin.txt",), "latin.txt is not text in UTF-8: byte 0xe9 at offset 3"),
    ],
)
def test_what_does_not_fit_is_refused(place, words, message):
    (place / "blank.txt").write_text("\n \n")
    (place / "latin.txt").write_bytes("abcé\n".encode("latin-1"))
    given = [word for word in WORDS if word.partition("=")[0] not in map(key_of, words)]
    topology = [] if words[0].startswith("topology") else ["topology=bichain"]
    assert message in refused(*given, *topology, *words, "trainer.max_epochs=1", "run=new")
    assert not list(Path("new").rglob("*.safetensors"))


def key_of(word):
    return word.partition("=")[0]


# Vectors


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lm")
    (folder / "text.txt").write_text("".join(TEXT * 4))
    words = [word.replace("text.txt", str(folder / "text.txt")) for word in WORDS]
    # The topology is the one that the task takes.
    result = call(*words, "net.num_layers=2", "trainer.max_epochs=1", f"run={folder / 'run'}")
    assert result.status == 0, result.err
    assert "topology=bichain" in result.out
    return folder / "run"


def embed(run, *words):
    result = call("embed", f"run={run}", *words, "out=v.npz")
    assert result.status == 0, result.err
    return result.out, dict(np.load("v.npz", allow_pickle=False))


def test_vectors_are_the_net_s_states_at_every_word(run, place):
    (place / "in.txt").write_text("the cat ran\r\n\n  \nunheard-of dog\n")
    out, found = embed(run, "file=in.txt", "layers=all")
    assert found["tokens"].tolist() == ["the", "cat", "ran", "unheard-of", "dog"]
    assert found["ptr"].tolist() == [0, 3, 5] and found["lines"].tolist() == [1, 4]
    assert "tokens that the net does not know: 1" in out and "5 tokens, 3 x 8 numbers" in out
    one = opened(run)
    net = one.load_net()
    expected = []
    for words in (["the", "cat", "ran"], ["unheard-of", "dog"]):
        words = ["<eos>", *words, "<eos>"]
        x = one.task.vocabulary.tokens([(word,) for word in words])
        batch = sn.collate([sn.Sample(len(words), x, 0)], BOTH)
        expected.append(torch.stack(net.layer_states(batch), 1)[1:-1].detach())
    assert_same(torch.from_numpy(found["vectors"]), torch.cat(expected), 1e-6)
    _, mean = embed(run, "text=the cat ran", "text=unheard-of dog")
    assert_same(torch.from_numpy(mean["vectors"]), torch.cat(expected).mean(1), 1e-6)
    out, some = embed(run, "file=in.txt", "layers=0,1,3")
    assert "layers, from the input up: 0.000, 0.250, 0.750" in out
    shares = torch.tensor([0, 0.25, 0.75])
    wanted = (shares[:, None] * torch.cat(expected)).sum(1)
    assert_same(torch.from_numpy(some["vectors"]), wanted, 1e-6)


def test_texts_are_read_in_their_order_whatever_batches_they_are_in(run, place):
    lines = [" ".join(["cat"] * n) for n in (3, 1, 40, 2, 600)]
    (place / "in.txt").write_text("\n".join(lines))
    _, found = embed(run, "file=in.txt")
    assert np.diff(found["ptr"]).tolist() == [3, 1, 40, 2, 600]
    _, alone = embed(run, f"text={lines[3]}")
    np.testing.assert_allclose(found["vectors"][44:46], alone["vectors"], atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("file=in.txt", "out=folder"), "out=folder is a folder: name a file, as in out=folder/v"),
        (("file=in.txt", "out=v.txt"), "out=v.txt: vectors are written to a file .npz"),
        (("file=in.txt", "out=no/v.npz"), "out=no/v.npz: there is no folder no"),
        (("file=in.txt", "out=v.npz", "layers=1,2"), "one weight for each of the 3 layers"),
        (("file=in.txt", "out=v.npz", "layers=0,0"), "layers is all, or a weight from 0 on"),
        (("file=in.txt", "out=v.npz", "layers=1,-1,1"), "layers is all, or a weight from 0 on"),
        (("file=in.txt", "out=v.npz", "layers=1e308,1e308,1e308"), "the sum of layers= must be"),
        (("file=in.txt", "out=v.npz", "layers=some"), "got 'some'"),
        (("out=v.npz",), "give sentences: file=FILE, or text=TEXT"),
        (("file=in.txt", "text=a", "out=v.npz"), "text= and file= are both given"),
        (("file=blank.txt", "out=v.npz"), "blank.txt has no sentences: all lines are blank"),
        (("file=nowhere.txt", "out=v.npz"), "no file nowhere.txt"),
        (("file=latin.txt", "out=v.npz"), "byte 0xe9 at offset 3"),
        (("text= ", "out=v.npz"), "text, line 1: ' ' has no tokens"),
        (("file=in.txt",), "out=... is missing"),
    ],
)
def test_vectors_that_can_not_be_made_are_refused_and_nothing_is_written(
    run, place, words, message
):
    (place / "folder").mkdir()
    (place / "in.txt").write_text("a b\n")
    (place / "blank.txt").write_text(" \n\n")
    (place / "latin.txt").write_bytes("abcé\n".encode("latin-1"))
    assert message in refused("embed", f"run={run}", *words)
    assert not list(place.rglob("*v.npz"))


def test_runs_without_states_of_words_are_refused(place):
    message = refused("embed", f"run={trained()}", "text=a", "out=v.npz")
    assert "which does not read texts" in message
    assert "no run in nowhere" in refused("embed", "run=nowhere", "text=a", "out=v.npz")


@pytest.mark.slow
def test_other_runs_over_words_have_vectors_too(place):
    words = ("train", "task=words", "task.root=text.txt", "task.window=5", "topology=chain")
    status, _, err = call(*words, "cell=gru", *SMALL, "trainer.max_epochs=1", "run=words")
    assert status == 0, err
    _, found = embed("words", "text=the dog ran", "layers=all")
    assert found["vectors"].shape == (3, 2, 4)
    config = json.loads(Path("words", "config.json").read_text())
    assert config["config"]["net"]["embeddings"] is None and "embedded" not in config
    message = refused("score", f"run={place / 'words'}")
    assert "give sentences" in message


def test_it_predicts_no_text(run):
    assert "which predicts no text" in refused("score", f"run={run}", "text=the cat")
    assert "does not read texts" in refused("predict", f"run={run}", "text=the cat")
