"""A task of one's own from a file: trained, tested, predicted with, and its mistakes named."""

import json
import re

import pytest
from commands import call, refused

TASK = '''
import json
import numpy as np
import structnet as sn


@sn.tasks.register("mine")
class Mine(sn.Task):
    """Lines of JSON: words and a label, or a label a word."""

    structures = ("sequence",)

    def __init__(self, *, root: str = "data", tags: bool = False):
        self.root, self.tags = root, tags

    def scores_nodes(self, topology):
        return self.tags

    def load(self, topology):
        splits = {name: list(self._lines(f"{self.root}/{name}.jsonl"))
                  for name in ("train", "validation", "test")}
        labels = sorted({label for _, one in splits["train"] for label in one["labels"]})
        self.classes = self.classes or labels
        if self.vocabulary is None:
            words = (word for _, one in splits["train"] for word in one["words"])
            self.vocabulary = sn.Vocabulary.count(words, 1)
        return {name: [self._sample(*one) for one in some] for name, some in splits.items()}

    def read(self, path, topology):
        for number, one in self._lines(path):
            yield self._sample(number, {"labels": [], **one})

    def _lines(self, path):
        with open(path) as file:
            for number, line in enumerate(file, 1):
                yield number, json.loads(line)

    def _sample(self, number, one):
        y = [list(self.classes).index(label) for label in one["labels"]]
        y = y or [sn.IGNORE] * (len(one["words"]) if self.tags else 1)
        x = self.vocabulary.tokens([[word] for word in one["words"]])
        return sn.Sample(len(one["words"]), x, np.array(y if self.tags else y[0]))
'''
WORDS = ("task=mine", "topology=chain", "cell=elman", "net.hidden_size=4", "net.embedding_size=4",
         "trainer.num_workers=0", "trainer.max_epochs=1", "--plugin", "mine.py")  # fmt: skip
PLUGIN = ("--plugin", "mine.py")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TASK)
    return tmp_path


def write(folder, tags=False, names="abc"):
    folder.mkdir(exist_ok=True)
    for split, count in (("train", 12), ("validation", 3), ("test", 3)):
        lines = []
        for number in range(count):
            words = [f"w{number % 5}", "the", "end"][: 1 + number % 3]
            labels = [names[(number + place) % len(names)] for place in range(len(words))]
            lines.append(json.dumps({"words": words, "labels": labels if tags else labels[:1]}))
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")


def test_classes_set_in_load_are_saved_and_samples_without_an_origin_are_numbered(place):
    write(place / "data")
    status, out, err = call("train", *WORDS, "run=out")
    assert status == 0, err
    described = json.loads((place / "out" / "config.json").read_text())
    assert described["learned"] == {"classes": ["a", "b", "c"]}
    (place / "new.jsonl").write_text('{"words": ["the", "end"]}\n{"words": ["new"]}\n')
    status, out, err = call("predict", "run=out", "path=new.jsonl", *PLUGIN)
    assert (status, err) == (0, "")
    assert re.fullmatch(
        r"new.jsonl:1: sample 0 \([abc], [01]\.\d{3}\)\nnew.jsonl:2: sample 1 \([abc], .*\)\n", out
    )
    found = json.loads(call("predict", "run=out", "path=new.jsonl", "--json", *PLUGIN).out)
    assert [one["line"] for one in found] == [1, 2]


def test_a_task_with_a_target_a_node_gives_a_line_a_node(place):
    write(place / "data", tags=True)
    assert call("train", *WORDS, "task.tags=true", "run=out").status == 0
    (place / "new.jsonl").write_text('{"words": ["the", "end"]}\n{"words": ["w1"]}\n')
    status, out, _ = call("predict", "run=out", "path=new.jsonl", *PLUGIN)
    assert status == 0
    starts = ["new.jsonl:1: node 0 the (", "new.jsonl:1: node 1 end (", "new.jsonl:2: node 0 w1 ("]
    for line, start in zip(out.splitlines(), starts, strict=True):
        assert line.startswith(start) and re.search(r"\([abc], [01]\.\d{3}\)$", line)
    words = ("predict", "run=out", "path=new.jsonl", *PLUGIN)
    (one,) = json.loads(call(*words, "--json", "top=1").out)
    assert one["node"] == 0 and one["name"] == "the" and one["class"] in "abc"
    assert call(*words, "min=1").out == ""
    assert "min must be a probability" in refused(*words, "min=2")
    for name, count in (("all.json", 3), ("all.csv", 4), ("all.txt", 3)):
        status, out, _ = call(*words, f"out={name}")
        assert status == 0 and name in out
        text = (place / name).read_text()
        assert (len(json.loads(text)) if name == "all.json" else len(text.splitlines())) == count


