"""Sentences with tags: their files, entities, splits, measures and baselines."""

import gzip
import itertools
import random as python_random
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import DATA
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn
from structnet.plugins.sequence.tagging import baselines, measures
from structnet.plugins.sequence.tagging.columns import read_columns
from structnet.plugins.sequence.tagging.entities import (
    Entity,
    lone_inside,
    read_entities,
    transitions,
    write_entities,
)
from structnet.plugins.text.conllu import read_conllu

TOPOLOGY = sn.topologies.create("bichain")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def create(root=None, **options):
    """The task and its splits."""
    task = sn.tasks.create("tagging", root=root and str(root), **options)
    return task, task.keep(task.load(TOPOLOGY))


def pairs(sentence):
    return list(zip(sentence.words, sentence.tags, strict=True))


# CoNLL-U


def row(number, form, upos="X", xpos="_", feats="_", deprel="dep"):
    return "\t".join([number, form, form.lower(), upos, xpos, feats, "0", deprel, "_", "_"])


SPOKEN = "\n".join(
    [
        "# text = Don't go, Ann May",
        row("1-2", "Don't", "_", deprel="_"),
        row("1", "Do", "AUX", "VB", "Mood=Imp|VerbForm=Fin", "aux"),
        row("2", "n't", "PART", "RB", deprel="advmod:neg"),
        row("2.1", "you", "PRON", deprel="_"),
        row("3", "go", "VERB", "VB", "VerbForm=Inf", "root"),
        row("4", "Ann May", "PROPN", "NNP", "Number=Sing", "vocative"),
        " \t",
        "# only a comment",
        "",
        row("1", "Yes", "_", "UH"),
        "",
    ]
)


def test_words_of_conllu_are_the_numbered_ones_and_neither_tokens_nor_empty_nodes(place):
    (place / "a.conllu").write_text(SPOKEN)
    first, second = read_conllu(place / "a.conllu", "upos")
    words = ["Do", "n't", "go", "Ann May"]
    assert pairs(first) == list(zip(words, ["AUX", "PART", "VERB", "PROPN"], strict=True))
    assert (first.line, first.lines) == (3, (3, 4, 6, 7)) and first.text == "Do n't go Ann May"
    assert pairs(second) == [("Yes", None)]


@pytest.mark.parametrize(
    ("tag", "tags"),
    [
        ("xpos", ["VB", "RB", "VB", "NNP"]),
        ("deprel", ["aux", "advmod:neg", "root", "vocative"]),
        ("VerbForm", ["Fin", "_", "Inf", "_"]),
        ("Number", ["_", "_", "_", "Sing"]),
        (None, [None] * 4),
    ],
)
def test_a_tag_is_a_column_or_a_feature(place, tag, tags):
    (place / "a.conllu.gz").write_bytes(gzip.compress(SPOKEN.encode()))
    first, _ = read_conllu(place / "a.conllu.gz", tag)
    assert list(first.tags) == tags


