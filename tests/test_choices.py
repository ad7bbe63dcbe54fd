"""Options with choices are `Literal`s: the registry and a class made directly both check them."""

import inspect
from typing import Literal

import pytest

import structnet as sn
from structnet.cell.library.gru import GRU
from structnet.nn.readout import Root
from structnet.registry.option_types import choices


class Ladder(sn.Topology):
    def __init__(self, *, side: Literal["left", "right"] = "left", rungs: Literal[2, 3] = 2):
        self.side, self.rungs = side, rungs

    def predecessors(self, structure):
        return [[-1]] * structure


class Long(Ladder):
    def __init__(self, *, length: int = 9, **options):
        super().__init__(**options)
        self.length = length


class Both(sn.Task):
    structures = ("sequence",)

    def __init__(self, *, goal: Literal["one", "all"] | None = None):
        self.goal = goal

    def load(self, topology):
        return {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ladder(side="lefd"), "'left' or 'right', got 'lefd'; did you mean 'left'"),
        (lambda: Ladder(rungs=4), "Ladder: option 'rungs' is 2 or 3, got 4"),
        (lambda: Long(side="up"), "Long: option 'side' is 'left' or 'right', got 'up'"),
        (lambda: Both(goal="none"), "Both: option 'goal' is 'one' or 'all' or None, got 'none'"),
        (lambda: GRU(3, 4, 1, reset="never"), "GRU: option 'reset' is 'after' or 'before'"),
        (lambda: GRU(3, 4, None, aggregate="least"), "'aggregate' is 'sum' or 'mean' or 'max' or"),
        (lambda: Root(3, 1, pool="sum"), "Root: option 'pool' is 'mean' or 'max', got 'sum'"),
    ],
)  # fmt: skip
def test_a_class_made_directly_names_the_choices(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_chosen_arrives():
    assert (Long(side="right", rungs=3, length=2).side, Both().goal) == ("right", None)
    assert GRU(3, 4, 1, reset="before").reset == "before"


def test_signatures_are_those_of_the_classes():
    assert [*inspect.signature(GRU).parameters][:3] == ["input_size", "hidden_size", "arity"]
    assert [*inspect.signature(Long).parameters] == ["length", "side", "rungs"]
    assert not inspect.signature(sn.topologies["chain"]).parameters


@pytest.mark.parametrize("kind", ["cells", "topologies", "readouts"])
def test_text_among_options_is_a_choice(kind):
    """None of them takes a path, or a name of its own."""
    known = getattr(sn, kind)
    for name in known.names():
        for option, (type_, default) in known.options(name).items():
            if isinstance(default, str):
                assert choices(type_), f"{name}: {option}"
