"""`structnet check`: what every component has to pass, and what is found in those that don't."""

import json

import numpy as np
import pytest
import torch
from commands import ROOT, call, refused

import structnet as sn
from structnet.check import components, layers, tasks
from structnet.check.card import Card, NotFor
from structnet.check.structures import deep, empty
from structnet.config.composing import compose
from structnet.execute.executor import find
from structnet.registry import KINDS


class Sound(sn.Cell):
    """A gated cell that is as it should be."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh()


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        return 3 * grad


class WrongGradient(Sound):
    def forward(self, z, h):
        return Twice.apply(super().forward(z, h))


class SeesBatch(Sound):
    def forward(self, z, h):
        return super().forward(z - z.mean(0), h)


class Drawn(Sound):
    def forward(self, z, h):
        return super().forward(z + torch.rand_like(z), h)


class Unsaved(Sound):
    def __init__(self, *wired):
        super().__init__(*wired)
        self.shift = float(torch.rand(()))

    def forward(self, z, h):
        return super().forward(z + self.shift, h)


class Overflowing(Sound):
    def forward(self, z, h):
        raise RuntimeError("it's too much")


@pytest.fixture(autouse=True)
def small(monkeypatch, traced):
    make_small(monkeypatch, "tree arity=null")


def make_small(monkeypatch, tree):
    """Few topologies and cells, no times; the fixture `traced` compiles nothing."""
    few = {name: components.TOPOLOGIES[name] for name in ("chain", tree)}
    monkeypatch.setattr(components, "TOPOLOGIES", few)
    monkeypatch.setattr(components, "CELLS", {"lstm": {"name": "lstm"}})
    monkeypatch.setattr(components, "floor_ratio", lambda *_: "1.5 x the floor")


def states(card):
    """Check -> the states that it ended in."""
    found = {}
    for one in card.checks:
        found.setdefault(one.name, set()).add(one.state)
    return found


def failures(cell):
    """What fails of a cell: check -> what was found first."""
    make = lambda *wired: cell(*wired)  # noqa: E731
    card = Card("cell", {"name": cell.__name__})
    for name, chosen in components.TOPOLOGIES.items():
        options = {key: value for key, value in chosen.items() if key != "name"}
        topology = sn.topologies.create(chosen["name"], **options)
        components._check_layer(card, name, topology, make)
    found = [one for one in card.checks if one.state == "failed"]
    return {one.name: one.said for one in reversed(found)}


def test_a_cell_of_the_library_passes():
    card = components.check_cell({"name": "lstm"}, depth=50)
    assert card.passed
    assert {name for name, ends in states(card).items() if ends == {"passed"}} == {
        "equals the reference", "gradients", "order of the batch", "one node and none",
        "determinism", "saved and loaded", "depth", "made", "a layer",
    }  # fmt: skip
    assert states(card)["time"] == {"measured"}
    said = {one.name: one.said for one in card.checks if one.on == "chain"}
    assert "batched" in said["equals the reference"] and "50 levels" in said["depth"]


def test_a_sound_cell_has_no_failures():
    assert not failures(Sound)


@pytest.mark.parametrize(
    ("cell", "check", "said"),
    [
        (WrongGradient, "gradients", "numerical"),
        (SeesBatch, "equals the reference", "output is off by"),
        (SeesBatch, "order of the batch", "each alone: output is off by"),
        (Drawn, "determinism", "differs between two passes"),
        (Unsaved, "saved and loaded", "what is no weight is lost"),
        (Overflowing, "equals the reference", "RuntimeError: it's too much (" + __file__),
    ],
)
def test_what_is_wrong_with_a_cell_is_found(cell, check, said):
    found = failures(cell)
    assert said.casefold() in found[check].casefold()


def test_a_topology_is_checked_under_cells():
    card = components.check_topology({"name": "diagonal"}, depth=20)
    assert card.passed and len(card.checks) == 11
    assert "one node and none" in states(card)


def test_a_topology_that_remembers_is_found(monkeypatch):
    chain = type(sn.topologies.create("chain"))

    class Counting(chain):
        count = 0

        def plan(self, structures):
            self.count += 1
            return super().plan([one + self.count % 2 for one in structures])

    card = Card("topology", {"name": "counting"})
    components._check_layer(card, "lstm", Counting(), lambda *w: sn.cells.create("lstm", *w))
    assert not card.passed


def test_executors_are_compared_with_the_reference(monkeypatch):
    assert components.check_executor({"name": "batched"}).passed
    refusing = components.check_executor({"name": "scan"})
    assert not refusing.passed and states(refusing) == {"equals the reference": {"refused"}}
    batched = find("batched")
    run = type(batched).run

    def off(self, p):
        output, all_states = run(self, p)
        return output + 1e-6, all_states

    monkeypatch.setattr(type(batched), "run", off)
    card = components.check_executor({"name": "batched"})
    assert {one.said.split(" is off")[0] for one in card.checks} == {"batched: output"}


# Tasks


class Lengths(sn.Task):
    """Whether a sequence is long."""

    structures = ("sequence",)
    classes = ("short", "long")
    input_size = 1
    noise = 0.0

    def find(self):
        return None

    def load(self, topology):
        random = np.random.default_rng()
        samples = [
            sn.Sample(n, np.full((n, 1), n + self.noise * random.random(), np.float32),
                      np.int64(n > 4)) for n in range(1, 9)
        ]  # fmt: skip
        return sn.Splits(dict.fromkeys(("train", "validation", "test"), samples))

    def metrics(self):
        from torchmetrics.classification import MulticlassAccuracy

        return {"accuracy": MulticlassAccuracy(2, average="micro")}


class Noisy(Lengths):
    """One that is drawn anew."""

    noise = 1.0


class Endless(Lengths):
    """One without a finite loss."""

    def loss(self, output, batch):
        return super().loss(output, batch) / 0


def check_task(task):
    sn.tasks.register(task.__name__.lower())(task)
    words = (f"task={task.__name__.lower()}", "topology=chain", "net.hidden_size=4", "debug=steps")
    return tasks.check_task(compose(words))


@pytest.fixture
def registered():
    """What a test registers is registered no longer after it."""
    for one in KINDS:
        # What is registered at the first look would be taken back with it.
        one.names()
    known = [part for one in KINDS for part in (one._components, one._owners)]
    before = [dict(one) for one in known]
    yield
    for kept, now in zip(before, known, strict=True):
        now.clear()
        now.update(kept)


def test_a_sound_task_passes(registered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    card = check_task(Lengths)
    assert card.passed, [one.said for one in card.checks]
    assert [one.name for one in card.checks] == [
        "data", "determinism", "what is learned", "loss and gradients", "order of the batch",
        "trained, saved and loaded",
    ]  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("task", "check", "said"),
    [
        (Noisy, "determinism", "the samples of train differ when they are loaded again"),
        (Endless, "loss and gradients", "expected a finite number"),
    ],
)
def test_what_is_wrong_with_a_task_is_found(registered, task, check, said):
    found = {one.name: one.said for one in check_task(task).checks if one.state == "failed"}
    assert said in found[check]


# Structures and the command


@pytest.mark.parametrize(
    "name", [name for name in sn.topologies.names() if sn.topologies[name].takes != "dag"]
)
def test_deep_and_empty_structures_are_those_of_a_topology(name):
    topology = sn.topologies.create(name)
    (plan, *_) = topology.plan([deep(topology, 30)])
    assert plan.num_nodes == 30
    if topology.takes in ("sequence", "tree", "graph"):
        assert len(plan.levels) - 1 >= 15
    try:
        assert topology.plan([empty(topology)])[0].num_nodes == 0
    except ValueError as error:
        assert "0" in str(error)


def test_a_cell_that_does_not_fit_a_topology_is_refused_by_name():
    def picky(input_size, hidden_size, arity):
        raise ValueError(f"it reads one predecessor, not {arity}")

    with pytest.raises(NotFor, match="it reads one predecessor, not None"):
        layers.make_layer(sn.topologies.create("graph"), picky)


def test_a_card_is_printed_and_written(tmp_path):
    path = tmp_path / "card.json"
    words = ("check", "cell=leaky", "depth=20", f"out={path}", "--plugin",
             ROOT / "examples" / "leaky_cell.py")  # fmt: skip
    status, out, err = call(*words)
    assert status == 0, err
    assert out.splitlines()[-1].startswith("cell 'leaky': ") and out.endswith("checks, passed\n")
    written = json.loads(path.read_text())
    assert written["passed"] and written["component"]["name"] == "leaky"
    assert json.loads(call(*words, "--json").out)["checks"][0]["name"] == "made"


def test_what_a_task_prints_does_not_stand_in_the_json(registered, tmp_path, monkeypatch):
    def loud(self, topology):
        print("some rows")
        return Lengths.load(self, topology)

    sn.tasks.register("loud")(type("Loud", (Lengths,), {"load": loud, "__doc__": "Loud."}))
    monkeypatch.chdir(tmp_path)
    words = ("check", "task=loud", "topology=chain", "net.hidden_size=4", "--json")
    status, out, err = call(*words)
    assert status == 0 and json.loads(out)["passed"] and "some rows" in err, err


def test_a_component_that_exits_fails():
    class Exiting(Sound):
        def forward(self, z, h):
            raise SystemExit(0)

    assert "SystemExit" in failures(Exiting)["equals the reference"]


def test_a_constant_cell_is_compiled():
    class Constant(Sound):
        def forward(self, z, h):
            return torch.zeros_like(h[:, 0])

    layer = sn.Recurrence("chain", Constant, 3, 2)
    x = torch.randn(3, 3, requires_grad=True)
    h = layer(x, sn.topologies.create("chain").plan([3]), executor="compiled")
    (x.sum() + h.sum()).backward()
    assert x.grad.tolist() == [[1.0] * 3] * 3


def test_commands_that_can_not_be_checked_are_refused(tmp_path):
    assert "says nothing of it" in refused("check", "cell=lstm", "trainer.max_epochs=3")
    assert "is given twice" in refused("check", "executor=batched", "executor=scan")
    assert "is a folder" in refused("check", "cell=lstm", f"out={tmp_path}")
    assert "cell=NAME, topology=NAME, executor=NAME, task=NAME" in refused("check")
    assert "got cell and topology" in refused("check", "cell=lstm", "topology=tree")
    assert "did you mean 'lstm'" in refused("check", "cell=lstmm")
    assert "no executor 'none'" in refused("check", "executor=none")
    assert "says nothing of it" in refused("check", "executor=batched", "net.hidden_size=3")
    assert "depth must be a whole number" in refused("check", "cell=lstm", "depth=few")
    assert "no folder" in refused("check", "cell=lstm", f"out={tmp_path}/no/card.json")
    assert "take a net that hides it" in refused("check", "task=digits")
