"""A topology for a task where none is named."""

import pytest
from commands import PIXELS, call, isolated

import structnet as sn
from structnet.config.fitting import fitting_topology, fitting_words


@pytest.mark.parametrize(
    ("task", "topology"),
    [
        ("enas", "graph"),
        ("mutag", "ordered_graph"),
        ("arithmetic", "chain"),
        ("digits", "diagonal"),
    ],
)
def test_a_task_without_trees_is_read_along_what_it_has(task, topology):
    assert fitting_words([f"task={task}", "net.hidden_size=7"]) == [f"topology={topology}"]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["task=sst", "topology.arity=3"],
        ["task=river"],
        ["task=enas", "topology=tree"],
        ["experiment=enas"],
    ],
)
def test_what_fits_or_is_named_is_kept(words):
    assert fitting_words(words) == []


def test_an_experiments_topology_gives_way_to_one_that_fits_another_task():
    assert fitting_words(["experiment=enas", "task=mutag"]) == ["topology=ordered_graph"]


def test_an_experiment_that_names_no_topology_gets_one_that_fits(tmp_path):
    (tmp_path / "experiment").mkdir()
    file = tmp_path / "experiment" / "my.yaml"
    file.write_text("# @package _global_\ndefaults:\n  - override /cell: gru\n")
    words = ["task=arithmetic", "experiment=my"]
    assert fitting_words(words, [str(tmp_path)]) == ["topology=chain"]


def test_a_comparison_names_its_own():
    assert fitting_words(["experiment=cell_comparison", "task=sst"]) == []


def test_training_says_what_it_takes(tmp_path):
    words = [word for word in PIXELS if not word.startswith("topology")]
    _, out, err = call("train", *words, f"run={tmp_path / 'run'}")
    assert out.splitlines()[0] == " ".join(
        ["structnet train", *words, f"run={tmp_path / 'run'}", "topology=diagonal"]
    )
    assert not err


def test_a_plugin_changes_no_default():
    task = sn.tasks.create("text")
    with isolated():

        class Backwards(sn.topologies["chain"]):
            """A chain, by a name before all others."""

        sn.topologies.register("a_chain")(Backwards)
        assert fitting_topology(task) == "chain"

        class Rings(sn.Topology):
            """What no topology of ours takes."""

            takes = "ring"

            def predecessors(self, structure):
                return sn.topologies.create("chain").predecessors(structure)

        sn.topologies.register("rings")(Rings)
        task.structures = ("ring",)
        assert fitting_topology(task) == "rings"
