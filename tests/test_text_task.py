"""Language models as tasks: text and words, their measures, and what they refuse."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMALL, call, refused

import structnet as sn
from structnet.plugins.sequence.language.measures import figures, measured
from structnet.plugins.sequence.language.sampling import sampled, share_of

CHAIN = sn.topologies.create("chain")
LINES = [f"{a} {b} the {c} sat .\n" for a in ("One", "Two") for b in "xyz" for c in ("cat", "dog")]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(LINES * 9))
    return path


def loaded(name="text", **options):
    task = sn.tasks.create(name, **options)
    return task, task.keep(task.load(CHAIN))


def test_every_token_is_told_from_those_before_it(file):
    task, splits = loaded(root=str(file), window=20)
    # After the first twentieth, up to the word that it would end in, which is held out.
    text = file.read_text()
    text = text[text.rindex(" ", 0, round(len(text) / 20)) + 1 :]
    x = np.concatenate([one.x.ids for one in splits["train"]])
    y = np.concatenate([one.y for one in splits["train"]])
    assert task.decode(x) == text[: len(x)] and task.decode(y) == text[1 : len(x) + 1]
    assert task.num_outputs == len(task.classes) == 1 + len({*file.read_text()})
    assert task.encode("cat?").tolist()[-1] == 0
    assert [*task.vocabulary.counts.values()] == sorted(task.vocabulary.counts.values())[::-1]


def test_words_end_their_lines_and_rare_ones_are_unknown(tmp_path):
    (tmp_path / "train.txt").write_text(" a b \n\n b <unk> c \n")
    for name in ("valid", "test"):
        (tmp_path / f"{name}.txt").write_text("c b d\n")
    task, _ = loaded("words", root=str(tmp_path), window=3, min_count=2)
    assert task.classes == ("<unk>", "<eos>", "b")
    assert task.loaded.source["train"].tolist() == [0, 2, 1, 1, 2, 0, 0, 1]
    assert task.decode([2, 1, 1, 2, 0]) == "b\n\nb <unk>"
    assert task.encode("b b\nc").tolist() == [2, 2, 1, 0]
    limited, _ = loaded("words", root=str(tmp_path), window=3, vocabulary_size=1)
    assert limited.classes == ("<unk>", "<eos>")


def test_a_vocabulary_that_is_given_is_taken(tmp_path, file):
    given = tmp_path / "known.tsv"
    given.write_text("cat\n<unk>\n<eos>\nnever\n")
    task, _ = loaded("words", root=str(file), window=3, vocabulary_file=str(given))
    assert task.classes == ("<unk>", "cat", "<eos>", "never")
    assert task.vocabulary.counts["never"] == 0 < task.vocabulary.counts["cat"]
    given.write_text("cat\ncat\n")
    with pytest.raises(ValueError, match=r"known\.tsv, line 2: 'cat', expected a word"):
        loaded("words", root=str(file), vocabulary_file=str(given))


def test_a_vocabulary_without_words_is_refused(tmp_path, file):
    with pytest.raises(ValueError, match="no word occurs 999 times in the training split"):
        loaded("words", root=str(file), window=3, min_count=999)
    (tmp_path / "known.txt").write_text("<unk>\n\n")
    with pytest.raises(ValueError, match=r"known\.txt has no words: give one per line"):
        loaded("words", root=str(file), vocabulary_file=str(tmp_path / "known.txt"))


def test_a_test_split_of_blank_lines_has_figures(tmp_path):
    (tmp_path / "blank.txt").write_text("".join(LINES) + "\n" * 99)
    task, splits = loaded("words", root=str(tmp_path / "blank.txt"), window=3, ngram=2)
    assert {*splits.source["test"].tolist()} == {task.vocabulary["<eos>"]}
    for found in task.baselines().values():
        assert found["characters"] == 0 and math.isfinite(found["bits_per_character"])


def test_sub_words_are_kept_and_split_the_same_again(file):
    task, splits = loaded(root=str(file), tokens="subwords", vocabulary_size=270, window=9)
    again = sn.tasks.create("text", root=str(file), tokens="subwords", window=9)
    again.know(task.vocabulary, json.loads(json.dumps({"merges": task.merges})))
    other = again.keep(again.load(CHAIN))
    for split in splits:
        assert other.source[split].tolist() == splits.source[split].tolist()
    assert task.num_outputs == 271 and not (splits.source["test"] == 0).any()
    text = file.read_text()
    assert again.decode(again.encode(text)) == text and again.encode("ü").all()


def test_characters_that_training_never_saw_are_counted_and_named(file):
    file.write_text(file.read_text() + "\u00e9\u00df" * 9)
    with pytest.warns(sn.DataWarning, match=r"18 of \d+ characters of the test split.*'é' 'ß'"):
        task, splits = loaded(root=str(file))
    assert (splits.source["test"] == 0).sum() == 18
    # Each of them counts once.
    metrics = task.metrics()
    for batch in task.loader(splits["test"], CHAIN):
        scores = torch.zeros(batch.num_nodes, task.num_outputs)
        for metric, given in task.measured(scores, batch).items():
            metrics[metric].update(*given)
    assert metrics["characters"].compute() == len(splits.source["test"]) - 1
    bits = metrics["bits_per_character"].compute().item()
    assert bits == pytest.approx(math.log2(task.num_outputs), rel=1e-6)


# Measures


def test_measures_are_those_of_the_whole_text(file):
    task, splits = loaded("words", root=str(file), window=7)
    torch.manual_seed(0)
    net = build(task)
    metrics = task.metrics()
    nats, states = [], None
    for batch in task.loader(splits["test"], CHAIN, batch_nodes=14):
        assert batch.num_samples == 1
        output, states = net.carry(batch, states)
        nats += torch.nn.functional.cross_entropy(output, batch.y, reduction="none").tolist()
        for name, given in task.measured(output, batch).items():
            metrics[name].update(*given)
    found = {name: metric.compute().item() for name, metric in metrics.items()}
    text = task.decode(splits.source["test"][1:])
    assert found == pytest.approx({
        "nats_per_word": np.mean(nats),
        "perplexity": math.exp(np.mean(nats)),
        "bits_per_character": sum(nats) / math.log(2) / len(text),
        "words": len(splits.source["test"]) - 1,
        "characters": len(text),
    }, rel=1e-6)  # fmt: skip


def build(task, **options):
    sizes = sn.Sizes(task.vocabulary, None, task.num_outputs)
    given = {"hidden_size": 6, "embedding_size": 5, "dropout": 0.0, **options}
    return sn.nets.create("stack", sizes, CHAIN, "lstm", "every", **given).eval()


def test_scores_that_are_computed_as_asked_for_measure_the_same():
    class Lazy:
        def __init__(self, scores):
            self.scores = scores

        def __getitem__(self, rows):
            return Lazy(self.scores[rows])

        def cross_entropy(self, y):
            return torch.nn.functional.cross_entropy(self.scores, y, reduction="none")

    scores, y = torch.randn(5, 4), torch.tensor([0, sn.IGNORE, 3, 1, sn.IGNORE])
    written = torch.tensor([1, 2, 3, 4])
    plain = measured(scores, y, "word", written)
    for name, (nats, weight) in measured(Lazy(scores), y, "word", written).items():
        assert torch.equal(nats, plain[name][0]) and torch.equal(weight, plain[name][1])
    assert plain["characters"][1].tolist() == [1, 4, 2] and len(plain["words"][1]) == 3


def test_a_net_that_is_lost_has_a_finite_perplexity():
    assert math.isfinite(figures("word", 1e9, 10, 50)["perplexity"])


def test_baselines_are_beside_the_net_in_the_same_measures(file):
    task, splits = loaded(root=str(file), ngram=3)
    found = task.baselines()
    assert [*found] == ["unigram", "3-gram"]
    assert all([*one] == [*task.metrics()] for one in found.values())
    train, test = splits.source["train"], splits.source["test"]
    share = np.bincount(train) / len(train)
    assert found["unigram"]["nats_per_character"] == pytest.approx(
        -np.log(share[test[1:]]).mean(), abs=0.01
    )
    assert found["3-gram"]["perplexity"] < found["unigram"]["perplexity"]
    assert found["3-gram"]["characters"] == len(test) - 1


# Scheduled sampling


def test_the_share_of_drawn_inputs_grows_by_its_schedule():
    assert share_of("none", 0.5, 0.9) == 0
    for schedule in ("linear", "exponential", "sigmoid"):
        shares = [share_of(schedule, 0.5, done) for done in np.linspace(0, 1, 21)]
        assert shares == sorted(shares) and shares[0] < 0.01 and abs(shares[-1] - 0.5) < 0.01
        assert share_of(schedule, 1.0, 1.0) > 0.98 and share_of(schedule, 0.5, 1.1) <= 0.5
    assert share_of("linear", 0.5, 0.5) == share_of("sigmoid", 0.5, 0.5) == 0.25


def test_drawn_inputs_are_the_net_s_own_predictions_after_those_before(file):
    task, splits = loaded(root=str(file), window=6)
    net = build(task).train()
    first, batch = [*task.loader(splits["train"], CHAIN, batch_size=3)][:2]
    with torch.no_grad():
        _, states = net.carry(first)
    # After token a always b follows, and so on: the next prediction tells what was read.
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.fill_(-50).index_fill_(0, torch.tensor([4]), 50.0)
    torch.manual_seed(0)
    mixed = sampled(net, batch, 1.0, states)
    rows = mixed.x.ids.view(3, -1)
    assert torch.equal(rows[:, 0], batch.x.ids.view(3, -1)[:, 0]) and (rows[:, 1:] == 4).all()
    assert torch.equal(mixed.y, batch.y) and net.training
    none = sampled(net, batch, 0.0, states)
    assert torch.equal(none.x.ids, batch.x.ids)
    half = sampled(net, batch, 0.5, states).x.ids.view(3, -1)[:, 1:]
    drawn = (half == 4).float().mean()
    assert 0.2 < drawn < 0.9


def test_a_net_that_is_not_fed_step_by_step_draws_nothing(file):
    task, splits = loaded(root=str(file), scheduled="linear")
    (batch, *_) = task.loader(splits["train"], CHAIN)
    assert task.prepare(torch.nn.Identity(), batch, None, 0.0) is batch
    with pytest.raises(ValueError, match="Identity has no method `stepper`: take net=stack"):
        task.prepare(torch.nn.Identity(), batch, None, 0.5)


def test_a_draw_goes_on_from_the_states_of_the_batch_before(file):
    task, splits = loaded(root=str(file), window=6)
    torch.manual_seed(1)
    net = build(task, hidden_size=30)
    with torch.no_grad():
        net.head.weight.mul_(1e4)
        first, batch = [*task.loader(splits["train"], CHAIN, batch_size=3)][:2]
        _, states = net.carry(first)
        ids = sampled(net, batch, 1.0, states).x.ids
        output, _ = net.carry(sampled(net, batch, 0.0), states)
    # With scores this large, a draw is the most probable token.
    best = output.view(3, -1, task.num_outputs)[:, 0].argmax(1)
    assert torch.equal(ids.view(3, -1)[:, 1], best)


# Commands


WORDS = ("train", "task=text", "cell=lstm", *SMALL, "trainer.max_epochs=2")


@pytest.mark.slow
def test_a_run_that_stops_within_an_epoch_ends_with_the_same_bits(file, tmp_path, monkeypatch):
    from structnet.training.module import Module

    monkeypatch.chdir(tmp_path)
    # States, lengths of windows and draws are those of the run that was not stopped.
    words = (*WORDS, "topology=chain", f"task.root={file}", "task.window=15", "net.dropout=0.3",
             "task.scheduled=linear", "trainer.batch_size=4", "trainer.save_steps=3")  # fmt: skip
    assert call(*words, "run=straight").status == 0
    step = Module.training_step

    def stopped(self, batch, index):
        if self.trainer.global_step == 9:
            raise ChildProcessError("killed")
        return step(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(Module, "training_step", stopped)
        assert call(*words, "run=stopped").status == 2
    result = call("train", "resume=stopped")
    assert result.status == 0, result.err
    one, other = (
        json.loads(Path(run, "metrics.json").read_text()) for run in ("straight", "stopped")
    )
    assert one["test"] == other["test"] and one["validation"] == other["validation"]
    assert [*one["test"]] == [
        "nats_per_character",
        "perplexity",
        "bits_per_character",
        "characters",
    ]
    assert one["train"]["steps"] > 9
    # The saved run measures the same.
    result = call("test", "run=straight")
    assert f"{one['test']['perplexity']:.4f}" in result.out


def test_sliding_windows_are_trained_on(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*WORDS, "topology=chain", f"task.root={file}", "task.windows=sliding",
                  "task.window=4", "task.limit=400", "run=run")  # fmt: skip
    assert result.status == 0, result.err
    metrics = json.loads(Path("run", "metrics.json").read_text())
    assert metrics["test"]["characters"] == 39 == metrics["baselines"]["unigram"]["characters"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("task.root=nowhere.txt",), "no file or folder nowhere.txt"),
        (("task.corpus=nothing",), "no corpus 'nothing'"),
        (
            ("task.window=5000", "task.root=FILE"),
            "a window of 5000 steps is longer than the training",
        ),
        (("task.limit=9", "task.root=FILE"), "characters, 2 at least are needed: give more text"),
        (("task.window=0",), "option 'window' is at least 1, got 0"),
        (("task.drawn=2",), "option 'drawn' is from 0 to 1, got 2"),
        (("task.drawn=0.5",), "task.scheduled=none draws none: set task.scheduled=linear"),
        (("task.windows=sliding", "task.scheduled=linear"), "take task.windows=streams"),
        (("topology=bichain",), "such as topology=chain"),
        (("task.tokens=words",), 'is "characters" or "subwords"'),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(words, message, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [word.replace("FILE", str(file)) for word in words]
    if "topology=bichain" not in words:
        given.append("topology=chain")
    assert message in refused(*WORDS, *given, "run=new").replace("\n", " ")
    assert not [path for path in Path("new").rglob("*") if path.suffix == ".safetensors"]


@pytest.mark.parametrize("head", ["adaptive", "sampled"])
def test_heads_for_many_words_are_built_when_the_words_are_known(head, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"adaptive": ["head.cutoffs=4,8", "head.shrink=2"], "sampled": ["head.samples=5"]}
    words = ("train", "task=words", "topology=chain", "cell=lstm", f"head={head}", *options[head])
    result = call(*words, *SMALL, f"task.root={file}", "trainer.max_epochs=1", "run=run")
    assert result.status == 0, result.err
    metrics = json.loads(Path("run", "metrics.json").read_text())
    assert 0 < metrics["test"]["nats_per_word"] < 5
    assert call("test", "run=run").status == 0
