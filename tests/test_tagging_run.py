"""Nets that tag words: trained, tested on other data, asked for texts, and their mistakes."""

import csv
import json
import random
import re
from collections import Counter

import pytest
import torch
from commands import DATA, call, isolated, opened, refused, trained, write_sst

import structnet as sn
from structnet.plugins.sequence.tagging.entities import lone_inside, read_entities

FAST = ("trainer.num_workers=0", "trainer.accelerator=cpu", "trainer.illustrate=null")
NET = ("net.hidden_size=16", "net.embedding_size=8", "net.character_size=8", "topology=bichain",
       "trainer.batch_size=8", "trainer.learning_rate=0.02", "cell=lstm")  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def name(draw):
    return "".join(draw.choices("abdeiklmnorstu", k=draw.randint(3, 6))).capitalize()


def sentences(count, seed):
    """Sentences of people and places with names that are different in every split."""
    draw = random.Random(seed)
    for _ in range(count):
        person = [name(draw) for _ in range(draw.randint(1, 3))]
        place = [name(draw) for _ in range(draw.randint(1, 2))]
        people = [(one, f"{'BI'[at > 0]}-person") for at, one in enumerate(person)]
        places = [(one, f"{'BI'[at > 0]}-place") for at, one in enumerate(place)]
        rest = [[(word, "O") for word in part.split()] for part in ("Mr", "lives in", ".")]
        yield [*rest[0], *people, *rest[1], *places, *rest[2]]


def as_columns(some):
    return "\n".join("".join(f"{word}\t{tag}\n" for word, tag in one) for one in some)


