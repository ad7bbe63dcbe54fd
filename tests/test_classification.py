"""Texts with classes: where they are read, how they are split, learned and predicted."""

import gzip
import json
import re
import runpy
import zipfile
from collections import Counter
from hashlib import sha256

import pytest
from commands import DATA, ROOT, SMALL, call, isolated, opened, refused

import structnet as sn
from structnet.plugins.files.splits import Folds
from structnet.plugins.sequence.classify.splitting import split_texts
from structnet.plugins.sequence.classify.texts import Text
from structnet.plugins.text.subwords import Subwords
from structnet.plugins.text.tokenise import tokeniser

TOPOLOGY = sn.topologies.create("bichain")
TEXTS = {
    "good": ["A fine film.", "Good\nfun!", "Fine, good fun", "so good", "a joy to see"],
    "bad": ["Dull film.", "no fun", "a bore", "Dull, dull, dull", "not good"],
}


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create(root=None, **options):
    """The task and its splits."""
    task = sn.tasks.create("classification", root=root and str(root), **options)
    return task, task.keep(task.load(TOPOLOGY))


def write_folder(root, texts=TEXTS):
    for label, some in texts.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(some):
            (root / label / f"{number}.txt").write_text(text)
    return root


def as_rows(form):
    pairs = [(text.replace("\n", " "), label) for label, some in TEXTS.items() for text in some]
    if form == "tsv":
        return "id\tlabel\ttext\n" + "".join(f"7\t{label}\t{text}\n" for text, label in pairs)
    if form == "csv":
        return "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in pairs)
    return "".join(f"{json.dumps({'label': label, 'text': text})}\n" for text, label in pairs)


def known(splits):
    """The texts of all splits, with their classes."""
    return Counter(
        (sample.origin.text.replace("\n", " "), sample.origin.label)
        for split in splits.values()
        for sample in split
    )


EVERY = Counter((text.replace("\n", " "), label) for label, some in TEXTS.items() for text in some)


# Where texts are read from


def test_a_folder_has_a_folder_per_class(place):
    task, splits = create(write_folder(place / "mine"))
    assert task.classes == ["bad", "good"]
    assert known(splits) == EVERY
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 6, "validation": 2, "test": 2,
    }  # fmt: skip
    samples = (one for split in splits.values() for one in split)
    sample = next(one for one in samples if one.origin.text == "Dull, dull, dull")
    assert task.vocabulary.words(sample.x) == [["dull"], [","], ["dull"], [","], ["dull"]]
    assert task.node_names(sample) == ["dull", ",", "dull", ",", "dull"]
    assert sample.y == 0 and sample.origin.path == place / "mine" / "bad" / "3.txt"


@pytest.mark.parametrize("form", ["tsv", "csv", "jsonl", "csv.gz"])
def test_a_table_has_a_text_and_a_class_per_row(place, form):
    data = as_rows(form.removesuffix(".gz")).encode()
    path = place / f"mine.{form}"
    path.write_bytes(gzip.compress(data) if form.endswith("gz") else data)
    _, splits = create(path)
    assert known(splits) == EVERY
    lines = data.decode().split("\n")
    for split in splits.values():
        for sample in split:
            assert sample.origin.text in lines[sample.origin.line - 1]


def test_columns_have_names_or_numbers(place):
    rows = as_rows("tsv").split("\n", 1)[1]
    (place / "mine.tsv").write_text(rows)
    assert known(create(place / "mine.tsv", text_column="3", label_column="2")[1]) == EVERY
    (place / "mine.tsv").write_text("a\tstars\treview\n" + rows)
    options = {"text_column": "review", "label_column": "stars"}
    assert known(create(place / "mine.tsv", **options)[1]) == EVERY


def test_classes_that_are_numbers_are_in_their_order(place):
    (place / "mine.jsonl").write_text(
        "".join(f'{{"text": "a b {n} {i}", "label": {n}}}\n' for n in (10, 9, 1) for i in "xyz")
    )
    assert create(place / "mine.jsonl")[0].classes == ["1", "9", "10"]


