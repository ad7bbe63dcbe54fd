"""The task `automaton`: its strings, figures and errors, and the command that reads nets."""

import json
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMALL, call, refused
from matplotlib import pyplot
from matplotlib.text import Text

import structnet as sn
from structnet.plugins.sequence.automata.automaton import Automaton
from structnet.plugins.sequence.automata.compiling import compile_pattern
from structnet.plugins.sequence.automata.picture import picture
from structnet.plugins.sequence.automata.reading import Asked, read_automaton
from structnet.plugins.sequence.tasks.automaton import START, AutomatonTask, ranges

TASK = ("task=automaton", "topology=chain", "task.longest=4", "task.times=3", "task.train_size=80")


def loaded(**options):
    task = AutomatonTask(**{"train_size": 200, "longest": 8, "times": 4, **options})
    topology = sn.topologies.create("chain")
    return task, topology, task.keep(task.load(topology))


def test_strings_are_labelled_as_the_language_has_them():
    task, _, splits = loaded(pattern="(ab)*", seed=3)
    known = ["?", START, "a", "b"]
    for split in ("train", "validation", "test"):
        labels = []
        for sample in splits[split]:
            first, *rest = [known[i] for i in sample.x.ids]
            assert first == START and sample.num_nodes == sample.structure == len(rest) + 1
            string = "".join(rest)
            assert sample.y == (string == "ab" * (len(string) // 2))
            low, high = task.ranges[sample.kind]
            assert low <= len(string) <= high
            labels.append(int(sample.y))
        assert abs(np.mean(labels) - 0.5) < 0.01
    assert {sample.kind for sample in splits["train"]} == {0}
    # The longest are seen in the test alone.
    assert {sample.kind for sample in splits["validation"]} == {0, 1}
    assert {sample.kind for sample in splits["test"]} == {0, 1, 2}
    assert task.kinds == ["0-8", "9-16", "25-32"]


def test_a_transducer_labels_every_prefix():
    task, _, splits = loaded(language="tomita2", goal="transduce")
    for sample in splits["train"][:20]:
        string = "".join("?<01"[i] for i in sample.x.ids[1:])
        assert sample.y.tolist() == [string[:n] == "10" * (n // 2) for n in range(len(string) + 1)]
    assert task.scores_nodes(sn.topologies.create("chain"))


def test_the_same_seed_draws_the_same_strings():
    one, same, other = (AutomatonTask(train_size=30, seed=s).strings() for s in (1, 1, 2))
    assert one == same != other


def test_a_language_without_long_words_is_tested_on_what_there_is():
    with warnings.catch_warnings(record=True, action="always") as said:
        _, _, splits = loaded(pattern="a|ba")
    assert [one.category for one in said] == [sn.DataWarning] * 3
    assert "no string of 9 to 16 symbols is in the language" in str(said[0].message)
    assert {int(s.y) for s in splits["test"] if s.kind == 1} == {0}
    assert {int(s.y) for s in splits["test"] if s.kind == 0} == {0, 1}


def test_ranges_of_lengths():
    assert ranges(10, 10) == [(0, 10), (11, 20), (41, 50), (91, 100)]
    assert ranges(7, 1) == [(0, 7)]
    assert ranges(1, 3) == [(0, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pattern": "a(b"}, "pattern 'a(b', position 1: missing )"),
        ({"pattern": "a$b"}, "accepts no string"),
        ({"pattern": "a", "language": "email"}, "'email', and pattern 'a' given: leave one out"),
        ({"alphabet": "ab"}, "'alphabet' is for a pattern"),
        ({"pattern": "a{30}"}, "no string of at most 20 symbols over 'a' is in the language"),
        ({"pattern": "[ab]*"}, "every string of at most 20 symbols over 'ab'"),
        ({"longest": 0}, "'longest' is from 1 to 10000, got 0"),
        ({"times": 1001}, "'times' is from 1 to 500, got 1001"),
        ({"near": 1.5}, "'near' is from 0 to 1, got 1.5"),
        ({"train_size": 0}, "'train_size' is from 1"),
        ({"seed": -1}, "'seed' is from 0"),
        ({"pattern": "a{5000}|b", "longest": 10_000, "times": 1}, "take shorter strings"),
        ({"language": "tomita8"}, "tomita8"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options, says):
    with pytest.raises(ValueError) as caught:
        sn.tasks.create("automaton", **options)
    assert says in str(caught.value)


def test_baselines_keep_no_state():
    task, _, _ = loaded(language="tomita4", train_size=2000)
    figures = task.baselines()
    assert set(figures) == {"majority", "last 3 symbols", "regression on pairs"}
    assert figures["majority"]["accuracy"] == pytest.approx(0.5, abs=0.01)
    # Three zeros are often not at the end.
    assert 0.5 < figures["last 3 symbols"]["0-8"] < 1
    task, _, _ = loaded(language="tomita4", train_size=400, goal="transduce")
    assert set(task.baselines()) == {"majority", "last 3 symbols"}
    # Of 10*, the last symbol tells whether a string is in it, from the second on.
    task, _, _ = loaded(pattern="[01]*0", train_size=400)
    assert task.baselines()["last 3 symbols"]["accuracy"] == 1.0


class Teacher(torch.nn.Module):
    """A net that knows the automaton: its states are one-hot, and scored by whether they accept."""

    def __init__(self, automaton: Automaton, every: bool):
        super().__init__()
        self.automaton, self.every = automaton, every
        topology = sn.topologies.create("chain")
        self.layer = sn.Recurrence(topology, "elman", input_size=len(automaton), hidden_size=3)

    def forward(self, batch):
        states = []
        for first, end in zip(batch.ptr[:-1].tolist(), batch.ptr[1:].tolist(), strict=True):
            symbols = [
                self.automaton.alphabet[i - 2] for i in batch.x.ids[first + 1 : end].tolist()
            ]
            states += self.automaton.trace("".join(symbols))
        self.layer(torch.nn.functional.one_hot(torch.tensor(states), len(self.automaton)).float(),
                   batch.plans)  # fmt: skip
        accepting = torch.from_numpy(self.automaton.accepting)[states]
        scores = torch.stack([~accepting, accepting], 1).float()
        return scores if self.every else scores[batch.ptr[1:] - 1]


@pytest.mark.parametrize("goal", ["accept", "transduce"])
def test_a_net_that_knows_another_language_is_told_from_the_true_one(goal):
    task, topology, _ = loaded(language="tomita4", goal=goal)
    other = compile_pattern("(1|01)*0?", "01")
    options = {"method": "queries", "most_states": 10, "strings": 200, "seed": 0}
    reading = read_automaton(task, Teacher(other, goal == "transduce"), topology, **options)
    assert reading.found == other and reading.is_complete and reading.difference == "00"
    for _, strings, net_true, found_true, found_net in reading.agreements:
        assert strings == 200 and net_true == found_true < 1 and found_net == 1
    reading = read_automaton(
        task, Teacher(task.automaton, goal == "transduce"), topology, **options
    )
    assert reading.difference is None
    assert all(one[2:] == (1, 1, 1) for one in reading.agreements)


def test_states_are_those_along_each_string():
    task, topology, _ = loaded(language="tomita4")
    net = Teacher(task.automaton, False)
    asked = Asked(task, net, topology)
    strings = ["0100", "", "1", "010001"]
    for string, states, labels in zip(
        strings, asked.states(strings), asked.labels_along(strings), strict=True
    ):
        assert states.shape == (len(string) + 1, 3)
        assert labels.tolist() == [task.automaton.accepts(string[:n]) for n in range(len(labels))]
    # A state follows from those before it alone.
    alone, longer = asked.states(["0100", "01001"])
    assert np.allclose(alone, longer[:5], atol=1e-6)


@cache
def trained():
    import tempfile

    place = Path(tempfile.mkdtemp()) / "run"
    assert call("train", *TASK, *SMALL, "trainer.max_epochs=1", f"run={place}").status == 0
    return place


def test_the_command_reads_a_run_and_draws_it(tmp_path):
    place = trained()
    metrics = json.loads((place / "metrics.json").read_text())
    assert {"accuracy", "0-4", "5-8", "9-12"} == set(metrics["test"])
    for method in ("queries", "clusters"):
        status, out, err = call("automaton", f"run={place}", f"method={method}", "states=3",
                                "strings=50", f"out={tmp_path / 'two.png'}")  # fmt: skip
        assert status == 0, err
        assert "net = language" in out and "9-12" in out and "picture: " in out
        saved = json.loads((place / "automaton.json").read_text())
        assert saved["alphabet"] == "01" and 1 <= len(saved["accepting"]) <= 3
        assert (tmp_path / "two.png").read_bytes()[:4] == b"\x89PNG"
    status, out, _ = call("automaton", f"run={place.parent}", "strings=20", "states=3")
    assert status == 0 and "equal to the minimal automaton: " in out


def test_lines_of_a_file_are_predicted(tmp_path):
    (tmp_path / "words").write_text("0101\n\n111\n")
    status, out, err = call("predict", f"run={trained()}", f"path={tmp_path / 'words'}")
    assert status == 0, err
    found = [line.removeprefix(f"{tmp_path / 'words'}:") for line in out.splitlines()]
    assert [line.split(" (")[0] for line in found] == ["1: 0101", "2: ", "3: 111"]
    (tmp_path / "words").write_text("01\n0a1\n")
    message = refused("predict", f"run={trained()}", f"path={tmp_path / 'words'}")
    assert "words, line 2: 'a' is not a symbol of the language, whose alphabet is '01'" in message


def test_strings_are_predicted():
    words = ("predict", f"run={trained()}", "text=0101", "text=", "--json")
    found = json.loads(call(*words).out)
    assert [one["text"] for one in found] == ["0101", ""]
    assert all({*one["probabilities"]} == {"inside", "outside"} for one in found)
    message = refused("predict", f"run={trained()}", "text=1", "text=2")
    assert "text, line 2: '2' is not a symbol of the language" in message


def test_the_command_names_what_it_can_not_do(tmp_path):
    place = trained()
    assert "method is queries or clusters, got 'magic'" in refused(
        "automaton", f"run={place}", "method=magic"
    )
    assert "out must be a .png file" in refused("automaton", f"run={place}", "out=a.svg")
    assert "states must be a whole number" in refused("automaton", f"run={place}", "states=1")
    assert "no run in" in refused("automaton", f"run={tmp_path / 'nothing'}")
    assert "leave it out" in refused("automaton", f"run={place.parent}", "out=a.png")
    words = ("train", *TASK, *SMALL, "debug=steps")
    words = [word.replace("=chain", "=bichain") for word in words]
    assert call(*words, f"run={tmp_path / 'both'}").status == 0
    assert "take method=queries" in refused(
        "automaton", f"run={tmp_path / 'both'}", "method=clusters"
    )
    words = ("train", "task=xml", "topology=chain", "task.train_size=20", *SMALL, "debug=steps")
    assert call(*words, f"run={tmp_path / 'xml'}").status == 0
    assert "is a run of task 'xml'" in refused("automaton", f"run={tmp_path / 'xml'}")


def test_a_picture_in_python_is_a_figure_to_go_on_with():
    automata = {"one": compile_pattern("(ab)*"), "other": compile_pattern("a*", "ab")}
    figure = picture(automata, "two languages")
    texts = {one.get_text() for one in figure.findobj(Text)}
    titles = {
        "one: 3 states\nthe dead one is not drawn",
        "other: 2 states\nthe dead one is not drawn",
    }
    assert {"two languages", "0", "1", "a", "b"} | titles <= texts and "2" not in texts
    assert pyplot.get_fignums() == [figure.number]
    pyplot.close(figure)