def as_conllu(some):
    """The same, with a part of speech for each tag, and a multiword token in every sentence."""
    text = ""
    for one in some:
        for number, (word, tag) in enumerate(one, 1):
            upos = "PUNCT" if word == "." else "X" if tag == "O" else "PROPN"
            if number == 1:
                text += f"1-2\t{one[0][0]}{one[1][0]}" + "\t_" * 8 + "\n"
            text += "\t".join([str(number), word, "_", upos, *"__", "0", *"___"]) + "\n"
        text += "\n"
    return text


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A run that finds entities, with a conditional random field, and its folder."""
    folder = tmp_path_factory.mktemp("people")
    for number, (split, count) in enumerate((("train", 80), ("dev", 10), ("test", 30))):
        (folder / f"{split}.conll").write_text(as_columns(sentences(count, number)))
    words = ("task=tagging", f"task.root={folder}", "task.scheme=BIO", "head=crf")
    options = ("net.characters=cnn", "trainer.max_epochs=4", *NET, *FAST)
    status, out, err = call("train", *words, *options, f"run={folder / 'run'}")
    assert status == 0, err
    (folder / "out.txt").write_text(out)
    return folder / "run"


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A run that finds parts of speech in CoNLL-U, its splits drawn from one file."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "all.conllu").write_text(as_conllu(sentences(80, 7)))
    words = ("task=tagging", f"task.root={folder / 'all.conllu'}", "net.characters=lstm")
    options = ("trainer.max_epochs=3", *NET, *FAST)
    status, _, err = call("train", *words, *options, f"run={folder / 'run'}")
    assert status == 0, err
    return folder / "run"


def test_entities_with_new_names_are_found_beside_the_baselines(people):
    metrics = json.loads((people / "metrics.json").read_text())
    assert metrics["test"]["f1"] > 0.9 and metrics["test"]["accuracy"] > 0.95
    names = {f"{kind}{figure}" for kind in ("", "person ", "place ")
             for figure in ("precision", "recall", "f1")} | {"accuracy"}  # fmt: skip
    assert set(metrics["test"]) == names
    assert set(metrics["baselines"]) == {"most frequent tag", "perceptron (NLTK)"}
    assert all(set(one) == names for one in metrics["baselines"].values())
    # So many figures stand below each other.
    lines = (people.parent / "out.txt").read_text().splitlines()
    (line,) = [line for line in lines if "person recall" in line]
    assert f"{metrics['test']['person recall']:.4f}" in line and len(line) <= 80


@pytest.mark.slow
def test_parts_of_speech_are_found_by_accuracy(parts):
    metrics = json.loads((parts / "metrics.json").read_text())
    assert set(metrics["test"]) == {"accuracy"} and metrics["test"]["accuracy"] > 0.9
    assert set(metrics["baselines"]) == {"most frequent tag", "perceptron (NLTK)"}
    with isolated():
        assert opened(parts).load_net().input.layers[1].reader.layer.output_size == 8


def test_texts_are_printed_in_columns_where_there_is_no_terminal(people):
    status, out, err = call("predict", f"run={people}", "text=Mr Kuno lives in Lano.", "text=Mr")
    assert (status, err) == (0, "")
    assert out == ("Mr\tO\nKuno\tB-person\nlives\tO\nin\tO\nLano\tB-place\n.\tO\n\n" + "Mr\tO\n\n")
    status, out, _ = call("predict", f"run={people}", "text=Mr A\x1bno lives in Lano .", "top=1")
    assert out.splitlines()[1] == "A\\x1bno\tB-person"


def test_entities_are_coloured_by_kind_on_a_terminal(people, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    text = "Mr Kuno Ade lives in Lano ."
    (line,) = call("predict", f"run={people}", f"text={text}").out.splitlines()
    plain = re.sub(r"\x1b\[[\d;]*m", "", line)
    assert plain == "Mr Kuno Ade/person lives in Lano/place ."
    colours = {text: colour for colour, text in re.findall(r"\x1b\[1;(\d+)m([\w ]+)\x1b", line)}
    assert set(colours) == {"Kuno Ade", "Lano"} and len(set(colours.values())) == 2


@pytest.mark.slow
def test_every_word_is_coloured_where_there_are_no_entities(parts, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLORTERM", "truecolor")
    line = call("predict", f"run={parts}", "text=Mr Kuno .").out.strip()
    assert re.sub(r"\x1b\[[\d;]*m", "", line) == "Mr/X Kuno/PROPN ./PUNCT"


def test_json_has_words_with_probabilities_and_entities(people):
    text = "Mr Kuno Ade lives in Lano."
    (one,) = json.loads(call("predict", "--json", f"run={people}", f"text={text}").out)
    assert {"file": "text", "line": 1, "text": text}.items() <= one.items()
    assert [word["word"] for word in one["words"]] == [*text[:-1].split(), "."]
    assert one["spans"] == [
        {"first": 1, "stop": 3, "class": "person", "text": "Kuno Ade"},
        {"first": 5, "stop": 6, "class": "place", "text": "Lano"},
    ]
    # Of classes that are chosen together, each has its marginal probability.
    with isolated():
        run = opened(people)
        net = run.load_net()
        sample = run.task.read_text(sn.Origin("text", 1, text), run.topology)
        with torch.inference_mode():
            scores = net(sn.collate([sample], run.topology))
        best, marginals = scores.best().tolist(), scores.log_probs().exp()
    assert [word["class"] for word in one["words"]] == [run.task.classes[b] for b in best]
    for row, label, word in zip(marginals, best, one["words"], strict=True):
        assert word["probability"] == pytest.approx(float(row[label]), abs=1e-5)


def test_tags_follow_each_other_as_the_scheme_says(people):
    texts = ("Lano Kuno in Mr", "Mr Mr Mr Mr", "Ade in Ade Ade in Ade")
    given = [f"text={text}" for text in texts]
    for one in json.loads(call("predict", "--json", f"run={people}", *given).out):
        assert lone_inside([word["class"] for word in one["words"]]) is None


def test_files_are_read_and_written(people, place):
    (place / "lines.txt").write_text("Mr Kuno lives in Lano.\n\nMr Ade\n")
    out = call("predict", f"run={people}", "file=lines.txt", "out=found.conll")
    assert (out.status, out.out) == (0, "predictions: found.conll (2)\n"), out.err
    text = (place / "found.conll").read_text()
    assert text.split("\n\n")[1] == "Mr\tO\nAde\tB-person"
    # What is written is read, also with a column of words alone, and gives the same.
    for content in (text, re.sub(r"\t.*", "", text)):
        (place / "again.conll").write_text(content)
        again = call("predict", f"run={people}", "path=again.conll")
        assert again.out == text, again.err
    assert call("predict", f"run={people}", "path=again.conll", "out=a.csv", "top=1").status == 0
    with (place / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["Mr", "Kuno", "lives", "in", "Lano", "."]
    assert rows[1]["class"] == "B-person" and rows[1]["file"] == "again.conll"
    call("predict", f"run={people}", "path=again.conll", "out=a.json")
    assert [one["line"] for one in json.loads((place / "a.json").read_text())] == [1, 8]


@pytest.mark.slow
def test_conllu_is_read_without_its_tags(parts, place):
    (place / "new.conllu").write_text(as_conllu(sentences(2, 9)).replace("PROPN", "_"))
    out = call("predict", f"run={parts}", "path=new.conllu")
    words = [line.split("\t")[0] for line in out.out.splitlines()]
    expected = [[word for word, _ in one] + [""] for one in sentences(2, 9)]
    assert words == [word for one in expected for word in one], out.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("text=",), "text, line 1: '' has no words"),
        (("text=a", "min=0.5"), "min= is for predictions of samples"),
        (("path=nowhere",), "no file or folder nowhere"),
        (("path=bad.conll",), "bad.conll, line 2: expected 2 columns as in line 1, found 1"),
        (("path=bad.conllu",), "bad.conllu, line 1: expected 10 columns with tabs between"),
        (("path=latin.txt",), "latin.txt is not text in UTF-8: byte 0xe9 at offset 3"),
    ],
)
def test_a_wrong_call_is_refused_and_writes_nothing(people, place, words, message):
    (place / "bad.conll").write_text("a O\nb\n")
    (place / "bad.conllu").write_text("1\ta\n")
    (place / "latin.txt").write_bytes(b"caf\xe9\n")
    assert message in refused("predict", f"run={people}", *words, "out=out.conll")
    assert not (place / "out.conll").exists()


def test_a_run_is_tested_on_other_data_with_tags_that_it_does_not_know(people, place):
    given = list(sentences(20, 5))
    given[3] = [(word, tag.replace("place", "town")) for word, tag in given[3]]
    for split in ("train", "dev", "test"):
        (place / f"{split}.conll").write_text(as_columns(given))
    status, out, err = call("test", f"run={people}", f"task.root={place}")
    assert status == 0, err
    towns = sum("town" in tag for _, tag in given[3])
    assert f"words of test tagged B-town count as wrong, {towns} in all" in err
    assert "town recall" in out and "town precision" in out
    found = float(re.search(r"accuracy\W+([\d.]+)", out)[1])
    assert found <= 1 - towns / sum(map(len, given)) + 5e-5


# Mistakes


def test_mistakes_are_those_of_the_predictions_the_worst_first(people):
    found = json.loads(call("errors", "--json", f"run={people}", "split=train", "top=1000").out)
    predicted = json.loads(
        call("predict", "--json", f"run={people}", f"path={people.parent}/train.conll",
             "top=1000").out
    )  # fmt: skip
    true = [tag for one in sentences(80, 0) for _, tag in one]
    words = [word for one in predicted for word in one["words"]]
    pairs = Counter(
        (a, word["class"]) for a, word in zip(true, words, strict=True) if a != word["class"]
    )
    assert found["decided"] == len(true) and found["wrong"] == pairs.total()
    assert {(one["class"], one["predicted"]): one["count"] for one in found["confusions"]} == pairs
    odds = [one["class_probability"] for one in found["worst"]]
    assert odds == sorted(odds) and len(odds) == pairs.total()
    assert Counter((one["class"], one["predicted"]) for one in found["worst"]) == pairs


@pytest.fixture
def wrong(people, place):
    """A run, and data of which some tags are wrong, and one is not known."""
    given = list(sentences(4, 5))
    given[2][0] = ("Mr", "B-place")
    given[1][-1] = (".", "B-dot")
    for split in ("train", "dev", "test"):
        (place / f"{split}.conll").write_text(as_columns(given))
    return people, f"task.root={place}"


def test_mistakes_are_listed_with_the_words_around(wrong, place):
    status, out, err = call("errors", f"run={wrong[0]}", wrong[1])
    assert status == 0 and "'B-dot' is not one that the net learns" in err
    lines = out.splitlines()
    assert re.fullmatch(r"\d+ of \d+ wrong in test \(\d+\.\d%\)", lines[0])
    assert any(line.split()[1:] == ["B-dot", "O"] for line in lines)
    (worst,) = [line for line in lines if "[.]" in line]
    assert re.search(r"in .+\[\.\] +B-dot 0\.000 +O [01]\.\d{3} +.*test\.conll:\d+\s*$", worst)
    assert any(re.match(r" *\[Mr\] \w+ \w+ \w+ +B-place 0\.\d{3} +O", line) for line in lines)
    short = call("errors", f"run={wrong[0]}", wrong[1], "top=1").out
    assert "more; top=N shows N" in short and "[.]" in short and "[Mr]" not in short


@pytest.mark.slow
def test_mistakes_of_samples_have_their_text(place):
    write_sst(place / "mine")
    words = ("task=sst", "task.root=mine", "topology=tree", "net.hidden_size=4", *FAST)
    assert call("train", *words, "debug=steps", "run=out").status == 0
    status, out, err = call("errors", "run=out", "top=3")
    assert status == 0, err
    count, total = map(int, re.match(r"(\d+) of (\d+) wrong in test", out).groups())
    assert total == 8 and 0 < count <= 8
    assert re.search(r"mine/test\.txt:\d+", out) and "[" not in out.split("the worst")[1]


@pytest.mark.slow
def test_mistakes_of_samples_that_come_from_no_file_show_their_nodes(place):
    words = ("task=automaton", "topology=chain", "task.train_size=50", "net.hidden_size=4", *FAST)
    assert call("train", *words, "debug=steps", "run=out").status == 0
    out = call("errors", "run=out", "top=3").out
    assert re.search(r"<s> [01] [01].* test sample \d+", out)


@pytest.mark.slow
def test_mistakes_of_pairs_are_counted_by_pairs():
    found = json.loads(call("errors", "--json", f"run={trained()}").out)
    assert {"as written", "swapped"} >= {one["class"] for one in found["confusions"]}
    with isolated():
        run = opened(trained())
        net = run.load_net()
        samples = run.task.keep(run.task.load(run.topology))["test"]
    assert found["decided"] == len(samples) // run.task.group and net is not None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("split=tset",), "no split 'tset' "),
        (("top=0",), "top must be a whole number, at least 1, got '0'"),
        (("tpo=1",), "no option 'tpo=1'"),
    ],
)
def test_a_wrong_question_is_refused(people, words, message):
    assert message in refused("errors", f"run={people}", *words)


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs STRUCTNET_DATA")
def test_six_epochs_on_real_text_are_above_the_most_frequent_tags(place):
    words = ("task=tagging", f"task.root={DATA}/wnut17", "task.scheme=BIO", "head=crf")
    options = ("net.characters=cnn", "net.hidden_size=64", "topology=bichain", "cell=lstm",
               "trainer.max_epochs=6", "trainer.batch_size=16", "net.word_dropout=1.0")  # fmt: skip
    status, _, err = call("train", *words, *options, *FAST, "run=out")
    assert status == 0, err
    metrics = json.loads((place / "out" / "metrics.json").read_text())
    assert metrics["test"]["f1"] > metrics["baselines"]["most frequent tag"]["f1"]
    found = call("predict", "--json", "run=out", "text=I flew from London to New York").out
    tags = [word["class"] for word in json.loads(found)[0]["words"]]
    assert read_entities(tags)