BAD_CONLLU = {
    "columns": (row("1", "a") + "\t_", "line 1: expected 10 columns with tabs between them, "),
    "spaces": (
        row("1", "a").replace("\t", " "),
        "line 1: expected 10 columns with tabs between them, found 1",
    ),
    "empty": (row("1", "a", upos=""), "line 1: column 4 is empty, CoNLL-U has _ in its place"),
    "number": (row("one", "a"), "line 1, column 1: 'one', expected the number of a word"),
    "first": (row("2", "a"), "line 1, column 1: '2', expected the number of the next word, 1"),
    "order": (row("1", "a") + "\n" + row("3", "b"), "line 2, column 1: '3', expected the number"),
    "token": (row("1", "a") + "\n" + row("1-2", "b"), "line 2, column 1: '1-2', expected the"),
    "range": (row("1-1", "a"), "line 1, column 1: '1-1', expected the numbers of words from 1 on"),
    "node": (row("2.1", "a"), "line 1, column 1: '2.1', expected a node after word 0, 0.1"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_CONLLU)
def test_what_is_not_conllu_is_named_with_its_line(place, case):
    text, message = BAD_CONLLU[case]
    (place / "a.conllu").write_text(text + "\n")
    with pytest.raises(ValueError) as caught:
        list(read_conllu(place / "a.conllu", "upos"))
    assert f"a.conllu, {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_features_are_pairs(place):
    (place / "a.conllu").write_text(row("1", "a", feats="Number"))
    with pytest.raises(ValueError, match=r"line 1, column 6: 'Number', expected features such as"):
        list(read_conllu(place / "a.conllu", "Number"))
    assert len(list(read_conllu(place / "a.conllu", "upos"))) == 1


# Columns

CONLL_2003 = """\
-DOCSTART- -X- O O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
# # I-NP O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
"""


def test_columns_are_separated_by_spaces_or_tabs_and_blank_lines_may_hold_blanks(place):
    (place / "a.txt").write_text(CONLL_2003)
    first, second = read_columns(place / "a.txt", 1, None)
    assert pairs(first) == [("EU", "I-ORG"), ("rejects", "O"), ("#", "O")]
    assert first.lines == (3, 4, 5) and second.line == 7
    assert [one.tags for one in read_columns(place / "a.txt", 1, 2)] == [
        ("NNP", "VBZ", "#"), ("NNP", "NNP"),
    ]  # fmt: skip
    # As WNUT-17 has them: a word with a space, and blank lines that hold a tab.
    (place / "b.conll").write_text("# id 7\na b\tO\r\n\t\r\n# x\tO\n#\tB-x\n  \n\n")
    found = [pairs(one) for one in read_columns(place / "b.conll", 1, None)]
    assert found == [[("a b", "O")], [("# x", "O"), ("#", "B-x")]]
    (place / "c.txt").write_text("O a\nB-x b\n")
    assert [pairs(one) for one in read_columns(place / "c.txt", 2, 1)] == [
        [("a", "O"), ("b", "B-x")]
    ]


def test_a_comment_is_a_line_of_another_number_of_columns(place):
    (place / "a.txt").write_text("# a comment of words\na O\n# O\n# more words here\nb O\n")
    (found,) = read_columns(place / "a.txt", 1, None)
    assert found.words == ("a", "#", "b")


def test_words_alone_are_enough_to_predict_their_tags(place):
    (place / "a.txt").write_text("a\nb\n\nc\n")
    found = list(read_columns(place / "a.txt", 1, None, labelled=False))
    assert [one.words for one in found] == [("a", "b"), ("c",)]
    assert found[0].tags == (None, None)


BAD_COLUMNS = {
    "columns": ("a O\nb\n", {}, "a.txt, line 2: expected 2 columns as in line 1, found 1"),
    "more": ("a\tO\nb\tO\tO\n", {}, "a.txt, line 2: expected 2 columns as in line 1, found 3"),
    "hash": ("#tag\tO\n\n#tag\n", {}, "a.txt, line 3: expected 2 columns as in line 1, found 1"),
    "tag": ("a\tO\nb\t\nc\tO\n", {}, "a.txt, line 2: column 2, the tag, is empty"),
    "word": ("a\tO\n\tO\n", {}, "a.txt, line 2: column 1, the word, is empty"),
    "one": ("a\nb\n", {}, "a.txt, line 1: column 1 would be both the word and its tag"),
    "none": ("a O\n", {"column": "3"}, "a.txt, line 1: the last column is 2, and 3 would be"),
    "name": ("a O\n", {"column": "upos"}, "task.column=upos: a.txt has columns with numbers"),
    "bytes": (b"a O\ncaf\xe9 O\n", {}, "a.txt is not text in UTF-8: byte 0xe9 at offset 7, line 2"),
    "kind": ("a B-\n\nb O\n\nc O\n", {"scheme": "BIO"}, "a.txt, line 1: 'B-' is not a tag of"),
    "lone": ("a O\n", {"lone_inside": "convert"}, "lone_inside=convert is for task.scheme=BIO"),
    "empty": ("\n \n", {}, "a.txt has no sentences"),
    "few": ("a O\n\na O\n\nb O\n", {}, "a.txt has sentences of 2 different texts, at least 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_a_wrong_file_is_named_with_its_line(place, case):
    content, options, message = BAD_COLUMNS[case]
    (place / "a.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError) as caught:
        create("a.txt", **options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_column_of_conllu_has_a_name_of_its_own(place):
    text = "".join(row("1", word, feats="Case=Nom") + "\n\n" for word in "abcdef")
    (place / "a.conllu").write_text(text)
    assert create("a.conllu", column="Case")[0].classes == ["Nom"]
    for column, message in (
        ("4", r"a\.conllu is in CoNLL-U, whose tags are upos, xpos, deprel and features"),
        ("uops", r"no word has a tag in column 'uops'.*or of its features Case$"),
        ("xpos", r"no word has a tag in column 'xpos'"),
    ):
        with pytest.raises(ValueError, match=message):
            create("a.conllu", column=column)


# Splits


def write_folder(root, names, count=6):
    root.mkdir(parents=True, exist_ok=True)
    for name in names:
        lines = (f"w{n} T\nof{name[:2]} U\n\n" for n in range(count))
        (root / name).write_text("".join(lines))
    return root


@pytest.mark.parametrize(
    "names",
    [
        ("en_x-ud-train.conll", "en_x-ud-dev.conll", "en_x-ud-test.conll"),
        ("wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"),
        ("eng.train", "eng.testa", "eng.testb"),
    ],
)
def test_the_name_of_a_file_says_of_which_split_it_is(place, names):
    write_folder(place / "mine", (*names, ".train", "LICENSE.txt"))
    _, splits = create(place / "mine")
    for name, split in zip(names, ("train", "validation", "test"), strict=True):
        assert {one.origin.path.name for one in splits[split]} == {name}


def test_splits_that_are_missing_are_drawn_from_training(place):
    write_folder(place / "mine", ["train.txt", "test.txt"], 20)
    _, splits = create(place / "mine")
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 18, "validation": 2, "test": 20,
    }  # fmt: skip
    _, splits = create(place / "mine" / "train.txt")
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [16, 2, 2]
    texts = {name: {one.origin.text for one in some} for name, some in splits.items()}
    assert not texts["train"] & texts["test"] and not texts["validation"] & texts["test"]
    other = create(place / "mine" / "train.txt", seed=1)[1]
    assert {one.origin.text for one in other["test"]} != texts["test"]


def test_a_wrong_folder_is_named(place):
    write_folder(place / "mine", ["dev.txt"])
    for root, message in (
        ("nowhere", "no file or folder nowhere"),
        ("mine", "no file in mine has 'train' in its name"),
    ):
        with pytest.raises((FileNotFoundError, ValueError), match=message):
            create(root)
    write_folder(place / "mine", ["train.a", "train.b"])
    with pytest.raises(ValueError, match=r"several files for train, train\.a, train\.b: keep one"):
        create("mine")
    with pytest.raises(FileNotFoundError, match="no sentences are given: set task"):
        create()


# Entities

TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BIES" for kind in "xy")]


def begins(before, now):
    """conlleval.pl: whether an entity begins at a tag, after another."""
    (a, _, kind), (b, _, own) = before.partition("-"), now.partition("-")
    chain = b in ("B", "S") or (a in ("E", "S", "O") and b in ("E", "I"))
    return chain or (b != "O" and kind != own)


def ends(before, now):
    """conlleval.pl: whether an entity ends before a tag."""
    (a, _, kind), (b, _, own) = before.partition("-"), now.partition("-")
    chain = a in ("E", "S") or (a in ("B", "I") and b in ("B", "S", "O"))
    return chain or (a != "O" and kind != own)


def conlleval(tags):
    found, start = [], 0
    for at, (before, now) in enumerate(itertools.pairwise(["O", *tags, "O"])):
        if ends(before, now):
            found.append(Entity(start, at, before.partition("-")[2]))
        if begins(before, now):
            start = at
    return found


@given(st.lists(st.sampled_from(TAGS), max_size=8))
def test_entities_are_those_of_conlleval(tags):
    assert read_entities(tags) == conlleval(tags)


def test_entities_are_those_of_seqeval():
    seqeval = pytest.importorskip("seqeval.metrics.sequence_labeling")
    random = np.random.default_rng(0)
    for _ in range(300):
        tags = random.choice(TAGS, random.integers(1, 9)).tolist()
        theirs = [(kind, a, b + 1) for kind, a, b in seqeval.get_entities(tags)]
        assert [(kind, a, b) for a, b, kind in read_entities(tags)] == theirs


@given(st.lists(st.sampled_from(TAGS), max_size=8), st.sampled_from(["BIO", "BIOES"]))
def test_entities_come_back_from_every_scheme(tags, scheme):
    found = read_entities(tags)
    written = write_entities(found, len(tags), scheme)
    assert read_entities(written) == found and lone_inside(written) is None
    assert {tag[0] for tag in written} <= set(scheme)


def test_bilou_is_bioes_by_other_names():
    assert read_entities(["B-x", "I-x", "L-x", "U-x", "O"]) == [(0, 3, "x"), (3, 4, "x")]
    assert read_entities(["B", "I", "O"]) == [(0, 2, "")]
    assert write_entities([Entity(0, 2, "")], 3, "BIO") == ["B", "I", "O"]


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_tags_may_follow_each_other_as_the_scheme_writes_them(scheme):
    classes = [tag for tag in TAGS if tag[0] in scheme]
    allowed = transitions(classes, scheme)
    for length in (1, 2, 3):
        for path in itertools.product(range(len(classes)), repeat=length):
            tags = [classes[one] for one in path]
            says = allowed.first[path[0]] and allowed.last[path[-1]]
            says &= all(allowed.follow[a, b] for a, b in itertools.pairwise(path))
            assert says == (write_entities(read_entities(tags), length, scheme) == tags), tags


def test_a_task_knows_what_may_follow_from_its_classes_alone():
    task = sn.tasks.create("tagging", root="x", scheme="BIO")
    assert task.transitions is None
    task.know(None, {"classes": ["O", "B-x", "I-x"]})
    assert task.transitions.follow.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    plain = sn.tasks.create("tagging", root="x")
    plain.know(None, {"classes": ["O", "B-x"]})
    assert plain.transitions is None


@pytest.mark.filterwarnings("ignore::structnet.DataWarning")
def test_an_inside_without_a_beginning_is_refused_or_converted(place):
    (place / "a.txt").write_text(CONLL_2003 + "\nIn IN I-PP O\nVienna NNP I-NP I-LOC\n")
    with pytest.raises(ValueError) as caught:
        create("a.txt", scheme="BIO")
    assert "a.txt, line 3: 'I-ORG' has no entity to go on with, after nothing" in str(caught.value)
    _, splits = create("a.txt", scheme="BIOES", lone_inside="convert")
    found = {pair for some in splits.values() for one in some for pair in pairs(one.origin)}
    assert {("EU", "S-ORG"), ("Peter", "B-PER"), ("Blackburn", "E-PER")} <= found
    # As they are where they are not entities.
    assert ("EU", "I-ORG") in {p for s in create("a.txt")[1].values() for o in s
                               for p in pairs(o.origin)}  # fmt: skip
    with pytest.raises(ValueError, match=r"line 3: 'NNP' is not a tag of entities such as O"):
        create("a.txt", scheme="BIO", column="2")


# Tags that training has not seen


def test_a_tag_that_training_has_not_seen_is_named_and_counts_as_wrong(place):
    write_folder(place / "mine", ["train.txt"])
    (place / "mine" / "dev.txt").write_text("a T\n")
    (place / "mine" / "test.txt").write_text("a T\nb V\nc W\n\nd V\n")
    with pytest.warns(sn.DataWarning) as told:
        task, splits = create(place / "mine")
    assert str(told.pop(sn.DataWarning).message) == (
        f"{place}/mine/test.txt, line 2: tag 'V' is not one that the net learns: words of test "
        "tagged V, W count as wrong, 3 in all"
    )
    assert task.classes == ["T", "U"] and list(task.unseen) == ["V", "W"]
    first, second = splits["test"]
    assert first.y.tolist() == [0, 2, 3] and second.y.tolist() == [2]
    batch = sn.collate(splits["test"], TOPOLOGY)
    scores = torch.tensor([[1.0, 0.0]] * 4)
    metric = task.metrics()["accuracy"]
    metric.update(*task.measured(scores, batch)["accuracy"])
    assert metric.compute() == 0.25
    # The same of classes that were chosen together.
    again = task.metrics()["accuracy"]
    again.update(*task.measured(scores.argmax(1), batch)["accuracy"])
    assert again.compute() == 0.25


# Measures


def as_tags(labels):
    return [TAGS[one] for one in labels]


def measured(scores, true):
    """The figures of a task with the tags TAGS, of sentences of scores and true tags."""
    task = sn.tasks.create("tagging", root="x", scheme="BIOES")
    task.know(None, {"classes": TAGS})
    metrics = task.metrics()
    for some in ([0, 1], [2]):
        samples = [
            sn.Sample(len(true[i]), np.zeros((len(true[i]), 1), np.float32), true[i]) for i in some
        ]
        batch = sn.collate(samples, TOPOLOGY)
        output = torch.cat([scores[i] for i in some])
        for name, counted in task.measured(output, batch).items():
            metrics[name].update(*counted)
    return {name: metric.compute().item() for name, metric in metrics.items()}


def draw():
    random = np.random.default_rng(3)
    true = [random.integers(len(TAGS), size=size) for size in (9, 1, 40)]
    scores = [
        torch.from_numpy(np.eye(len(TAGS))[one] + 0.7 * random.standard_normal((len(one), 9)))
        for one in true
    ]
    return scores, true


def test_figures_are_shares_of_entities_that_are_right_in_words_and_kind():
    scores, true = draw()
    found = measured(scores, true)
    said = [as_tags(one.argmax(1).tolist()) for one in scores]
    real = [as_tags(one) for one in true]
    for kinds, name in ((("x", "y"), ""), (("x",), "x "), (("y",), "y ")):
        a, b = (
            {(at, e) for at, tags in enumerate(some) for e in conlleval(tags) if e.kind in kinds}
            for some in (said, real)
        )
        assert 0 < len(a & b) < len(b)
        assert found[f"{name}precision"] == pytest.approx(len(a & b) / len(a))
        assert found[f"{name}recall"] == pytest.approx(len(a & b) / len(b))
        assert found[f"{name}f1"] == pytest.approx(2 * len(a & b) / (len(a) + len(b)))
    words = [(a, b) for p, t in zip(said, real, strict=True) for a, b in zip(p, t, strict=True)]
    assert found["accuracy"] == pytest.approx(sum(a == b for a, b in words) / len(words))


def test_figures_are_those_of_seqeval():
    seqeval = pytest.importorskip("seqeval.metrics")
    scores, true = draw()
    said = [as_tags(one.argmax(1).tolist()) for one in scores]
    report = seqeval.classification_report([as_tags(one) for one in true], said, output_dict=True)
    found = measured(scores, true)
    for kind, theirs in (("", "micro avg"), ("x ", "x"), ("y ", "y")):
        for name, own in (("precision", "precision"), ("recall", "recall"), ("f1-score", "f1")):
            assert found[f"{kind}{own}"] == pytest.approx(report[theirs][name])


def test_what_is_not_there_has_figures_of_zero():
    assert measures.figures(0, 0, 0) == {"precision": 0, "recall": 0, "f1": 0}
    found = measures.entity_figures([([], [])], ["a.b"])
    assert set(found) == {"precision", "recall", "f1", "a_b precision", "a_b recall", "a_b f1"}
    assert set(found.values()) == {0}
    # An entity that no class of the net writes was there to be found.
    missed = measures.entity_figures([([Entity(0, 1, "x")], [Entity(0, 1, "y")])], ["x", "y"])
    assert missed["recall"] == missed["y recall"] == missed["precision"] == 0


# Baselines


def test_baselines_are_a_words_most_frequent_tag_and_a_perceptron(place):
    random = np.random.default_rng(0)
    state = python_random.getstate()
    train = [
        [("the", "D"), (f"{word}s", "N"), (f"{word}ed", "V")] * 2
        for word in map("".join, random.choice(list("abcdef"), (40, 4)))
    ]
    fitted = baselines.taggers(train)
    assert python_random.getstate() == state
    usual = fitted["most frequent tag"]
    # Each tag is as frequent; of an unknown word the first of them.
    assert usual(["the", train[0][1][0], "unknown"]) == ["D", "N", "D"]
    assert fitted["perceptron (NLTK)"](["the", "zzzs", "zzzed"]) == ["D", "N", "V"]
    write_folder(place / "mine", ["train.txt", "dev.txt", "test.txt"])
    task, _ = create(place / "mine")
    found = task.baselines()
    # Of the test split's words, w0 is T, as in training, and the other is unknown there.
    assert found["most frequent tag"]["accuracy"] == 0.5
    assert set(found) == {"most frequent tag", "perceptron (NLTK)"}


# Samples


@pytest.mark.filterwarnings("ignore::structnet.DataWarning")
def test_words_are_known_in_small_letters_and_keep_their_spelling(place):
    (place / "a.txt").write_text("The T\nthe T\nTHE U\n\nx U\n\ny U\n")
    task, splits = create("a.txt", lower=True)
    (sample,) = [one for some in splits.values() for one in some if len(one.x) == 3]
    assert task.node_names(sample) == ("The", "the", "THE")
    known = sn.tasks.create("tagging", root="x", lower=True)
    known.know(sn.Vocabulary({"the": 2}), {"classes": ["T", "U"]})
    again = known.read_text(sn.Origin("text", 1, "The the THE"), TOPOLOGY)
    assert again.x.ids.tolist() == [1, 1, 1]
    assert bytes(again.x.spelling.ids) == b"\xfeThe\xff\xfethe\xff\xfeTHE\xff"
    assert again.y.tolist() == [sn.IGNORE] * 3


def test_longer_sentences_are_cut_and_said(place):
    (place / "a.txt").write_text("".join(f"{n} T\nb T\nc T\n\n" for n in range(6)) + "d T\n")
    with pytest.warns(sn.DataWarning) as told:
        task, splits = create("a.txt", max_length=2)
    assert all(len(one.x) == len(one.y) <= 2 for some in splits.values() for one in some)
    texts = [str(one.message) for one in told]
    assert 2 <= len(texts) <= 3
    assert any("3 words, of which the first 2 are read, and as much of" in text for text in texts)
    with pytest.warns(
        sn.DataWarning, match=r"text, line 4: 3 words, of which the first 2 are read"
    ):
        sample = task.read_text(sn.Origin("text", 4, "a b c"), TOPOLOGY)
    assert len(sample.x) == 2 and task.node_names(sample) == ("a", "b")


def test_a_share_is_learned_from_as_if_there_were_no_others(place):
    lines = [f"w{n}\tT\n" for n in range(40)]
    for name, some in (("train", lines), ("dev", lines[:3]), ("test", lines[:5])):
        (place / f"{name}.txt").write_text("\n".join(some))
    whole, small, large = (create(place, share=share) for share in (1.0, 0.1, 0.5))
    texts = [{one.origin.text for one in splits["train"]} for _, splits in (whole, small, large)]
    assert [*map(len, texts)] == [40, 4, 20] and texts[1] < texts[2] < texts[0]
    assert {*small[0].vocabulary.counts} == texts[1]
    assert len(small[1]["test"]) == 5 and len(small[1]["validation"]) == 3
    (other,) = create(place, share=0.1, seed=1)[1:]
    assert {one.origin.text for one in other["train"]} != texts[1]


def test_a_text_keeps_its_quotation_marks_unless_the_net_knows_others():
    task = sn.tasks.create("tagging", root="x")
    origin = sn.Origin("text", 1, 'She said "don\'t".')
    for known, quotes in (({"a": 1}, ['"', '"']), ({"``": 1, "''": 1}, ["``", "''"])):
        task.know(sn.Vocabulary(known), {"classes": ["T"]})
        names = task.node_names(task.read_text(origin, TOPOLOGY))
        assert list(names) == ["She", "said", quotes[0], "do", "n't", quotes[1], "."]
    with pytest.raises(ValueError, match="text, line 1: '  ' has no words"):
        task.read_text(sn.Origin("text", 1, "  "), TOPOLOGY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": "a", "corpus": "brown"}, "root=a and corpus=brown are both given"),
        ({"root": "a", "tagset": "universal"}, "tagset=universal is for task.corpus=treebank"),
        ({"column": "0"}, "column=0 and word_column=1"),
        ({"column": "2", "word_column": 2}, "column=2 and word_column=2"),
        ({"word_column": 0}, "option 'word_column' is at least 1, got 0"),
        ({"max_length": 0}, "option 'max_length' is at least 1, got 0"),
        ({"share": 0.0}, "option 'share' is above 0 and at most 1, got 0.0"),
        ({"share": 1.5}, "option 'share' is above 0 and at most 1, got 1.5"),
        ({"min_count": 0}, "option 'min_count' is at least 1, got 0"),
        ({"scheme": "IOB1"}, "scheme"),
    ],
)
def test_a_wrong_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create("tagging", **options)


# NLTK's corpora


@pytest.fixture
def corpora(place, monkeypatch):
    """A folder of NLTK's with small corpora in the form of its own."""
    import nltk
    from nltk.corpus import reader
    from nltk.corpus.util import LazyCorpusLoader

    tagged = reader.CategorizedTaggedCorpusReader
    fresh = {
        "treebank": LazyCorpusLoader(
            "treebank/combined", reader.BracketParseCorpusReader, r"wsj_.*\.mrg", tagset="wsj"
        ),
        "brown": LazyCorpusLoader(
            "brown", tagged, r"c[a-z]\d\d", cat_file="cats.txt", tagset="brown"
        ),
        "masc_tagged": LazyCorpusLoader(
            "masc_tagged", tagged, r"(spoken|written)/.*\.txt", cat_file="categories.txt",
            tagset="wsj", encoding="utf-8", sep="_",
        ),
    }  # fmt: skip
    for name, one in fresh.items():
        # NLTK's own may have been loaded from another place.
        monkeypatch.setattr(nltk.corpus, name, one)
    monkeypatch.setattr(nltk.data, "path", [])
    monkeypatch.setenv("STRUCTNET_DATA", str(place))
    folder = place / "nltk_data" / "corpora"
    files = {
        "treebank/combined/wsj_0001.mrg": "( (S (NP-SBJ (-NONE- *-1)) (VP (VB Go))) )\n"
        "( (S (NP-SBJ (-NONE- *))) )\n( (S (NP (NNP Ann)) (. .)) )\n",
        "brown/ca01": "The/at dog/nn-hl\n\n\nGo/vb ./.\n",
        "brown/cats.txt": "ca01 news\n",
        "masc_tagged/spoken/a.txt": "Hi_UH _IN you_PRP !_.\n",
        "masc_tagged/categories.txt": "spoken/a.txt talk\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return place / "nltk_data"


def read(name, tagset="own"):
    from structnet.plugins.sequence.tagging.corpora import read_nltk

    return [pairs(one) for one in read_nltk(name, tagset)]


def test_tagged_corpora_are_read_without_what_is_not_written(corpora):
    assert read("treebank") == [[("Go", "VB")], [("Ann", "NNP"), (".", ".")]]
    assert read("brown") == [[("The", "AT"), ("dog", "NN-HL")], [("Go", "VB"), (".", ".")]]
    assert read("masc_tagged") == [[("Hi", "UH"), ("you", "PRP"), ("!", ".")]]


def test_tags_are_mapped_to_the_universal_ones_where_the_map_is_there(corpora, monkeypatch):
    from nltk.tag import mapping

    monkeypatch.setattr(mapping, "_MAPPINGS", mappings())
    with pytest.raises(FileNotFoundError, match=r"nltk\.downloader universal_tagset"):
        sn.tasks.create("tagging", corpus="brown", tagset="universal").find()
    folder = corpora / "taggers" / "universal_tagset"
    folder.mkdir(parents=True)
    (folder / "en-brown.map").write_text("AT\tDET\nNN-HL\tNOUN\nVB\tVERB\n")
    monkeypatch.setattr(mapping, "_MAPPINGS", mappings())
    assert read("brown", "universal") == [
        [("The", "DET"), ("dog", "NOUN")], [("Go", "VERB"), (".", "X")],
    ]  # fmt: skip


def mappings():
    """What NLTK has of its maps before it reads one."""
    return defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: "UNK")))


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="needs STRUCTNET_DATA")
def test_real_files_have_as_many_words_and_entities_as_is_known():
    ewt = Path(DATA, "ud", "UD_English-EWT")
    found = list(read_conllu(ewt / "en_ewt-ud-dev.conllu.gz", "upos"))
    assert (len(found), sum(len(one.words) for one in found)) == (2001, 25147)
    wnut = list(read_columns(Path(DATA, "wnut17", "emerging.dev.conll"), 1, None))
    assert (len(wnut), sum(len(one.words) for one in wnut)) == (1009, 15733)
    assert sum(len(read_entities(one.tags)) for one in wnut) == 836
    assert all(lone_inside(one.tags) is None for one in wnut)
    with pytest.warns(sn.DataWarning, match="validation tagged SYM count as wrong, 1 in all"):
        _, splits = create(corpus="treebank")
    words = sum(len(one.x) for some in splits.values() for one in some)
    assert words == 94084
