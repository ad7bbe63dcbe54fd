"""Splits of tasks that read a user's files: given by options, drawn, and divided into folds."""

from collections import Counter
from itertools import chain

import numpy as np
import pytest
from commands import call, refused
from PIL import Image

import structnet as sn
from structnet.plugins.files.splits import Folds, deal

COUNT = 24


def named(number):
    """A word for a number, its digits as letters."""
    return "".join(chr(ord("a") + int(digit)) for digit in f"{number:03}")


def write_reviews(path, numbers):
    rows = (f"{'good' if n % 2 else 'bad'}\tfilm {named(n)}\n" for n in numbers)
    path.with_suffix(".tsv").write_text("label\ttext\n" + "".join(rows))
    return path.with_suffix(".tsv")


def write_sentences(path, numbers):
    rows = (f"a\tDET\n{named(n)}\tNOUN\n\n" for n in numbers)
    path.with_suffix(".conll").write_text("".join(rows))
    return path.with_suffix(".conll")


def write_trees(path, numbers):
    rows = (f"(S (DT the) (NN {named(n)}))\n" for n in numbers)
    path.with_suffix(".mrg").write_text("".join(rows))
    return path.with_suffix(".mrg")


def write_phrases(path, numbers):
    rows = (f"({n % 5} ({n % 3} the) (2 {named(n)}))\n" for n in numbers)
    path.with_suffix(".txt").write_text("".join(rows))
    return path.with_suffix(".txt")


def write_images(path, numbers):
    for n in numbers:
        folder = path / ("odd" if n % 2 else "even")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 3), n, np.uint8)).save(folder / f"{n}.png")
    return path


def write_captions(path, numbers):
    path.mkdir(exist_ok=True)
    for n in numbers:
        Image.fromarray(np.full((2, 3, 3), n, np.uint8)).save(path / f"{n}.png")
    (path / "captions.tsv").write_text("".join(f"{n}.png\t{named(n)}\n" for n in numbers))
    return path


def write_pairs(path, numbers):
    for language in ("de", "en"):
        text = "".join(f"{language} {named(n)}\n" for n in numbers)
        path.with_name(f"{path.name}.{language}").write_text(text)
    return path


def write_code(path, numbers):
    path.mkdir(exist_ok=True)
    for n in numbers:
        (path / f"{named(n)}.py").write_text(f"x = f({named(n)}, 1)\n")
    return path


def of_origin(splits, split):
    return [one.origin.text for one in splits[split]]


# Task -> options, topology, what writes its files, and the items of a split.
CASES = {
    "classification": ({}, "chain", write_reviews, of_origin),
    "tagging": ({}, "chain", write_sentences, of_origin),
    "trees": ({}, "tree", write_trees, of_origin),
    "parsing": ({}, "chain", write_trees, of_origin),
    "sst": ({}, "tree", write_phrases, lambda s, split: [one.text for one in s.source[split]]),
    "images": (
        {"channels": 1},
        "row",
        write_images,
        lambda s, split: [str(int(one.y[0, 0])) for one in s[split]],
    ),
    "captions": ({}, "chain", write_captions, of_origin),
    "translation": (
        {"subwords": 280},
        "chain",
        write_pairs,
        lambda s, split: [one.source for one in s.source[split]],
    ),
    "expressions": (
        {"subwords": 280, "min_count": 1},
        "tree",
        write_code,
        lambda s, split: [one.text for one in s.source[split] if "f(" in one.text],
    ),
    "swapped": (
        {"min_count": 1},
        "tree",
        write_code,
        lambda s, split: sorted({one.origin.text for one in s[split]}),
    ),
}


def load(name, **options):
    fixed, topology, _, items = CASES[name]
    task = sn.tasks.create(name, **fixed, **options)
    splits = task.load(sn.topologies.create(topology))
    return {split: Counter(items(splits, split)) for split in ("train", "validation", "test")}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """A task, and what writes numbered samples for it: name and numbers -> path."""
    write = CASES[request.param][2]
    return request.param, lambda name, numbers: str(write(tmp_path / name, numbers))


def test_splits_are_what_is_given(case):
    task, write = case
    parts = {"train": range(14), "validation": range(14, 18), "test": range(18, COUNT)}
    found = load(task, **{split: write(split, numbers) for split, numbers in parts.items()})
    assert {split: some.total() for split, some in found.items()} == {
        "train": 14, "validation": 4, "test": 6,
    }  # fmt: skip
    assert len(sum(found.values(), Counter())) == COUNT


def test_splits_that_are_not_given_are_drawn_from_the_training_split(case):
    task, write = case
    train, test = write("train", range(COUNT)), write("test", range(100, 105))
    found = load(task, train=train, test=test)
    assert found["test"].total() == 5 and found["validation"].total() >= 2
    assert found["train"].total() + found["validation"].total() == COUNT
    assert not found["train"] & found["validation"]
    alone = load(task, train=train)
    assert all(alone.values()) and len(sum(alone.values(), Counter())) == COUNT


def test_each_sample_is_tested_in_one_of_the_folds(case):
    task, write = case
    train, held_out = write("all", range(COUNT)), write("held", range(100, 105))
    folds = [load(task, train=train, folds=4, fold=fold) for fold in range(4)]
    tested = sum((found["test"] for found in folds), Counter())
    assert set(tested.values()) == {1} and len(tested) == COUNT
    for found in folds:
        assert found["validation"] and len(sum(found.values(), Counter())) == COUNT
    with pytest.raises(ValueError, match=r"^task.folds=4 draws the test split, which is given"):
        load(task, train=train, test=held_out, folds=4)
    with pytest.raises(ValueError, match=r"at least 30 are needed for train.* in 30 folds"):
        load(task, train=train, folds=30)