def test_splits_may_be_files_or_folders_of_their_own(place):
    for name in ("train", "dev", "test"):
        write_folder(place / "folders" / name, {k: v[: 2 + len(name)] for k, v in TEXTS.items()})
    _, splits = create(place / "folders")
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [10, 10, 10]
    (place / "tables").mkdir()
    for name in ("train", "test"):
        (place / "tables" / f"{name}.csv").write_text(as_rows("csv"))
    _, splits = create(place / "tables")
    # Validation is drawn from the training split.
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [8, 2, 10]


# Splits


def test_a_split_is_the_order_of_checksums_of_seed_and_text():
    texts = [Text("f", n, f"text {n % 37}", "ab"[n % 2]) for n in range(200)]
    splits = split_texts({"all": texts}, seed=3)
    assert sorted(one.line for split in splits.values() for one in split) == list(range(200))
    for label in "ab":
        mine = {one.text for one in texts if one.label == label}
        order = sorted(mine, key=lambda text: sha256(f"3\n{text}".encode()).hexdigest())
        for name, some in (("test", order[:3]), ("validation", order[3:6]), ("train", order[6:])):
            found = {one.text for one in splits[name] if one.label == label}
            assert found == set(some)
    turned = split_texts({"all": texts[::-1]}, seed=3)
    assert all(set(turned[name]) == set(splits[name]) for name in splits)
    assert split_texts({"all": texts}, seed=4)["test"] != splits["test"]


def test_subwords_are_learned_from_the_training_split_and_kept(place):
    task, splits = create(write_folder(place / "mine"), tokens="subwords", subwords=270)
    texts = "\n".join(sample.origin.text.lower() for sample in splits["train"])
    assert task.merges == Subwords.learn(texts, 270).merges and len(task.merges) == 14
    for split in splits.values():
        for sample in split:
            assert "".join(task.node_names(sample)) == sample.origin.text.lower()
            words = [word for (word,) in task.vocabulary.words(sample.x)]
            assert "?" not in words or split is not splits["train"]
    known = sn.tasks.create("classification", tokens="subwords")
    known.know(task.vocabulary, {"merges": task.merges, "classes": task.classes})
    again = known.read_text(splits["test"][0].origin, TOPOLOGY)
    assert again.x.ids.tolist() == splits["test"][0].x.ids.tolist()


@pytest.mark.parametrize("tokens", ["characters", "spaces", "treebank", "wordpunct", "tweet"])
def test_the_tokens_are_those_of_the_tokeniser(place, tokens):
    task, splits = create(write_folder(place / "mine"), tokens=tokens, lower=False, max_length=3)
    for sample in splits["test"]:
        expected = tokeniser(tokens)(sample.origin.text)[:3]
        assert task.node_names(sample) == expected and sample.num_nodes == len(expected)


# Bad input

