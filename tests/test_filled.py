"""Slots that no training sample fills are named where other samples fill them."""

import json
import warnings

import pytest
from commands import call, refused

import structnet as sn
from structnet.data.filled import unfilled_slots, warn_of_slots

TASK = '''
import json
import numpy as np
import structnet as sn


@sn.tasks.register("mine")
class Mine(sn.Task):
    """Lines of JSON: child tables."""

    structures, classes, input_size = ("tree",), ("a", "b"), 2

    def load(self, topology):
        return {name: list(self.read(f"{name}.jsonl", topology))
                for name in ("train", "validation", "test")}

    def read(self, path, topology):
        with open(path) as file:
            for number, line in enumerate(file):
                tree = json.loads(line)
                yield sn.Sample(tree, np.ones((len(tree), 2), np.float32), number % 2)
'''
LEFT, RIGHT, LEAF = [[1, -1], [-1, -1]], [[-1, 1], [-1, -1]], [[-1, -1]]
WORDS = ("train", "task=mine", "topology=tree", "cell=elman", "net.hidden_size=4",
         "trainer.num_workers=0", "trainer.max_epochs=1", "--plugin", "mine.py")  # fmt: skip
SAID = "slots 1 of 0 to 1, direction up, are filled in {} and in no training sample"


def samples(*trees):
    return [sn.Sample(tree, [0] * len(tree), 0) for tree in trees]


def test_slots_that_nothing_fills_are_found():
    both = sn.topologies.create("tree", arity=3, direction="both")
    assert unfilled_slots(both, samples(LEFT, LEAF)) == {"up": [1, 2], "down": [1, 2]}
    assert unfilled_slots(both, samples(*[LEAF] * 200, RIGHT)) == {"up": [0, 2], "down": [0, 2]}
    assert unfilled_slots(both, []) == {"up": [0, 1, 2], "down": [0, 1, 2]}
    assert unfilled_slots(sn.topologies.create("tree"), samples(LEFT, RIGHT)) == {}
    for name, structure in (("chain", 3), ("graph", sn.Edges([[0], [1]], 2))):
        topology = sn.topologies.create(name)
        assert unfilled_slots(topology, [sn.Sample(structure, [0] * 3, 0)]) == {}
    grid = sn.topologies.create("diagonal")
    assert unfilled_slots(grid, [sn.Sample((1, 4), [0] * 4, 0)]) == {"right": [1]}


def test_only_slots_that_are_then_filled_are_warned_of():
    topology = sn.topologies.create("tree")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_slots(topology, {"up": [1]}, samples(LEFT, LEAF), "here")
        warn_of_slots(topology, {}, samples(RIGHT), "here")
    with pytest.warns(sn.DataWarning, match=SAID.format("here")):
        warn_of_slots(topology, {"up": [1]}, samples(RIGHT), "here")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(TASK)
    return tmp_path


def write(place, **splits):
    for name, trees in splits.items():
        (place / f"{name}.jsonl").write_text("".join(f"{json.dumps(tree)}\n" for tree in trees))


def test_training_testing_and_predicting_name_them(place):
    write(place, train=[LEFT, LEAF], validation=[LEFT, LEAF], test=[RIGHT, LEAF], new=[LEFT, RIGHT])
    status, _, err = call(*WORDS, "run=out")
    assert status == 0 and SAID.format("the test split") in err and "the validation" not in err
    plugin = ("--plugin", "mine.py")
    assert SAID.format("the test split") in call("test", "run=out", *plugin).err
    assert SAID.format("new.jsonl") in call("predict", "run=out", "path=new.jsonl", *plugin).err
    assert "slots" not in call("predict", "run=out", "path=train.jsonl", *plugin).err
    write(place, train=[LEFT, RIGHT])
    status, _, err = call(*WORDS, "run=other")
    assert (status, "slots" in err) == (0, False)
    assert "unfilled_slots" not in json.loads((place / "other" / "metrics.json").read_text())


@pytest.mark.parametrize("given", [3, {"up": 3}, {"sideways": [1]}, {"up": [{}]}], ids=str)
def test_a_file_of_a_run_that_names_no_slots_is_refused(place, given):
    write(place, train=[LEFT, LEAF], validation=[LEFT, LEAF], test=[RIGHT, LEAF])
    assert call(*WORDS, "run=out").status == 0
    path = place / "out" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "unfilled_slots": given}))
    manifest = place / "out" / "manifest.json"
    if manifest.exists():
        manifest.unlink()
    said = refused("predict", "run=out", "path=test.jsonl", "--plugin", "mine.py")
    assert "unfilled_slots" in said or "manifest" in said