def test_paths_that_do_not_go_together_are_refused(case):
    task, write = case
    path = write("all", range(COUNT))
    with pytest.raises(ValueError, match=r"task.root and task.train are both given: take one"):
        load(task, root=path, train=path)
    with pytest.raises(ValueError, match=r"task.test is given without task.train=PATH"):
        load(task, test=path)
    with pytest.warns(sn.DataWarning, match="task.train and task.test are both"):
        load(task, train=path, test=path)
    with pytest.warns(sn.DataWarning, match=r"and task\.test=.*copy.* hold the same bytes"):
        load(task, train=path, test=write("copy", range(COUNT)))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(task, train=f"{path}/nowhere")
    for options in ({"folds": 1}, {"folds": 3, "fold": 3}, {"fold": 1}):
        with pytest.raises(ValueError, match=r"task\.fold"):
            sn.tasks.create(task, root=path, **options)


# Texts


def texts(**options):
    return sn.tasks.create("text", **options).texts()


def test_texts_of_splits_are_given_or_cut(tmp_path):
    whole = "".join(named(n) + "\n" for n in range(100))
    (tmp_path / "a.txt").write_text(whole)
    (tmp_path / "b.txt").write_text("other\n")
    train, other = str(tmp_path / "a.txt"), str(tmp_path / "b.txt")
    found = texts(train=train, validation=other, test=other)
    assert found == {"train": whole, "validation": "other\n", "test": "other\n"}
    found = texts(train=train, test=other)
    assert found["validation"] + found["train"] == whole and len(found["validation"]) == 20
    found = texts(train=train, validation=other)
    assert found["train"] + found["test"] == whole and len(found["test"]) == 40


def test_a_text_is_tested_on_stretch_by_stretch(tmp_path):
    whole = "".join(named(n) + "\n" for n in range(100))
    (tmp_path / "a.txt").write_text(whole)
    folds = [texts(root=str(tmp_path), folds=3, fold=fold) for fold in range(3)]
    assert "".join(found["test"] for found in folds) == whole
    for found in folds:
        assert Counter("".join(found.values())) == Counter(whole) and all(found.values())


@pytest.mark.parametrize("folds", [None, 3, 7])
def test_a_text_is_cut_between_words(tmp_path, folds):
    words = [named(n)[: 1 + n % 3] + named(n) for n in range(100)]
    whole = " ".join(words)
    (tmp_path / "a.txt").write_text(whole)
    found = [texts(root=str(tmp_path), folds=folds, fold=fold) for fold in range(folds or 1)]
    for splits in found:
        assert Counter(" ".join(splits.values()).split()) == Counter(words)
    if folds:
        assert "".join(splits["test"] for splits in found) == whole


def test_a_text_without_spaces_is_cut(tmp_path):
    (tmp_path / "a.txt").write_text("ab" * 1000)
    found = texts(root=str(tmp_path))
    assert [len(some) for some in found.values()] == [1700, 100, 200]


def test_files_of_texts_are_dealt_into_folds(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.txt").write_text(f"text {number}\n")
    folds = [texts(root=str(tmp_path), folds=3, fold=fold) for fold in range(3)]
    tested = Counter(line for found in folds for line in found["test"].splitlines())
    assert tested == {f"text {number}": 1 for number in range(9)}
    assert all(len("".join(found.values()).splitlines()) == 9 for found in folds)


def test_corpora_with_given_splits_have_no_folds(tmp_path):
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text("some text\n")
    with pytest.raises(ValueError, match=r"task.folds=3 draws the test split, which is given"):
        texts(root=str(tmp_path), folds=3)
    with pytest.raises(ValueError, match="folds are for images of your own"):
        sn.tasks.create("captions", folds=3).find()


# On the command line


def test_a_run_on_given_splits_is_tested_on_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, numbers in {"train": range(COUNT), "test": range(100, 105)}.items():
        write_reviews(tmp_path / name, numbers)
    words = ("topology=chain", "net.hidden_size=4", "net.embedding_size=4", "trainer.max_epochs=1",
             "trainer.num_workers=0", "run=mine")  # fmt: skip
    given = ("task=classification", "task.train=train.tsv", "task.test=test.tsv")
    status, _, err = call("train", *given, *words)
    assert status == 0, err
    write_reviews(tmp_path / "other", range(200, 220))
    status, out, err = call("test", "run=mine", "task.test=other.tsv")
    assert status == 0 and "with task.test=other.tsv" in out, err
    assert "leave the other out by null" in refused("test", "run=mine", "task.root=other.tsv")
    status, out, err = call("test", "run=mine", "task.seed=4")
    assert status == 0 and "task.seed splits the data in another way than in training" in err


# Dealing


@pytest.mark.parametrize("missing", [["test", "validation"], ["test"], ["validation"], []])
@pytest.mark.parametrize("count", [3, 10, 29, 40])
def test_what_is_dealt_is_in_one_split(missing, count):
    parts = deal(range(count), missing, Folds(), "things")
    assert sorted(chain(*parts.values())) == list(range(count))
    assert all(len(parts[split]) == max(1, count // 10) for split in missing)
    assert set(parts) == {"train", *missing}
    too_few = r"0 things, at least \d are needed for train"
    with pytest.raises(ValueError, match=too_few):
        deal([], missing, Folds(), "things")