GOOD = "text\tlabel\na fine film\tgood\n"
BAD_FILES = {
    "columns": ("a.tsv", GOOD + "dull\n", "a.tsv, line 3: 1 columns, expected 2 as in the first"),
    "more columns": ("a.csv", "text,label\na,b,c\n", "a.csv, line 2: 3 columns, expected 2"),
    "names": ("a.tsv", "review\tlabel\n", "a.tsv, line 1: expected the names of columns with one"),
    "twice": ("a.csv", "text,text,label\n", "a.csv, line 1: expected the names of columns"),
    "quote": ("a.csv", 'text,label\n"a,b\n', "a.csv, line 2: not a row of comma-separated values"),
    "empty text": ("a.tsv", GOOD + " \tbad\n", "a.tsv, line 3: an empty text"),
    "empty class": ("a.tsv", GOOD + "dull\t\n", "a.tsv, line 3: an empty class"),
    "one class": ("a.tsv", GOOD, "two classes or more, got 1 texts of classes ['good'], the last"),
    "no rows": ("a.tsv", "text\tlabel\n", "a.tsv has no texts"),
    "no lines": ("a.jsonl", "\n \n", "a.jsonl has no texts"),
    "few": (
        "a.tsv",
        GOOD + "b\tgood\nc\tgood\nd\tbad\nd\tbad\n",
        "a.tsv, line 5: class 'bad' has 1 different texts, at least 3 are needed for train, test",
    ),
    "encoding": (
        "a.tsv",
        GOOD.encode() + b"caf\xe9\tbad\n",
        "a.tsv is not text in UTF-8: byte 0xe9 at offset 31",
    ),
    "not JSON": ("a.jsonl", "{}x\n", "a.jsonl, line 1: not JSON: Extra data"),
    "deep JSON": ("a.jsonl", "[" * 200_000, "a.jsonl, line 1: not JSON"),
    "surrogate": ("a.jsonl", '{"text": "\\ud800", "label": 1}', "line 1: half of a surrogate"),
    "list": ("a.jsonl", "\n[1]\n", "a.jsonl, line 2: expected an object, got [1]"),
    "no text": ("a.jsonl", '{"text": 1, "label": "a"}\n', "line 1: expected a text in 'text', got"),
    "no label": ("a.jsonl", '{"text": "a", "label": null}\n', "expected a class in 'label', got"),
    "suffix": ("a.txt", "a\n", "a.txt is neither a folder with a folder per class, nor a table"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_wrong_file_is_named_with_its_line(place, case):
    name, content, message = BAD_FILES[case]
    (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as caught:
        create(name)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_folds_of_small_classes_are_of_like_sizes():
    texts = [Text("a", n, f"text {n}", str(n % 10)) for n in range(90)]
    sizes = [len(split_texts({"all": texts}, 0, Folds(5, fold))["test"]) for fold in range(5)]
    assert sum(sizes) == 90 and max(sizes) - min(sizes) <= 2


def test_a_wrong_folder_is_named(place):
    def message(root):
        with pytest.raises((ValueError, FileNotFoundError)) as caught:
            create(root)
        return str(caught.value)

    assert message(place / "nowhere") == f"no file or folder {place / 'nowhere'} (task.root)"
    assert f"{place} has no folder per class" in message(place)
    root = write_folder(place / "mine")
    (root / "good" / "2.txt").write_text(" \n")
    assert "mine/good/2.txt, line 1: an empty text" in message(root)
    (root / "good" / "2.txt").write_bytes(b"ab\xff")
    assert "good/2.txt is not text in UTF-8: byte 0xff at offset 2" in message(root)
    (root / "good" / "2.txt").unlink()
    (root / "none").mkdir()
    assert "mine/none has no files" in message(root)
    (place / "parts").mkdir()
    (place / "parts" / "test.tsv").write_text(GOOD)
    assert "parts has test.tsv, but no train split beside it" in message(place / "parts")
    for name in ("train.tsv", "training.csv"):
        (place / "parts" / name).write_text(GOOD)
    assert "several splits for train, train.tsv, training.csv: keep one" in message(place / "parts")
    (place / "parts" / "training.csv").unlink()
    (place / "parts" / "train.tsv").write_text(GOOD + "dull\tbad\nmore\tgood\nmore\tbad\n")
    (place / "parts" / "dev.tsv").write_text("text\tlabel\na\tugly\n")
    assert "parts/dev.tsv, line 2: 'ugly' is none of the classes ['bad', 'good']" in message(
        place / "parts"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_column": "a", "label_column": "a"}, "text_column and label_column are both 'a'"),
        ({"text_column": "1"}, "both are names in a table's first line, or both are numbers"),
        ({"text_column": "1", "label_column": "0"}, "numbers from 1"),
        ({"min_count": 0}, "option 'min_count' is at least 1, got 0"),
        ({"max_length": 0}, "option 'max_length' is at least 1, got 0"),
        ({"subwords": 256}, "option 'subwords' is at least 257, got 256"),
        ({"seed": -1}, "option 'seed' is at least 0, got -1"),
        (
            {"root": "a", "corpus": "movie_reviews"},
            "root=a and corpus=movie_reviews are both given",
        ),
        ({"tokens": "pattern", "pattern": "("}, r"pattern '\(' is not a regular expression"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create("classification", **options)


def test_a_table_without_the_numbered_column_is_named(place):
    (place / "a.tsv").write_text(GOOD)
    with pytest.raises(ValueError, match=r"a\.tsv, line 1: 2 columns, so none is column 3"):
        create("a.tsv", text_column="1", label_column="3")


def test_without_texts_it_says_how_to_give_them():
    with pytest.raises(FileNotFoundError, match="no texts are given: set task"):
        sn.tasks.create("classification").find()


# NLTK's corpora


@pytest.fixture
def corpora(place, monkeypatch):
    """A folder of NLTK's with small corpora of the same form, one zipped and one unpacked."""
    import nltk
    from nltk.corpus.reader import CategorizedPlaintextCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    for name, files in (
        ("sentence_polarity", r"rt-polarity\.(neg|pos)"),
        ("movie_reviews", r"(neg|pos)/.*\.txt"),
    ):
        # NLTK's own may have been loaded from another place.
        fresh = LazyCorpusLoader(
            name, CategorizedPlaintextCorpusReader, files, cat_pattern=files, encoding="utf-8"
        )
        monkeypatch.setattr(nltk.corpus, name, fresh)
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setenv("STRUCTNET_DATA", str(place))
    folder = place / "nltk_data" / "corpora"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "sentence_polarity.zip", "w") as archive:
        archive.writestr("sentence_polarity/", "")
        for name, label in (("neg", "bad"), ("pos", "good")):
            lines = "".join(f"{text} \n".replace("\n", " ") + "\n" for text in TEXTS[label])
            archive.writestr(f"sentence_polarity/rt-polarity.{name}", lines)
    for name, label in (("neg", "bad"), ("pos", "good")):
        write_folder(folder / "movie_reviews", {name: TEXTS[label]})
    return folder


@pytest.mark.parametrize("name", ["sentence_polarity", "movie_reviews"])
def test_a_corpus_of_nltk_is_read_where_it_is(corpora, name):
    task, splits = create(corpus=name)
    assert task.classes == ["negative", "positive"]
    labels = {"negative": "bad", "positive": "good"}
    found = Counter((text.strip(), labels[label]) for text, label in known(splits).elements())
    assert found == EVERY
    path = splits["test"][0].origin.path
    assert path.is_relative_to(corpora / {"movie_reviews": name}.get(name, f"{name}.zip"))


def test_a_corpus_that_is_missing_is_named_with_how_to_get_it(corpora):
    (corpora / "sentence_polarity.zip").unlink()
    with pytest.raises(FileNotFoundError, match=r"nltk.downloader sentence_polarity.* NLTK_DATA"):
        create(corpus="sentence_polarity")


@pytest.mark.skipif(not DATA, reason="needs STRUCTNET_DATA")
def test_the_split_of_sentence_polarity_is_the_one_that_is_written_down():
    _, splits = create(corpus="sentence_polarity")
    counts = {name: Counter(int(one.y) for one in split) for name, split in splits.items()}
    assert counts == {
        "train": {0: 4265, 1: 4265}, "validation": {0: 533, 1: 533}, "test": {0: 533, 1: 533},
    }  # fmt: skip
    lines = "".join(f"{one.origin.text}\n" for one in splits["test"])
    assert sha256(lines.encode()).hexdigest()[:16] == "8aaa4755609ae0d4"


# Predictions


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """A run on the pairs of texts of examples/word_order.py, and its folder."""
    folder = tmp_path_factory.mktemp("pairs")
    for name, texts in runpy.run_path(str(ROOT / "examples" / "word_order.py"))["split"]().items():
        rows = "".join(f"{text}\t{label}\n" for text, label in texts)
        (folder / f"{name}.tsv").write_text(f"text\tlabel\n{rows}")
    options = ("net.hidden_size=16", "net.embedding_size=16", "trainer.batch_size=16",
               "trainer.max_epochs=3", "trainer.num_workers=0", "trainer.learning_rate=0.02",
               "trainer.accelerator=cpu", "trainer.illustrate=null")  # fmt: skip
    words = ("task=classification", f"task.root={folder}", "topology=bichain", "cell=gru")
    status, out, err = call("train", *words, *options, f"run={folder / 'run'}")
    assert status == 0, err
    assert "text=TEXT" in out
    return folder / "run"


def test_a_net_keeps_the_order_where_a_bag_of_words_is_at_chance(pairs):
    """Every bag of words is in both classes: whatever reads bags is right for half of the texts."""
    task = sn.tasks.create("classification", root=str(pairs.parent))
    for split in task.load(TOPOLOGY).values():
        bags = {0: Counter(), 1: Counter()}
        for sample in split:
            bags[int(sample.y)][tuple(sorted(task.node_names(sample)))] += 1
        assert bags[0] == bags[1]
    metrics = json.loads((pairs / "metrics.json").read_text())
    assert metrics["baselines"]["unigrams"]["accuracy"] == 0.5
    assert metrics["test"]["accuracy"] == 1.0
    words = ("text=How can you not see this movie?", "text=You should not see this movie.")
    status, out, err = call("predict", "--json", f"run={pairs}", *words)
    assert status == 0, err
    assert [one["class"] for one in json.loads(out)] == ["praise", "blame"]


def test_a_text_has_the_probabilities_of_classes_and_the_weights_of_its_words(pairs):
    text = "You should not see this Movie."
    (one,) = json.loads(call("predict", "--json", f"run={pairs}", f"text={text}").out)
    assert {"file": "text", "line": 1, "text": text}.items() <= one.items()
    assert sum(one["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert one["probability"] == max(one["probabilities"].values())
    words = [pair["word"] for pair in one["words"]]
    assert words == [*text[:-1].lower().split(), "."]
    assert sum(pair["weight"] for pair in one["words"]) == pytest.approx(1, abs=1e-5)
    # The weights are those of the readout, and give the probability.
    with isolated():
        run = opened(pairs)
        net = run.load_net()
        sample = run.task.read_text(sn.Origin("text", 1, text), run.topology)
        batch = sn.collate([sample], run.topology)
        h = net.stack(net.input(batch.x), batch.plans)
        weights = net.readout.weights(h, batch)[:, 0]
        scores = net.head(weights @ h).softmax(-1)
    assert weights.tolist() == pytest.approx([pair["weight"] for pair in one["words"]], abs=1e-6)
    assert scores.tolist() == pytest.approx(list(one["probabilities"].values()), abs=1e-6)


def test_texts_are_shown_in_lines_without_colours_where_there_is_no_terminal(pairs):
    words = ("text=You should not see this movie.", "text=How can you not \x1bsee it?")
    status, out, err = call("predict", f"run={pairs}", *words)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert (
        lines[0] == "You should not see this movie." and lines[3] == r"How can you not \x1bsee it?"
    )
    for line in (lines[1], lines[4]):
        assert re.fullmatch(r"  (praise|blame) 0\.\d{3}, (praise|blame) 0\.\d{3}", line)
    assert re.fullmatch(r"  most weight: (\S+ 0\.\d\d, ){4}\S+ 0\.\d\d", lines[2])
    weights = list(map(float, re.findall(r"0\.\d\d", lines[2])))
    assert weights == sorted(weights, reverse=True)


def test_words_that_weigh_more_are_coloured_on_a_terminal(pairs, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    text = "You should not see this movie."
    line = call("predict", f"run={pairs}", f"text={text}").out.splitlines()[0]
    assert re.sub(r"\x1b\[[\d;]*m", "", line) == text
    (one,) = json.loads(call("predict", "--json", f"run={pairs}", f"text={text}").out)
    weights = {pair["word"]: pair["weight"] for pair in one["words"]}
    marked = re.findall(r"\x1b\[30;48;2;255;\d+;(\d+)m(\S+?)\x1b", line)
    assert {word.lower(): int(blue) for blue, word in marked} == {
        word: round(255 - 215 * weight / max(weights.values()))
        for word, weight in weights.items()
        if weight >= 0.1 * max(weights.values())
    }


def test_a_file_of_texts_a_table_and_a_folder_are_read(pairs, place):
    (place / "lines.txt").write_text("Not this movie.\r\n\nHow not?\n")
    found = json.loads(call("predict", "--json", f"run={pairs}", "file=lines.txt").out)
    assert [(one["line"], one["text"]) for one in found] == [
        (1, "Not this movie."),
        (3, "How not?"),
    ]
    assert len(call("predict", f"run={pairs}", "file=lines.txt").out.splitlines()) == 6
    (place / "mine").mkdir()
    (place / "mine" / "a.txt").write_text("Not this movie. " * 100)
    (place / "mine" / "b.txt").write_text("How\nnot?\n")
    long, short = call("predict", f"run={pairs}", "path=mine").out.splitlines()
    assert re.fullmatch(r"mine/a.txt:1: (Not this movie\. )+.*\.\.\. \(\w+, 0\.\d+\)", long)
    assert len(long) < 350
    assert re.fullmatch(r"mine/b.txt:1: How\\nnot\?\\n \(\w+, 0\.\d+\)", short)
    (place / "mine.csv").write_text("n,text\n1,How not?\n2,This movie\n")
    lines = call("predict", f"run={pairs}", "path=mine.csv").out.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "mine.csv:2: How not?",
        "mine.csv:3: This movie",
    ]
    (place / "mine.csv").rename(place / "mine" / "c.csv")
    assert len(call("predict", f"run={pairs}", "path=mine").out.splitlines()) == 4
    out = call("predict", f"run={pairs}", "file=lines.txt", "out=found.csv")
    assert out.status == 0, out.err
    head, first, _ = (place / "found.csv").read_text().splitlines()
    assert head == "file,line,text,class,probability,probability of blame,probability of praise"
    assert first.startswith("lines.txt,1,Not this movie.,")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "path=... is missing: write path=FILE_OR_FOLDER, file=FILE"),
        (("text=",), "text, line 1: '' has no tokens"),
        (("text=a", "text=  "), "text, line 2: '  ' has no tokens"),
        (("text=a", "path=b"), "path= and text= are both given"),
        (("path=a", "file=b"), "path= and file= are both given"),
        (("file=nowhere",), "no file nowhere"),
        (("file=latin.txt",), "latin.txt is not text in UTF-8"),
        (("path=latin.txt",), "latin.txt is not text in UTF-8"),
        (("path=empty.txt",), "empty.txt, line 1: an empty text"),
        (("path=nowhere",), "no file nowhere"),
        (("txt=a",), "did you mean 'text'?"),
        (("text=a", "out=."), "out must be a file, got the folder ."),
        (("text=a", "out=none/a.csv"), "no folder none to write a.csv to"),
    ],
)
def test_a_wrong_call_is_refused(pairs, place, words, message):
    (place / "latin.txt").write_bytes(b"caf\xe9\n")
    (place / "empty.txt").write_text("\n")
    assert message in refused("predict", f"run={pairs}", *words)


def test_a_task_that_does_not_read_texts_says_so():
    task = sn.tasks.create("xml")
    assert not task.reads_texts and sn.tasks.create("classification").reads_texts
    with pytest.raises(ValueError, match=r"task 'xml' does not read texts.*path=FILE"):
        task.read_text(sn.Origin("text", 1, "<a>"), TOPOLOGY)
    with pytest.raises(ValueError, match=r"has no method `read_text`$"):
        sn.tasks.create("text").read_text(sn.Origin("text", 1, "a"), TOPOLOGY)


PLUGIN = """
import torch

import structnet as sn


@sn.readouts.register("first")
class First(sn.Readout):
    def weights(self, h, batch):
        return torch.zeros(len(h), 1).index_fill(0, batch.ptr[:-1], 1.0)

    def forward(self, h, batch):
        return h[batch.ptr[:-1]]
"""


@pytest.mark.slow
def test_a_plugins_readout_shows_what_it_weighs(place):
    (place / "first.py").write_text(PLUGIN)
    write_folder(place / "mine")
    words = ("task=classification", "task.root=mine", "readout=first", *SMALL, "run=out")
    plugin = ("--plugin", "first.py")
    assert call("train", *plugin, *words, "debug=steps").status == 0
    lines = call("predict", *plugin, "run=out", "text=a fine film").out.splitlines()
    assert lines[2] == "  most weight: a 1.00, fine 0.00, film 0.00"


def test_a_readout_without_weights_shows_none(place):
    write_folder(place / "mine")
    words = ("task=classification", "task.root=mine", "readout=max", *SMALL, "run=out")
    assert call("train", *words, "debug=steps").status == 0
    (one,) = json.loads(call("predict", "--json", "run=out", "text=a fine film").out)
    assert "words" not in one and set(one["probabilities"]) == {"bad", "good"}
    assert len(call("predict", "run=out", "text=a fine film").out.splitlines()) == 2
    # Tested on texts of other classes.
    (place / "mine" / "bad").rename(place / "mine" / "ugly")
    assert "'ugly' is none of the classes ['bad', 'good']" in refused(
        "test", "run=out", "task.root=mine"
    )
