"""The tasks that predict the next character: arithmetic and xml."""

import re
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from commands import isolated

import structnet as sn
from structnet.data.batch import collate

CHAIN = sn.topologies.create("chain")
TASKS = ("arithmetic", "xml")


def create(name, **options):
    """The task and its splits."""
    task = sn.tasks.create(name, **{"train_size": 30, **options})
    return task, task.keep(task.load(CHAIN))


def lines(name, **options):
    task = sn.tasks.create(name, **{"train_size": 300, **options})
    return [text.line for some in task.texts.values() for text in some]


def spelled(task, ids):
    return "".join(task.classes[i] for i in ids)


# Arithmetic


def without_letters(line):
    question, answer = re.sub("[a-z]", "", line).split("=")
    first, operator, second = re.fullmatch(r"(-?\d+)([+-])(\d+)", question).groups()
    return int(first), operator, int(second), answer


def test_the_answer_is_the_sum_or_difference_of_what_stands_between_the_distractors():
    kinds = set()
    for line in lines("arithmetic"):
        first, operator, second, answer = without_letters(line)
        assert answer == f"{first + second if operator == '+' else first - second}."
        kinds.add((first < 0, operator, answer[0] == "-"))
    assert len(kinds) == 6


def test_numbers_have_every_length_alike_and_no_leading_zero():
    lengths = np.zeros((2, 9), int)
    for line in lines("arithmetic", train_size=2000):
        question = re.sub("[a-z]", "", line).split("=")[0]
        for which, number in enumerate(re.findall(r"\d+", question)):
            assert str(int(number)) == number
            lengths[which, len(number)] += 1
    assert (lengths[:, 0] == 0).all()
    assert abs(lengths[:, 1:] / lengths.sum(1, keepdims=True) - 1 / 8).max() < 0.03


def test_after_every_character_of_a_question_stand_up_to_so_many_distractors():
    for distractors in (0, 2):
        gaps = []
        for line in lines("arithmetic", distractors=distractors):
            question, answer = line.split("=")
            assert re.match("[0-9-]", question)
            assert not re.search("[a-z]", answer)
            gaps += map(len, re.split(r"[0-9+-]", question)[1:])
        counts = np.bincount(gaps) / len(gaps)
        assert len(counts) == distractors + 1
        assert abs(counts - 1 / len(counts)).max() < 0.05


def test_only_the_answer_is_to_be_predicted_up_to_its_full_stop():
    task, splits = create("arithmetic", digits=3)
    for sample, text in zip(splits["train"], task.texts["train"], strict=True):
        read = sample.x.ids - 1
        assert spelled(task, read) + "." == text.line
        wanted = spelled(task, sample.y[sample.y != sn.IGNORE])
        assert wanted == text.line.split("=")[1]
        first = int((sample.y != sn.IGNORE).argmax())
        assert spelled(task, read[first : first + 1]) == "="
        assert (sample.y[first:] != sn.IGNORE).all()


def test_an_answer_is_right_only_if_all_of_it_is():
    task, splits = create("arithmetic")
    batch = collate(splits["test"], CHAIN)
    perfect = torch.nn.functional.one_hot(batch.y.clamp(min=0), task.num_outputs).float()
    assert measure(task, perfect, batch) == {"accuracy": 1, "answers": 1}
    wrong = perfect.clone()
    last = int(batch.ptr[1]) - 1
    wrong[last] = wrong[last].roll(1)
    scored = int((batch.y != sn.IGNORE).sum())
    assert measure(task, wrong, batch) == pytest.approx(
        {"accuracy": 1 - 1 / scored, "answers": 1 - 1 / batch.num_samples}
    )
    # What is not to be predicted may be anything.
    perfect[batch.y == sn.IGNORE] = torch.randn(task.num_outputs)
    assert measure(task, perfect, batch) == {"accuracy": 1, "answers": 1}


def measure(task, output, batch):
    metrics = task.metrics()
    for name, (scores, target) in task.measured(output, batch).items():
        metrics[name].update(scores, target)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


# XML


def test_documents_are_well_formed():
    for line in lines("xml"):
        assert line.endswith("><")
        # A document may have several roots.
        tree = ElementTree.fromstring(f"<document>{line[:-1]}</document>")
        names = [element.tag for element in tree.iter()][1:]
        assert names and not tree.text
        assert all(re.fullmatch("[a-z]{2,10}", name) for name in names)


def test_names_have_every_length_alike():
    names = re.findall("<([a-z]+)>", "".join(lines("xml", name_length=5)))
    counts = np.bincount(list(map(len, names))) / len(names)
    assert len(counts) == 6
    assert abs(counts[2:] - 1 / 4).max() < 0.03


