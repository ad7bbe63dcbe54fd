"""Translation of sentences, and expressions from their syntax trees."""

import ast
import json
import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import _kept, call, opened, refused, write_code
from PIL import Image

import structnet as sn
from structnet.plugins.sequence.translation.baselines import fit_translations, word_by_word
from structnet.plugins.sequence.translation.parallel import Pair
from structnet.plugins.sequence.translation.picture import _by_words, alignments
from structnet.plugins.sequence.translation.scores import scores, signatures
from structnet.plugins.sequence.translation.syntax import (
    CLOSE,
    Tree,
    find_expressions,
    parse_expression,
    tree_of,
)

CHAIN = sn.topologies.create("chain")
WORDS = {"a": "ein", "dog": "Hund", "cat": "Katze", "sees": "sieht", "and": "und"}
SMALL = ("net=seq2seq", "cell=gru", "net.hidden_size=24", "net.embedding_size=12", "net.dropout=0",
         "trainer.num_workers=0", "trainer.accelerator=cpu", "trainer.batch_size=16",
         "trainer.learning_rate=0.01", "trainer.schedule=constant",
         "trainer.illustrate=null")  # fmt: skip


def write_pairs(folder, counts=(320, 12, 12), languages=("de", "en")):
    """Sentences whose words are translated one by one."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    for name, count in zip(("train", "val", "test"), counts, strict=True):
        texts = [[draw.choice([*WORDS]) for _ in range(draw.randint(1, 3))] for _ in range(count)]
        english = "".join(f"{' '.join(words)} .\n" for words in texts)
        german = "".join(f"{' '.join(WORDS[word] for word in words)} .\n" for words in texts)
        for language, text in zip(languages, (german, english), strict=True):
            (folder / f"{name}.{language}").write_text(text)
    return folder


@cache
def translating():
    """A run on such sentences that no test writes to."""
    folder = write_pairs(_kept() / "pairs")
    words = ("train", "task=translation", f"task.root={folder}", "task.subwords=330",
             "task.beam=3", "topology=bichain", *SMALL, "trainer.max_epochs=16",
             "trainer.illustrate=8", f"run={_kept() / 'translating'}")  # fmt: skip
    status, out, err = call(*words)
    assert status == 0, err
    assert "nrefs:1|case:mixed" in out
    return _kept() / "translating"


# Pairs of sentences


def loaded(folder, **options):
    task = sn.tasks.create("translation", root=str(folder), subwords=280, **options)
    return task, task.keep(task.load(CHAIN))


def test_samples_are_the_sub_words_of_a_sentence_and_of_its_translation(tmp_path):
    task, splits = loaded(write_pairs(tmp_path))
    pairs = splits.source
    assert {split: len(some) for split, some in splits.items()} == {
        "train": 320, "validation": 12, "test": 12
    }  # fmt: skip
    for pair, one in zip(pairs["test"], splits["test"], strict=True):
        source = [piece for (piece,) in task.vocabulary.words(one.x)]
        (target,) = one.parts
        assert task.coders[0].join(source).strip() == pair.source == one.origin.text
        assert task.join([task.classes[i] for i in target.y[:-1]]) == pair.target
        assert task.classes[target.y[-1]] == "<eos>" and (target.y[:-1] > 2).all()
        assert "".join(word for word, _ in task.source_words(one)) == pair.source.replace(" ", "")
        assert sum(count for _, count in task.source_words(one)) == one.structure
    assert task.longest == max(len(one.parts[0].y) - 1 for one in splits["train"])
    # Whatever is written can be read.
    odd = task.read_text(sn.Origin("text", 1, "ein \u732b\u00df"), CHAIN)
    assert task.coders[0].join(p for (p,) in task.vocabulary.words(odd.x)) == " ein \u732b\u00df"


def test_two_files_of_ones_own_are_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(Path("pairs"), counts=(40, 1, 1))
    files = {"source": "pairs/train.en", "target": "pairs/train.de"}
    task = sn.tasks.create("translation", subwords=280, **files)
    splits = task.load(CHAIN)
    assert [len(splits[split]) for split in ("train", "validation", "test")] == [32, 4, 4]
    lines = {one.origin.line for some in splits.values() for one in some}
    assert lines == set(range(1, 41))


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_pairs(tmp_path / "pairs", counts=(20, 3, 3))


def change(path, edit):
    lines = path.read_text().splitlines()
    path.write_text("".join(f"{line}\n" for line in edit(lines)))


def test_files_that_do_not_fit_are_named(pairs):
    def refusal(**options):
        task = sn.tasks.create("translation", **{"root": str(pairs), "subwords": 280} | options)
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            task.load(CHAIN)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    change(pairs / "train.en", lambda lines: lines[:-1])
    said = refusal()
    assert "train.de has 20 lines" in said and "train.en 19: line 20 of" in said
    assert "has no translation" in said
    write_pairs(pairs, counts=(20, 3, 3))
    (pairs / "val.de").write_bytes(b"ein\xff\n\n\n")
    assert "val.de is not text in UTF-8: byte 0xff at offset 3" in refusal()
    (pairs / "val.de").write_text("\n\n\n")
    assert "have no line with a sentence in both" in refusal()
    (pairs / "val.de").unlink()
    assert "no valid.de in" in refusal()
    assert "no file nowhere" in refusal(source="nowhere", target="pairs/test.en")
    for language in ("de", "en"):
        change(pairs / f"test.{language}", lambda lines: lines[:2])
    few = {"source": "pairs/test.de", "target": "pairs/test.en"}
    assert "has 2 sentences with a translation" in refusal(**few)
    with pytest.raises(ValueError, match="'subwords' must be more than 256, got 9"):
        sn.tasks.create("translation", subwords=9)


def test_blank_and_long_lines_are_left_out_and_counted(pairs):
    change(pairs / "train.de", lambda lines: ["", *lines[1:4], " ", *lines[5:]])
    change(pairs / "train.en", lambda lines: [*lines[:9], "dog " * 60, *lines[10:]])
    with pytest.warns(sn.DataWarning) as caught:
        _, splits = loaded(pairs, most_tokens=50)
    said = [str(one.message) for one in caught]
    assert any("left out 2 lines, 1, 5 of" in one and "blank in one" in one for one in said)
    assert any("1 of 18 training pairs have more than 50 sub-words" in one for one in said)
    assert any("train.de, line 10 is the first" in one for one in said)
    assert len(splits["train"]) == 17
    with pytest.warns(sn.DataWarning), pytest.raises(ValueError, match="no pair is left"):
        loaded(pairs, most_tokens=1)


# Scores


def test_scores_are_sacrebleus_and_those_of_the_whole_corpus():
    from sacrebleu import corpus_bleu, corpus_chrf

    from structnet.plugins.sequence.translation.scores import metrics

    texts = ["the cat sat on the mat .", "a dog", "there is nothing here"]
    true = ["the cat sat on a mat .", "a small dog", "there is nothing here at all"]
    expected = {
        "bleu": corpus_bleu(texts, [true]).score, "chrf": corpus_chrf(texts, [true]).score
    }  # fmt: skip
    assert scores(texts, true) == pytest.approx(expected)
    made = metrics()
    for metric in made.values():
        for _ in range(2):
            metric.reset()
            metric.update(texts[:1], true[:1])
            metric.update(texts[1:], true[1:])
    assert {name: float(one.compute()) for name, one in made.items()} == pytest.approx(expected)
    assert "bleu nrefs:1|case:mixed|" in signatures() and "chrf nrefs:1" in signatures()


def test_baselines_know_the_training_pairs_alone():
    words = ["a b", "b c", "c a", "a", "b"]
    train = [Pair(text, text.upper(), sn.Origin("file", 1, text)) for text in words]
    assert word_by_word(train, ["c b a", "z a"]) == ["C B A", "z A"]
    test = [Pair("b c", "B C", train[0].origin)]
    found = fit_translations(train, test)
    assert [*found] == ["source as it is", "word by word", "nearest sentence"]
    assert found["word by word"]["chrf"] == found["nearest sentence"]["chrf"] == 100
    assert found["source as it is"]["chrf"] < 1


# Commands


@pytest.mark.slow
def test_what_is_written_is_measured_by_beam_search():
    run = opened(translating())
    net, task = run.load_net(), run.task
    splits = task.keep(task.load(run.topology))
    metrics = json.loads((translating() / "metrics.json").read_text())
    said, true = [], []
    for batch in task.loader(splits["test"], run.topology, batch_size=5):
        written, references = task.free_running(net, batch, quick=False)["bleu"]
        said, true = said + written, true + references
    assert sorted(true) == sorted(pair.target for pair in splits.source["test"])
    assert metrics["test"]["bleu"] == pytest.approx(scores(said, true)["bleu"], abs=1e-3)
    assert metrics["test"]["bleu"] > metrics["baselines"]["source as it is"]["bleu"]
    assert metrics["test"]["exact"] > 0.2
    assert set(metrics["test"]) >= {"bleu", "chrf", "exact", "accuracy", "nats_per_token"}


@pytest.mark.slow
def test_greedy_texts_are_right_where_exact_says_so():
    run = opened(translating())
    net, task = run.load_net(), run.task
    splits = task.keep(task.load(run.topology))
    batch = sn.collate(splits["test"], run.topology)
    with torch.inference_mode():
        right = task.measured(net(batch), batch)["exact"][0].tolist()
        written = [task.text(best) for best, *_ in task.write(net, batch, 1)]
    pairs = splits.source["test"]
    assert right == [text == pair.target for text, pair in zip(written, pairs, strict=True)]
    assert any(right)


@pytest.mark.slow
def test_translate_prints_what_predict_answers_and_more(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = f"run={translating()}"
    status, out, err = call("translate", run, "text=ein Hund .", "text=Katze und Vogel .")
    assert (status, err) == (0, "") and len(out.splitlines()) == 2
    answers = json.loads(call("predict", run, "text=ein Hund .", "--json").out)
    assert answers[0]["class"] == out.splitlines()[0]
    Path("in.txt").write_text("ein Hund .\n\nKatze und Vogel .\n")
    status, written, _ = call("translate", run, "file=in.txt", "out=out.txt")
    assert status == 0 and "written: out.txt (3)" in written
    first, second = out.splitlines()
    assert Path("out.txt").read_text() == f"{first}\n\n{second}\n"
    found = json.loads(call("translate", run, "text=ein Hund .", "n=3", "--json").out)
    (one,) = found
    values = [each["score"] for each in one["written"]]
    assert len(values) == 3 and values == sorted(values, reverse=True)
    assert one["written"][0]["text"] == first
    greedy = call("translate", run, "text=ein Hund .", "beam=1", "penalty=0").out
    assert greedy.strip()
    rows = call("translate", run, "text=ein Hund .", "n=2").out.splitlines()
    assert len(rows) == 2 and rows[0].endswith(first)


@pytest.mark.slow
def test_attention_is_drawn_with_words_on_both_axes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = f"run={translating()}"
    status, out, err = call("translate", run, "text=ein Hund sieht .", "attention=seen.png")
    assert (status, err) == (0, "") and "picture: seen.png" in out
    with Image.open("seen.png") as picture:
        assert picture.width > 300 and len(picture.convert("L").getcolors(1 << 16)) > 10
    assert list((translating() / "samples").glob("attention-1-*.png"))
    opened_run = opened(translating())
    net, task = opened_run.load_net(), opened_run.task
    sample = task.read_text(sn.Origin("text", 1, "ein Hund sieht ."), opened_run.topology)
    pieces = task.coders[1].split(" a dog sees .")
    (drawn,) = alignments(task, net, opened_run.topology, [sample], [pieces])
    assert drawn.source == ["ein", "Hund", "sieht", "."]
    assert drawn.target == ["a", "dog", "sees", ".", "<eos>"]
    assert drawn.weights.sum(1) == pytest.approx(np.ones(5), abs=1e-5)


def test_weights_of_words_are_sums_over_nodes_and_means_over_tokens():
    weights = np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0.0, 0.0, 1.0]])
    found = _by_words([("x", 1), ("yz", 2)], [("ab", 2), ("c", 1)], weights)
    assert found.weights.tolist() == pytest.approx(np.array([[0.3, 0.7], [0.0, 1.0]]))


@pytest.mark.slow
def test_mistakes_of_translate_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = f"run={translating()}"
    Path("blank.txt").write_text("\n \n")
    refusals = {
        (): "give texts to translate: text=TEXT",
        ("text=a", "file=blank.txt"): "text= and file= are both given",
        ("file=blank.txt",): "blank.txt has no texts",
        ("text= ",): "text, line 1: an empty text",
        ("text=a", "n=4"): "n=4 texts are the best of at least as many beams, got beam=3",
        ("text=a", "n=2", "out=o.txt"): "out=o.txt has one line per text",
        ("text=a", "out=no/file"): "no folder",
        ("text=a", "out=."): "is a folder: name a file",
        ("text=a\udc80",): "text, line 1: the text has half of a surrogate pair",
        ("text=a", "beam=0"): "beam must be a whole number, at least 1",
        ("text=a", "penalty=x"): "penalty must be a number, at least 0, got 'x'",
        ("text=a", "text=b", "attention=a.png"): "attention= is a picture of one text",
        ("text=a", "attention=a.svg"): "attention must be a .png file",
        ("text=a", "bean=2"): "did you mean 'beam'",
    }
    for words, message in refusals.items():
        assert message in refused("translate", run, *words), words
    assert sorted(Path.cwd().iterdir()) == [Path.cwd() / "blank.txt"]


def test_a_damaged_vocabulary_is_named(tmp_path):
    task, _ = loaded(write_pairs(tmp_path))
    classes = list(task.classes)
    learned = {"source_merges": task.source_merges, "target_merges": task.target_merges}
    other = sn.tasks.create("translation", subwords=280)
    with pytest.raises(ValueError, match=r"sub-word 'zebra' of the net's vocabulary is none"):
        other.know(task.vocabulary, {"classes": [*classes, "zebra"], **learned})
    with pytest.raises(ValueError, match="must begin with"):
        other.know(task.vocabulary, {"classes": classes[1:]})
    with pytest.raises(ValueError, match="'longest' must be a number of tokens, got 0"):
        other.know(None, {"longest": 0})


# Expressions

TEXTS = [
    "f(a, b=1, *c, **d)", "a.b[c:d]", "x if y else z", "not a < b <= c", "lambda x, *, y=2: x",
    "{1: a, **b}", "[i for i in a if i]", "f'{a!r:>{n}} b'", "(a - b) - c", "-2 ** x", "a @ b",
    "{'x', None, ...}", "b'\\xff' + ''", "(yield)", "a[1:, ::2]", "x := 3",
]  # fmt: skip


def split_all(text):
    return list(text)


@pytest.mark.parametrize("text", TEXTS)
def test_a_tree_has_all_of_an_expression_but_its_layout(text):
    node = parse_expression(f"({text})")
    tree = tree_of(node, split_all)
    assert tree.parent[0] == -1 and (tree.parent[1:] < np.arange(1, len(tree.words))).all()
    # Different expressions have different trees, and different sequences.
    others = {tuple(tree_of(parse_expression(f"({one})"), split_all).sequence) for one in TEXTS}
    assert len(others) == len(TEXTS)
    unparsed = tree_of(ast.parse(ast.unparse(node), mode="eval").body, split_all)
    assert unparsed.words == tree.words and unparsed.sequence == tree.sequence


def test_a_sequence_closes_every_node_that_has_children():
    tree = Tree(["a", "b", "c", "d", "e"], np.array([-1, 0, 1, 1, 0]))
    assert " ".join(tree.sequence) == f"a b c d {CLOSE} e {CLOSE}"
    assert Tree(["a"], np.array([-1])).sequence == ["a"]


def test_grouping_is_in_the_tree():
    words = {tuple(tree_of(parse_expression(text), split_all).sequence)
             for text in ("a - b - c", "a - (b - c)", "(a - b) - c")}  # fmt: skip
    assert len(words) == 2


def test_expressions_of_a_file_are_the_outermost_on_a_line(tmp_path):
    file = tmp_path / "some.py"
    file.write_text(
        "'''doc'''\nx = f(a)  +  1\ny.z[0] = [i for i in\n  x]\n"
        "if  not  (a<b): print('\u00e9',  a.b.c)\n"
        "@g(1)\ndef h(q=k(2)): return lambda: p(3)\nname\na.b.c\n",
        encoding="utf-8",
    )
    found = sorted((one.line, one.text) for one in find_expressions(file))
    assert found == [
        (2, "f(a)  +  1"), (5, "not  (a<b)"), (5, "print('\u00e9',  a.b.c)"), (6, "g(1)"),
        (7, "k(2)"), (7, "lambda: p(3)"),
    ]  # fmt: skip


@cache
def code():
    return write_code(_kept() / "expressions", files=12, lines=25)


TOPOLOGIES = {
    "tree": {}, "any": {"arity": None}, "both": {"direction": "both"}, "bichain": {}, "graph": {}
}  # fmt: skip


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_topology_reads_the_same_expressions(name):
    on = sn.topologies.create(name if name in ("bichain", "graph") else "tree", **TOPOLOGIES[name])
    task = sn.tasks.create("expressions", root=str(code()), subwords=300, limit=60, min_count=1)
    splits = task.keep(task.load(on))
    texts = {split: [one.text for one in some] for split, some in splits.source.items()}
    assert len(texts["train"]) == 60 and len(texts["test"]) <= 6
    assert not set(texts["train"]) & set(texts["test"])
    for text, one in zip(texts["train"], splits["train"], strict=True):
        (target,) = one.parts
        assert task.join([task.classes[i] for i in target.y[:-1]]) == text
        assert target.y.min() > 0 and one.x.ids.min() > 0
        assert task.kinds[one.kind] == task.kinds[(len(target.y) - 2) // 10]
    batch = sn.collate(splits["test"], on)
    assert batch.num_nodes == sum(one.num_nodes for one in splits["test"])
    figures = task.baselines()["ast.unparse"]
    expected = [ast.unparse(one.node) == one.text for one in splits.source["test"]]
    assert figures["exact"] == pytest.approx(np.mean(expected))


@pytest.mark.slow
def test_expressions_are_trained_translated_and_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("task=expressions", "task.subwords=300", *SMALL)
    status, _, err = call(
        "train", *words, f"task.root={code()}", "topology=tree", "trainer.max_epochs=2", "run=run"
    )  # fmt: skip
    assert status == 0, err
    metrics = json.loads(Path("run/metrics.json").read_text())
    assert 0 <= metrics["test"]["exact"] <= 1 and metrics["baselines"]["ast.unparse"]["exact"] > 0.5
    status, out, err = call("translate", "run=run", "text=width  -  3", "attention=seen.png")
    assert (status, err) == (0, "") and Path("seen.png").is_file()
    assert "text, line 1: not an expression" in refused("translate", "run=run", "text=if x")
    status, out, _ = call("predict", "run=run", f"path={code() / 'part_0.py'}")
    assert status == 0 and "part_0.py:2: " in out
    refusals = {"topology.arity=3": "has trees of arity 2", "task.limit=0": "'limit' is at least 1"}
    for word, message in refusals.items():
        assert message in refused("train", *words, "topology=tree", word, "run=no")
    Path("same").mkdir()
    for number in range(3):
        Path(f"same/{number}.py").write_text("x = f(1)\n")
    said = refused("train", *words, "task.root=same", "topology=tree", "run=no")
    assert "no expressions for the test split" in said and not Path("no").exists()


@pytest.mark.slow
def test_attention_needs_a_net_that_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("task=copy", "task.train_size=40", "topology=chain", *SMALL, "net.attention=none")
    assert call("train", *words, "trainer.max_epochs=1", "run=run").status == 0
    assert "has no attention to draw" in refused(
        "translate", "run=run", "text=a b", "attention=a.png"
    )
    assert call("translate", "run=run", "text=a b c").out.strip()
    assert not Path("a.png").exists()
    words = ("task=xml", "net=stack", "cell=gru", "topology=chain", "trainer.accelerator=cpu")
    options = ("task.train_size=20", "trainer.max_epochs=1", "trainer.num_workers=0", "run=xml")
    assert call("train", *words, *options).status == 0
    assert "writes no text about another" in refused("translate", "run=xml", "text=a")
