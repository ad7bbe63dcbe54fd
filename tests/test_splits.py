"""What a task loads is a value, which the task is given to keep."""

import numpy as np
import pytest
from commands import code_folder

import structnet as sn
from structnet.data.vocabulary import Vocabulary

CHAIN = sn.topologies.create("chain")


class Words(sn.Task):
    """The class of a word."""

    structures = ("sequence",)
    learned = ("longest",)
    longest = 0

    def load(self, topology):
        vocabulary = self.vocabulary or Vocabulary({"a": 1, "be": 1})
        sample = sn.Sample(2, vocabulary.tokens([["a"], ["be"]]), 0)
        return sn.Splits(
            {name: [sample] for name in ("train", "validation", "test")},
            vocabulary=vocabulary,
            source=["a", "be"],
            classes=self.classes or ["x", "y"],
            longest=2,
        )


def test_loading_leaves_a_task_as_it_is():
    task = Words()
    splits = task.load(CHAIN)
    assert list(splits) == ["train", "validation", "test"] and len(splits["train"]) == 1
    assert (task.vocabulary, task.classes, task.longest) == (None, (), 0)
    assert splits.learned == {"classes": ["x", "y"], "longest": 2}


def test_a_task_keeps_what_it_learned():
    task = Words()
    splits = task.load(CHAIN)
    assert task.keep(splits) is splits and task.loaded is splits
    assert task.vocabulary is splits.vocabulary and task.loaded.source == ["a", "be"]
    assert (task.classes, task.num_outputs, task.longest) == (["x", "y"], 2, 2)
    again = task.keep(task.load(CHAIN))
    assert again.vocabulary is splits.vocabulary


def test_a_plain_dict_of_splits_will_do():
    class Old(sn.Task):
        def load(self, topology):
            self.classes = ["x"]
            return {"train": [sn.Sample(1, np.zeros((1, 1), np.float32), 0)]}

    task = Old()
    assert task.keep(task.load(CHAIN)).learned == {}
    assert task.classes == ["x"] and len(task.loaded["train"]) == 1


def test_what_would_not_be_saved_is_refused():
    with pytest.raises(ValueError, match=r"Words has learned 'shortest'.*has \['longest'\]"):
        Words().keep(sn.Splits({}, shortest=1))


def test_a_regression_takes_its_scale_from_the_training_targets():
    class Numbers(sn.Regression):
        def load(self, topology):
            return sn.Splits({"train": []}, scale=self.scale_of([1.0, np.nan, 5.0]))

    task = Numbers()
    task.keep(task.load(CHAIN))
    assert task.scale == (3.0, 2.0)
    assert task.scale_of([0.0]) == (3.0, 2.0)


OPTIONS = {
    "swapped": lambda: {"root": str(code_folder())},
    "callgraph": lambda: {"root": str(code_folder())},
    "river": lambda: {"basins": 8, "sources": 3},
    "xml": lambda: {"train_size": 20},
}
TOPOLOGIES = ("graph", "ordered_graph", "tree", "diagonal", "chain")


@pytest.mark.filterwarnings("ignore::structnet.DataWarning")
@pytest.mark.parametrize("name", ["sst", "mutag", "esol", "enas", "digits", *OPTIONS])
def test_loading_our_tasks_leaves_them_as_they_are(name):
    task = sn.tasks.create(name, **OPTIONS.get(name, dict)())
    topologies = map(sn.topologies.create, TOPOLOGIES)
    topology = next(one for one in topologies if one.takes in task.structures)
    before = dict(vars(task))
    try:
        splits = task.load(topology)
    except FileNotFoundError:
        pytest.skip("its data is not at hand")
    # What is drawn or found once, whatever is loaded, may be cached.
    assert {key: value for key, value in vars(task).items() if key in before} == before
    assert not {"vocabulary", "scale", "loaded"} & vars(task).keys()
    assert {"train", "validation", "test"} == set(task.keep(splits))