def test_a_run_is_tested_on_other_data_with_its_own_words_and_classes(place):
    write(place / "data")
    write(place / "other", names="cab")
    assert call("train", *WORDS, "run=out").status == 0
    saved = (place / "out" / "metrics.json").read_bytes()
    own = call("test", "run=out", *PLUGIN)
    status, out, err = call("test", "run=out", "task.root=other", *PLUGIN)
    assert status == 0, err
    assert "task.root=other" in out and "task.root" not in own.out
    assert (place / "out" / "metrics.json").read_bytes() == saved
    assert "no option" in refused("test", "run=out", "task.rot=other", *PLUGIN)
    assert "nowhere" in refused("test", "run=out", "task.root=nowhere", *PLUGIN)
    # A task that makes its classes anew would be measured with others.
    text = TASK.replace("self.classes = self.classes or labels", "self.classes = labels")
    (place / "mine.py").write_text(text)
    assert call("test", "run=out", *PLUGIN).status == 0
    write(place / "other", names="xyz")
    message = refused("test", "run=out", "task.root=other", *PLUGIN)
    assert "makes another classes, ['x', 'y', 'z']" in message and "['a', 'b', 'c']" in message


GIVEN = "{name: [self._sample(*one) for one in some] for name, some in splits.items()}"


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('one["words"])', 'one["wrds"])', "KeyError: 'wrds'"),
        ("json.loads(line)", "json.loads(line + '}')", "JSONDecodeError: Extra data"),
        ("np.array(y if", "nump.array(y if", "NameError: name 'nump' is not defined"),
        (GIVEN, "[1]", "gives train, validation and test, got list"),
        (GIVEN, '{"train": []}', "gives train, validation and test, got ['train']"),
        ('y = [list(self.classes).index(label) for label in one["labels"]]',
         "y = [0]; self.classes = []", "'mine' has no classes to predict"),
        ("return self.tags", "return True", "'mine' has 12 targets for 12 samples of 24 nodes"),
        ("np.array(y if self.tags else y[0])", "np.float32(1)", "targets must be whole numbers"),
        ("np.array(y if self.tags else y[0])", "np.array(5)", "'mine' has the target 5, but its"),
        ("x = self.vocabulary", "x = np.zeros((len(one['words']), 3)) if 1 else self.vocabulary",
         "its x is float32 (n, None) as by `input_size`, or sn.Tokens, got float64 (1, 3)"),
        ("return sn.Sample(len", "return 3, (len", "it is a sn.Sample, got (3, "),
        ("return sn.Sample(len", "return sn.Sample(1 + len", "has input for 1 nodes, its st"),
        ("return sn.Sample(len", "return sn.Sample(len([]) or 'a' or len", "first sample of train"),
        ('"validation", "test")', '"validation", "test", "validation")', None),
    ],
)  # fmt: skip
def test_a_mistake_in_a_task_is_named_with_its_place(place, old, new, cause):
    write(place / "data")
    if cause is None:
        (place / "data" / "validation.jsonl").write_text("")
        cause = "gives no samples for split 'validation'"
    assert old in TASK
    (place / "mine.py").write_text(TASK.replace(old, new))
    message = refused("train", *WORDS, "run=out")
    assert "mine" in message.lower() and cause in message and "\n" not in message
    assert "Error" not in cause or re.search(r"\(\S*mine\.py, line \d+\)$", message)
    # What fails before the first step is done leaves nothing, and takes nothing.
    assert not (place / "out").exists()
    (place / "kept" / "logs" / "mine").mkdir(parents=True)
    assert refused("train", *WORDS, "run=kept").startswith(message[:20])
    assert [path.name for path in (place / "kept").rglob("*")] == ["logs", "mine"]
    (place / "mine.py").write_text(TASK)
    write(place / "data")
    assert call("train", *WORDS, "run=out").status == 0


def test_a_bad_line_is_named_with_the_last_good_one(place):
    write(place / "data")
    assert call("train", *WORDS, "run=out").status == 0
    (place / "new.jsonl").write_text('{"words": ["the"]}\n{"wrds": ["end"]}\n')
    message = refused("predict", "run=out", "path=new.jsonl", *PLUGIN)
    assert message.startswith("task 'mine' failed to read new.jsonl after sample 0 (new.jsonl:1): ")
    assert "KeyError: 'words'" in message and re.search(r"mine\.py, line \d+\)$", message)
    for origin, wrong in (("'new.jsonl'", "got 'new.jsonl'"), ("3", "got 3")):
        text = TASK.replace("y[0]))", f"y[0]), origin={origin})")
        (place / "mine.py").write_text(text)
        message = refused("predict", "run=out", "path=new.jsonl", *PLUGIN)
        assert "sn.Origin(path, line, text)" in message and wrong in message
    text = TASK.replace("y[0]))", "y[0]), origin=sn.Origin('new', 7, 'words'))")
    (place / "mine.py").write_text(text)
    (place / "new.jsonl").write_text('{"words": ["the"]}\n')
    assert call("predict", "run=out", "path=new.jsonl", *PLUGIN).out.startswith("new:7: words (")


def test_baselines_that_fail_leave_the_figures_of_the_run(place):
    write(place / "data")
    (place / "mine.py").write_text(TASK + "\n    def baselines(self):\n        return 1 / 0\n")
    message = refused("train", *WORDS, "run=out")
    assert "task 'mine' failed to fit its baselines: ZeroDivisionError" in message
    assert call("test", "run=out", *PLUGIN).status == 0