def test_a_tag_is_opened_every_other_time_and_none_after_so_many_iterations():
    opened, closed = 0, 0
    for line in lines("xml", iterations=7, train_size=3000):
        tags = re.findall("<(/?)[a-z]+>", line)
        assert "" not in tags[7:]
        # The first of a document that is not empty is always opened.
        opened += tags[1:7].count("")
        closed += tags[1:7].count("/")
        # Where nothing is open, half of the documents end instead.
        depth = np.cumsum([-1 if tag else 1 for tag in tags])
        closed += (depth[:6] == 0).any() and (len(tags) < 7)
    assert abs(opened / (opened + closed) - 0.5) < 0.03


def test_every_character_but_the_first_is_to_be_predicted():
    task, splits = create("xml")
    for sample, text in zip(splits["train"], task.texts["train"], strict=True):
        assert spelled(task, sample.x.ids - 1) == text.line[:-1]
        assert spelled(task, sample.y) == text.line[1:]


# Both


@pytest.mark.parametrize("name", TASKS)
def test_samples_are_those_of_the_seed_and_no_split_repeats_another(name):
    task, splits = create(name)
    _, again = create(name)
    for split, some in splits.items():
        for one, other in zip(some, again[split], strict=True):
            assert np.array_equal(one.x.ids, other.x.ids) and np.array_equal(one.y, other.y)
    assert [len(splits[split]) for split in ("train", "validation", "test")] == [30, 3, 3]
    assert not set(task.texts["validation"]) & set(task.texts["test"])
    assert task.texts != create(name, seed=1)[0].texts


@pytest.mark.parametrize("name", TASKS)
def test_a_topology_that_looks_ahead_is_refused(name, isolated_registries):
    task = sn.tasks.create(name)
    for topology in ("bichain", "later", "later_edges"):
        with pytest.raises(ValueError, match=r"predicts what follows.*topology=chain"):
            task.check(sn.topologies.create(topology))
    for topology in ("chain", "earlier_edges"):
        task.check(sn.topologies.create(topology))
    with pytest.raises(ValueError, match="structures of kind"):
        task.check(sn.topologies.create("tree"))


@pytest.fixture
def isolated_registries():
    with isolated():

        @sn.topologies.register("later")
        class Later(sn.Topology):
            takes = "sequence"

            def predecessors(self, structure):
                return np.append(np.arange(1, structure), -1)[:, None]

        class Edges(sn.Topology):
            takes = "sequence"
            arity = None

            def predecessors(self, structure):
                steps = np.stack([np.arange(structure - 1), np.arange(1, structure)])
                return sn.Edges(steps[:: self.step], structure)

        sn.topologies.register("later_edges")(type("LaterEdges", (Edges,), {"step": -1}))
        sn.topologies.register("earlier_edges")(type("EarlierEdges", (Edges,), {"step": 1}))
        yield


@pytest.mark.parametrize("name", TASKS)
def test_baselines_are_the_most_frequent_characters(name):
    task, splits = create(name, train_size=200)
    pairs = {
        split: [
            (spelled(task, [x - 1]), task.classes[y])
            for sample in some
            for x, y in zip(sample.x.ids, sample.y, strict=True)
            if y != sn.IGNORE
        ]
        for split, some in splits.items()
    }
    after = {x: Counter() for x, _ in pairs["train"]}
    for x, y in pairs["train"]:
        after[x][y] += 1
    (best, _), *_ = sum(after.values(), Counter()).most_common()
    baselines = task.baselines()
    frequent = np.mean([y == best for _, y in pairs["test"]])
    assert baselines["majority"]["accuracy"] == pytest.approx(frequent)
    # A tie may be broken either way.
    hits = [after[x][y] == max(after[x].values()) for x, y in pairs["test"] if x in after]
    assert frequent < baselines["bigram"]["accuracy"] <= np.mean(hits)


@pytest.mark.parametrize("name", TASKS)
def test_a_readout_without_a_score_a_character_is_refused(name):
    task, splits = create(name)
    batch = collate(splits["test"], CHAIN)
    with pytest.raises(ValueError, match="readout=every"):
        task.loss(torch.randn(batch.num_samples, task.num_outputs), batch)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arithmetic", {"digits": 0}, "'digits' is from 1 to 18, got 0"),
        ("arithmetic", {"digits": 19}, "'digits' is from 1 to 18, got 19"),
        ("arithmetic", {"distractors": -1}, "'distractors' is at least 0, got -1"),
        ("xml", {"iterations": 0}, "'iterations' is at least 1, got 0"),
        ("xml", {"name_length": 1}, "'name_length' is at least 2, got 1"),
        ("xml", {"train_size": 0}, "'train_size' is at least 1, got 0"),
        ("arithmetic", {"seed": -1}, "'seed' is at least 0, got -1"),
    ],
)
def test_an_option_out_of_range_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create(name, **options)


def test_the_smallest_and_largest_options_work():
    assert lines("xml", iterations=1, name_length=2)
    for digits in (1, 18):
        assert all(without_letters(line) for line in lines("arithmetic", digits=digits))
    create("arithmetic", train_size=1, distractors=0, digits=1)
