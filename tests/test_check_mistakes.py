"""What `structnet check` finds in components that fail in few places, or by mistake."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import call, refused
from test_check import (  # noqa: F401
    Lengths,
    Sound,
    check_task,
    make_small,
    registered,
    states,
)

import structnet as sn
from structnet.cell.call import checked_states
from structnet.check import components, plans, tasks
from structnet.check.card import Failed, NotFor
from structnet.check.refusals import is_said


@pytest.fixture(autouse=True)
def small(monkeypatch, traced):
    make_small(monkeypatch, "tree")


class Mistaken(Sound):
    """One whose `__init__` takes the root of a negative number, except for one predecessor."""

    def __init__(self, input_size, hidden_size, arity):
        super().__init__(input_size, hidden_size, arity)
        self.scale = math.sqrt(1.5 - arity)


class Picky(Sound):
    """One that says which topologies it is for, and what it needs."""

    def __init__(self, input_size, hidden_size, arity, *, most: int = 1):
        if arity > most:
            raise ValueError(f"it reads {most} predecessors, not {arity}")
        super().__init__(input_size, hidden_size, arity)


def found(card, state):
    return {(one.name, one.on): one.said for one in card.checks if one.state == state}


def error_of(function):
    with pytest.raises(ValueError) as caught:
        function()
    return caught.value


def test_a_refusal_is_what_a_raise_says():
    tree = sn.topologies.create("tree")
    assert is_said(error_of(lambda: Picky(3, 4, 2)))
    assert is_said(error_of(lambda: tree.plan([[[5, -1]]])))
    for mistake in (
        lambda: int("a"),
        lambda: Mistaken(3, 4, 3),
        lambda: np.concatenate([]),
        lambda: torch.nn.init.calculate_gain("none"),
        # One state of another size than it declares.
        lambda: checked_states(sn.cells.create("lstm", 3, 4, 1), torch.ones(1, 9), torch.ones(1)),
    ):
        assert not is_said(error_of(mistake))


def test_what_a_topology_says_of_a_sample_is_a_refusal_and_its_mistake_is_none():
    class Choosy(type(sn.topologies.create("chain"))):
        def predecessors(self, structure):
            if structure == 2:
                raise ValueError("two steps are too few")
            return np.arange(max(range(-1, structure - 2)) + 2)[:, None] - 1

    assert is_said(error_of(lambda: Choosy().plan([2])))
    assert not is_said(error_of(lambda: Choosy().plan([1])))


def test_a_mistake_in_making_a_layer_fails(registered):  # noqa: F811
    sn.cells.register("mistaken")(Mistaken)
    card = components.check_cell({"name": "mistaken"}, depth=20)
    assert not card.passed
    failed = found(card, "failed")
    assert (
        "math domain error" in failed["a layer", "tree"] and __file__ in failed["a layer", "tree"]
    )
    assert ("a layer", "chain") in found(card, "passed")


def test_a_refusal_is_said_with_its_text(registered):  # noqa: F811
    sn.cells.register("picky")(Picky)
    card = components.check_cell({"name": "picky"}, depth=20)
    assert card.passed
    assert found(card, "refused") == {("a layer", "tree"): "it reads 1 predecessors, not 2"}


def test_a_cell_for_nothing_fails_by_name(registered):  # noqa: F811
    sn.cells.register("picky")(Picky)
    card = components.check_cell({"name": "picky", "most": 0}, depth=20)
    assert not card.passed
    said = found(card, "failed")["made", "options as given"]
    assert said == (
        "cell 'picky' can be made on nothing: chain: it reads 0 predecessors, not 1; "
        "tree: it reads 0 predecessors, not 2"
    )
    assert ("made", "own defaults") in found(card, "passed")


def test_a_cell_that_its_own_defaults_do_not_make_fails(registered):  # noqa: F811
    sn.cells.register("unready")(
        type("Unready", (Picky,), {"__init__": unready, "__doc__": "One without good defaults."})
    )
    card = components.check_cell({"name": "unready", "most": 2}, depth=20)
    assert not card.passed
    failed = found(card, "failed")
    assert list(failed) == [("made", "own defaults")]
    assert (
        "cell 'unready' with its own defaults can be made on nothing"
        in failed["made", "own defaults"]
    )


def unready(self, input_size, hidden_size, arity, *, most: int = 0):
    Picky.__init__(self, input_size, hidden_size, arity, most=most)


def test_a_topology_that_can_not_be_made_fails_by_name(registered):  # noqa: F811
    chain = type(sn.topologies.create("chain"))

    @sn.topologies.register("broken")
    class Broken(chain):
        """One whose option is read wrongly."""

        def __init__(self, *, step: str = "one"):
            self.step = int(step)

    card = components.check_topology({"name": "broken", "step": "one"}, depth=20)
    assert not card.passed and len(card.checks) == 1
    assert "invalid literal for int()" in card.checks[0].said


# Quickly


def test_a_quick_check_says_what_it_leaves_out(registered, tmp_path):  # noqa: F811
    path = tmp_path / "card.json"
    status, out, err = call("check", "cell=elman", "--quick", f"out={path}")
    assert status == 0, err
    assert out.endswith("checks, passed; quick, without compiled, depth, time\n")
    written = json.loads(path.read_text())
    assert written["left_out"] == ["compiled", "depth", "time"]
    assert not {"depth", "time"} & {one["name"] for one in written["checks"]}
    compared = [one for one in written["checks"] if one["name"] == "equals the reference"]
    assert compared and not any("compiled" in one["said"] for one in compared)
    whole = components.check_topology({"name": "chain"}, depth=20, quick=True).as_dict()
    assert not {"depth", "time"} & {one["name"] for one in whole["checks"]}
    assert components.check_cell({"name": "elman"}, depth=20).as_dict()["left_out"] == []


def test_what_a_quick_check_is_not_for_is_refused():
    assert "leave out nothing of executor=" in refused("check", "executor=batched", "--quick")
    assert "--quick is for cell= and topology=" in refused("check", "task=swapped", "--quick")
    assert "drop one" in refused("check", "cell=lstm", "--quick", "depth=20")


# Plans


def chain_of(**methods):
    return type("Odd", (type(sn.topologies.create("chain")),), methods)()


@pytest.mark.parametrize("name", sn.topologies.names())
def test_plans_of_what_is_built_in_are_those_of_samples_alone(name):
    topology = sn.topologies.create(name)
    if topology.takes == "dag":
        pytest.skip("there are no random ones")
    assert "structures of" in plans.plans_as_alone(topology)


def test_levels_that_are_wrong_in_large_structures_are_found():
    odd = chain_of(levels=lambda self, n: [np.arange(n) + (np.arange(n) > 30)])
    with pytest.raises(Failed, match="level 32, its predecessors say 31"):
        plans.plans_as_alone(odd)


def test_a_sample_that_reads_another_is_found():
    chain = type(sn.topologies.create("chain"))

    def plan(self, structures):
        joined = sum(structures) if len(structures) > 6 else None
        if joined is None:
            return chain.plan(self, structures)
        ptr = np.concatenate([[0], np.cumsum(structures)])
        return (sn.schedule(np.arange(-1, joined - 1)[:, None], ptr=ptr),)

    with pytest.raises(Failed, match="predecessors in a batch are others than alone"):
        plans.plans_as_alone(chain_of(plan=plan))


def test_a_topology_that_refuses_every_size_is_refused():
    def none(self, structure):
        raise ValueError("nothing fits")

    with pytest.raises(NotFor, match="size 64 is refused: sample 0: nothing fits"):
        plans.plans_as_alone(chain_of(predecessors=none, levels=lambda self, n: [None]))


def test_a_large_structure_that_fails_is_found(registered):  # noqa: F811
    chain = type(sn.topologies.create("chain"))

    @sn.topologies.register("short")
    class Short(chain):
        """One that is wrong beyond five nodes."""

        def levels(self, structure):
            return [np.arange(structure) * (2 if structure > 5 else 1)]

    card = components.check_topology({"name": "short"}, depth=20)
    assert "plans" in {one.name for one in card.checks if one.state == "failed"}
    assert states(card)["equals the reference"] == {"passed"}


# Tasks


class IgnoresTargets(Lengths):
    """One whose loss is of outputs alone."""

    def loss(self, output, batch):
        return output.square().mean()


class IgnoresOutputs(Lengths):
    """One whose loss is of targets alone."""

    def loss(self, output, batch):
        return batch.y.float().mean()


class ReadsInput(Lengths):
    """One that predicts its input, and has no targets."""

    def loss(self, output, batch):
        return (output.mean() - batch.x).square().mean()


class Alike(Lengths):
    """One whose samples are all of one class."""

    def load(self, topology):
        splits = super().load(topology)
        return sn.Splits({k: [replace(s, y=np.int64(0)) for s in v] for k, v in splits.items()})


@pytest.mark.parametrize(
    ("task", "state", "said"),
    [
        (Lengths, "passed", "other targets change it"),
        (Alike, "passed", "other targets change it"),
        (ReadsInput, "passed", "other inputs change it"),
        (IgnoresTargets, "failed", "with other targets is the same: it ignores them"),
        (IgnoresOutputs, "failed", "does not depend on the outputs of the net"),
    ],
)
def test_what_a_loss_compares(registered, monkeypatch, tmp_path, task, state, said):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("structnet.check.tasks._trains", lambda run: "not tried")
    (learns,) = (one for one in check_task(task).checks if one.name == "loss and gradients")
    assert learns.state == state and said in learns.said


def test_a_loss_that_the_net_has_made_is_not_compared():
    loss = torch.ones(())
    said = tasks._compared(Lengths(), ("made of targets",), None, loss)
    assert "no others are tried" in said
