"""The commands that are offered for a trained net."""

import pytest

import structnet as sn
from structnet.cli import commands


def fitting(task):
    """A topology of every kind that a task takes."""
    made = {"tree": {"arity": 2}}
    for name in sn.topologies.names():
        topology = sn.topologies.create(name, **made.get(name, {}))
        try:
            task.check(topology)
        except ValueError:
            continue
        yield topology


@pytest.mark.parametrize("name", sn.tasks.names())
def test_what_is_offered_is_a_command_with_its_arguments(name):
    task = sn.tasks.create(name, **({"dataset": "KarateClub"} if name == "pyg" else {}))
    for topology in fitting(task):
        for command, *words in task.commands(topology):
            found = commands.find(command)
            assert found is not None, command
            for word in words:
                assert f"{word.split('=')[0]}=" in found.help, (command, word)


@pytest.mark.parametrize("name", ["sst", "listops", "logic", "sick_relatedness", "sick_entailment"])
def test_texts_that_are_offered_are_read(name):
    for kind in ("tree", "bichain"):
        task, topology = sn.tasks.create(name), sn.topologies.create(kind)
        task.vocabulary = sn.Vocabulary.count(["a"], 1)
        texts = [
            word.removeprefix("text=")
            for _, *words in task.commands(topology)
            for word in words
            if word.startswith("text=")
        ]
        # A text has no parse.
        assert len(texts) == int(not (name.startswith("sick") and kind == "tree"))
        for text in texts:
            assert isinstance(task.read_text(sn.Origin("text", 1, text), topology), sn.Sample)


OFFERED = {
    "translation": "translate", "words": "complete", "text": "score", "expressions": "translate",
    "automaton": "automaton", "bidirectional_text": "embed", "mnist": "generate",
}  # fmt: skip


@pytest.mark.parametrize("name", OFFERED)
def test_commands_of_plugins_are_offered_where_they_fit(name):
    task = sn.tasks.create(name)
    topology = next(iter(fitting(task)))
    assert OFFERED[name] in [command for command, *_ in task.commands(topology)]
    assert "translate" not in [
        command for command, *_ in sn.tasks.create("tagging").commands(topology)
    ]
