import json
import math

import pytest
import torch
from commands import SMALL, call, code_folder, copy_of_trained, isolated, logged, opened, refused
from torch import nn

import structnet as sn
from structnet.diagnosis.gradients import Diagnosis, diagnose, distances, largest_batch
from structnet.diagnosis.picture import draw_diagnosis
from structnet.diagnosis.report import as_data, judge, print_diagnosis, sentences
from structnet.diagnosis.saturation import Saturation, spectral_radii

TREE = torch.tensor([[1, 2], [3, 4], [-1, -1], [-1, -1], [-1, 5], [-1, -1]])


class Bare(nn.Module):
    """A recurrence as a net, called with (x, plans) for a batch."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, batch):
        return self.layer(*batch)


def measured(layer, topology, structures, x=None):
    """The diagnosis of a layer with one direction."""
    plans = topology.plan(structures)
    if x is None:
        x = torch.randn(plans[0].num_nodes, layer.input_size)
    (found,) = diagnose(Bare(layer), (x, plans))
    return found


def elman(scale, size=4, nonlinearity="relu"):
    """A chain of h = g(x + scale * h), and its topology."""
    chain = sn.topologies.create("chain")
    layer = sn.Recurrence(chain, "elman", size, size, nonlinearity=nonlinearity)
    with torch.no_grad():
        layer.cells[0].input.weight.copy_(torch.eye(size))
        layer.cells[0].recurrent.copy_(scale * torch.eye(size))
    return layer, chain


# Gradients


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_gradient_of_a_scaled_identity_is_its_power(scale):
    layer, chain = elman(scale)
    found = measured(layer, chain, [12], torch.ones(12, 4))
    assert found.gradient == pytest.approx([scale**distance for distance in range(12)])


def test_the_gradient_is_the_norm_of_the_chain_of_jacobians():
    torch.manual_seed(0)
    layer, chain = elman(0.0, size=64, nonlinearity="tanh")
    recurrent = nn.init.orthogonal_(layer.cells[0].recurrent.data)
    x = torch.randn(6, 64)
    found = measured(layer, chain, [6], x)
    h = layer(x, chain.plan([6])).detach()
    jacobian, expected = torch.eye(64), [1.0]
    for step in range(5, 0, -1):
        # d h_t / d h_{t-1} = diag(1 - h_t^2) U^T
        jacobian = jacobian @ torch.diag(1 - h[step] ** 2) @ recurrent.T
        expected.append(jacobian.norm().item() / 8)
    # One draw of signs estimates the norm.
    assert found.gradient == pytest.approx(expected, rel=0.2)


def test_shorter_chains_count_from_their_own_end():
    layer, chain = elman(0.5)
    found = measured(layer, chain, [7, 1, 3], torch.ones(11, 4))
    assert found.gradient == pytest.approx([0.5**distance for distance in range(7)])


def test_distance_is_the_shortest_way_to_a_last_node():
    (plan,) = sn.topologies.create("tree").plan([TREE, TREE[2:3]])
    assert distances(plan)[plan.rank].tolist() == [0, 1, 1, 2, 2, 3, 0]
    (plan,) = sn.topologies.create("tree", direction="down").plan([TREE, TREE[2:3]])
    assert distances(plan)[plan.rank].tolist() == [3, 2, -1, -1, 1, 0, 0]
    diamond = sn.schedule([[-1, -1], [0, -1], [1, 0], [2, 0], [-1, -1]])
    assert distances(diamond)[diamond.rank].tolist() == [1, 2, 1, 0, -1]


def test_a_gradient_is_of_the_states_of_one_layer_whatever_lies_above():
    torch.manual_seed(0)
    first, chain = elman(0.5)
    second, _ = elman(2.0)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.head = first, second, nn.Linear(4, 1)

        def forward(self, batch):
            x, plans = batch
            return 1e-9 * self.head(self.second(self.first(x, plans), plans)).sum()

    below, above = diagnose(Two(), (torch.ones(5, 4), chain.plan([5])))
    assert (below.name, above.name) == ("layer 1", "layer 2")
    assert below.gradient[-1] == pytest.approx(0.5**4)
    assert above.gradient[-1] == pytest.approx(2**4)


def test_every_direction_is_measured():
    bichain = sn.topologies.create("bichain")
    layer = sn.Recurrence(bichain, "gru", 3, 4)
    found = diagnose(Bare(layer), (torch.randn(6, 3), bichain.plan([4, 2])))
    assert [one.name for one in found] == ["layer 1, forward", "layer 1, backward"]
    assert [len(one.gradient) for one in found] == [4, 4]


def test_zoneout_keeps_its_part_of_the_gradient():
    chain = sn.topologies.create("chain")
    layer = sn.Recurrence(chain, "elman", 4, 4, zoneout=0.25, recurrent_dropout=0.5)
    layer.cells[0].recurrent.data.zero_()
    found = measured(layer, chain, [5])
    assert found.gradient == pytest.approx([0.25**distance for distance in range(5)])


def test_a_net_is_left_as_it_was():
    layer, chain = elman(0.5)
    net = Bare(layer)
    layer.eval()
    noise, random = layer.noise, torch.get_rng_state()
    diagnose(net, (torch.ones(5, 4), chain.plan([5])))
    assert net.training and not layer.training and layer.noise is noise
    assert "gates" not in vars(layer.cells[0]) and "split" not in vars(layer.cells[0])
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(torch.get_rng_state(), random)


def test_a_net_without_recurrences_is_refused():
    with pytest.raises(ValueError, match="Linear has no recurrence to diagnose"):
        diagnose(nn.Linear(1, 1), None)


@pytest.mark.parametrize("name", sn.cells.names())
@pytest.mark.parametrize("kind, structures", [("chain", [5, 1, 9]), ("tree", [TREE, TREE[2:3]])])
def test_every_cell_is_diagnosed(name, kind, structures):
    torch.manual_seed(0)
    topology = sn.topologies.create(kind)
    layer = sn.Recurrence(topology, name, 4, 4)
    found = measured(layer, topology, structures)
    assert len(found.gradient) == (9 if kind == "chain" else 4)
    assert found.gradient[0] == 1 and all(map(math.isfinite, found.gradient))
    for one in found.saturation.values():
        assert min(one.low, one.high) >= 0 and one.low + one.high <= 1
    assert all(radius.value >= 0 for radius in found.radii)
    assert found.saturation or name == "indrnn"
    json.dumps(as_data([found]), allow_nan=False)


def test_any_module_is_diagnosed_as_a_cell():
    class Leaky(nn.Module):
        state_sizes = (3,)

        def project(self, x):
            return x

        def forward(self, z, h):
            return z.sigmoid() * h.sum(1) + z

    chain = sn.topologies.create("chain")
    layer = sn.Recurrence(chain, lambda *sizes: Leaky(), 3, 3)
    found = measured(layer, chain, [4], torch.full((4, 3), math.log(1 / 3)))
    assert found.gradient == pytest.approx([1, 0.25, 0.25**2, 0.25**3])
    assert found.saturation == {"gate 1": Saturation("sigmoid", 0, 0, pytest.approx(0.25))}
    assert found.radii == []


# Gates


@pytest.mark.parametrize("kind", ["chain", "tree"])
def test_saturation_counts_the_values_of_a_gate(kind):
    topology = sn.topologies.create(kind)
    layer = sn.Recurrence(topology, "lstm", 2, 4)
    cell = layer.cells[0]
    for parameter in cell.parameters():
        parameter.data.zero_()
    # s(-3) = 0.05, s(3) = 0.95, tanh(2) = 0.96
    cell.bias("i").copy_(torch.tensor([-3.0, -3, -3, 0]))
    cell.bias("o").copy_(torch.tensor([3.0, 3, -3, 0]))
    cell.bias("u").copy_(torch.tensor([2.0, -2, -2, 0]))
    cell.bias("f").copy_(torch.tensor([3.0, 3, 3, 3]))
    found = measured(layer, topology, [5, 2] if kind == "chain" else [TREE]).saturation
    assert {gate: (one.activation, one.low, one.high) for gate, one in found.items()} == {
        "i": ("sigmoid", 0.75, 0),
        "o": ("sigmoid", 0.25, 0.5),
        "u": ("tanh", 0.5, 0.25),
        "f": ("sigmoid", 0, 1),
    }


def test_gates_of_absent_predecessors_do_not_count():
    tree = sn.topologies.create("tree")
    layer = sn.Recurrence(tree, "lstm", 1, 1)
    cell = layer.cells[0]
    for parameter in cell.parameters():
        parameter.data.zero_()
    cell.input.weight.data[3] = 1
    # Node 4 has one child, nodes 0 and 1 have two: 1 of 5 edges, beside 3 childless nodes.
    x = torch.tensor([0, 0, 9, 9, 9, 9]).float()[:, None]
    assert measured(layer, tree, [TREE], x).saturation["f"].high == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    "name, options, gates",
    [
        ("gru", {}, ["r", "u", "n"]),
        ("gru", {"reset": "before"}, ["r", "u"]),
        ("lstm", {"coupled": True}, ["o", "u", "f"]),
        ("lstm", {"peephole": True, "layer_norm": True}, ["i", "o", "u", "f"]),
        ("elman", {}, ["h"]),
        ("elman", {"nonlinearity": "relu"}, []),
        ("mingru", {}, ["a"]),
    ],
)
def test_gates_have_the_names_that_the_cell_gives_them(name, options, gates):
    chain = sn.topologies.create("chain")
    found = measured(sn.Recurrence(chain, name, 3, 4, **options), chain, [5])
    assert set(gates) <= set(found.saturation)
    assert not [gate for gate in found.saturation if gate.startswith("gate")]


def test_the_coefficients_of_a_linear_cell_are_what_it_has_for_gates():
    chain = sn.topologies.create("chain")
    layer = sn.Recurrence(chain, "mingru", 2, 2)
    layer.cells[0].input.weight.data.zero_()
    # h = (1 - s(u)) h + ...
    layer.cells[0].bias("u").copy_(torch.tensor([-3.0, 0]))
    found = measured(layer, chain, [5])
    assert found.saturation["a"][:3] == ("coefficient", 0, 0.5)
    assert found.gradient[1] == pytest.approx(((0.9526**2 + 0.5**2) / 2) ** 0.5, rel=1e-3)
    (radius,) = found.radii
    assert radius.value == pytest.approx(0.9526, abs=1e-4)


# Recurrent matrices


def radii_of(cell):
    return {
        (one.gate, one.slot, one.reads): (one.measure, pytest.approx(one.value))
        for one in spectral_radii(cell, {})
    }


def test_the_spectral_radius_is_the_largest_absolute_eigenvalue():
    cell = sn.cells.create("elman", 2, 2, 1)
    # Eigenvalues 3i and -3i; the largest singular value is 9.
    cell.recurrent.data = torch.tensor([[0.0, 9.0], [-1.0, 0.0]])
    assert radii_of(cell) == {("h", None, None): ("spectral radius", 3)}


def test_blocks_have_the_names_of_gate_and_slot():
    cell = sn.cells.create("lstm", 2, 3, 2)
    expected = {}
    for reads in range(2):
        for at, gate in enumerate([("i", None), ("o", None), ("u", None), ("f", 0), ("f", 1)]):
            value = 1 + at + 10 * reads
            block = cell.recurrent.data[3 * reads : 3 * reads + 3, 3 * at : 3 * at + 3]
            block.copy_(-value * torch.eye(3))
            expected[(*gate, reads)] = ("spectral radius", value)
    assert radii_of(cell) == expected
    # What is scaled is what the cell reads: slot 1 of the memory of slot 0.
    _, (f,) = cell.recur(torch.stack([torch.zeros(1, 3), torch.ones(1, 3)], dim=1))
    assert f.tolist() == [[[-14.0] * 3, [-15.0] * 3]]


def test_unordered_predecessors_have_a_block_a_gate():
    cell = sn.cells.create("lstm", 2, 3, None)
    cell.recurrent_edge.data = 0.5 * torch.eye(3)
    found = radii_of(cell)
    assert list(found) == [(gate, None, None) for gate in "iouf"]
    assert found["f", None, None] == ("spectral radius", 0.5)


def test_a_block_that_is_not_square_has_a_norm_and_a_diagonal_an_entry():
    cell = sn.cells.create("lstm", 2, 3, 1, projection_size=2)
    cell.recurrent.data.fill_(1)
    assert list(radii_of(cell).values()) == [("norm", 6**0.5)] * 4
    cell = sn.cells.create("lstm", 2, 3, 1, diagonal=True)
    cell.diagonal_recurrent.data[0, 1] = torch.tensor([0.5, -2, 1])
    assert radii_of(cell)["o", None, None] == ("entry", 2)
    assert radii_of(cell)["u", None, None] == ("spectral radius", 1)


# Verdicts


def said(gradient, **saturation):
    gates = {gate: Saturation(*one, 1.0) for gate, one in saturation.items()}
    return list(sentences(Diagnosis("layer 1", gradient, gates, [])))


def test_the_verdict_is_in_plain_words():
    rate = 1e-7 ** (1 / 60)
    assert said([rate**d for d in range(61)])[0] == (
        "layer 1: gradient falls to 1e-7 over 60 levels: vanishing"
    )
    assert said([1.0, 200.0, 3e4])[0] == "layer 1: gradient grows to 3e4 over 2 levels: exploding"
    assert said([1.0, 0.31]) == ["layer 1: gradient keeps 0.31 over 1 level: fine"]
    assert said([1.0, 0.0])[0] == "layer 1: gradient falls to 0 over 1 level: vanishing"
    assert "no node has a predecessor" in said([1.0])[0]


def test_what_overflows_explodes():
    assert said([1.0, 5.0, math.inf, math.nan])[0] == (
        "layer 1: gradient grows to infinity over 2 levels: exploding"
    )
    assert judge([1.0, 1e5, 1e-9]).word == "exploding"


def test_what_to_try_depends_on_the_gates():
    assert "forget_bias" in said([1.0, 1e-9], f=("sigmoid", 0, 0))[1]
    assert "gated cell" in said([1.0, 1e-9], h=("tanh", 0, 0))[1]
    assert "clip_norm" in said([1.0, 1e9], f=("sigmoid", 0, 0))[1]


def test_a_stuck_gate_is_named():
    lines = said([1.0, 1.0], i=("sigmoid", 0.95, 0), o=("sigmoid", 0.3, 0.6), u=("tanh", 0.97, 0))
    assert lines[1:] == [
        "  i is stuck: 95% of its values are below 0.1",
        "  u is stuck: 97% of its values are below -0.9",
    ]


@pytest.mark.parametrize("scale, word", [(0.5, "vanishing"), (1.0, "fine"), (2.0, "exploding")])
def test_a_scaled_identity_is_judged_by_its_scale(scale, word):
    layer, chain = elman(scale)
    assert judge(measured(layer, chain, [20], torch.ones(20, 4)).gradient).word == word


def test_infinities_are_null_in_the_file():
    layer, chain = elman(1e30)
    data = as_data([measured(layer, chain, [9], torch.ones(9, 4))])
    json.dumps(data, allow_nan=False)
    assert data[0]["verdict"] == "exploding" and data[0]["gradient"][-1] is None


def test_weights_that_are_not_finite_are_shown_as_such(run):
    layer, chain = elman(math.nan)
    found = measured(layer, chain, [3])
    assert judge(found.gradient).word == "exploding"
    json.dumps(as_data([found]), allow_nan=False)
    print_diagnosis([found])
    draw_diagnosis(run.directory, [found])


def test_the_table_has_a_row_a_gate(capsys):
    tree = sn.topologies.create("tree")
    print_diagnosis([measured(sn.Recurrence(tree, "lstm", 2, 3), tree, [TREE])])
    out = capsys.readouterr().out
    rows = [line for line in out.splitlines() if line.startswith("│ layer 1 │")]
    assert [row.split("│")[2].strip() for row in rows] == list("iouf")
    assert "largest of 4" in rows[3] and "layer 1: gradient" in out


# The command and the callback


@pytest.fixture
def run(tmp_path):
    with isolated():
        yield opened(copy_of_trained(tmp_path))


def test_a_run_is_diagnosed(run):
    status, out, err = call("diagnose", f"run={run.directory}")
    assert status == 0, err
    assert "layer 1: gradient" in out
    saved = json.loads((run.directory / "diagnose.json").read_text())
    (layer,) = saved["layers"]
    assert layer["gradient"][0] == 1 and len(layer["gradient"]) == layer["levels"] + 1 > 2
    assert set(layer["saturation"]) == set("iouf")
    assert {one["measure"] for one in layer["radii"]} == {"spectral radius"}
    assert saved["history"] == []
    assert (run.directory / "diagnose.png").read_bytes().startswith(b"\x89PNG")
    status, out, err = call("diagnose", f"run={run.directory}", "--json")
    assert status == 0, err
    assert json.loads(out) == saved["layers"]


def test_what_is_no_run_is_refused(tmp_path):
    assert "no run in nowhere" in refused("diagnose", "run=nowhere")
    assert "run=... is missing: write run=DIR" in refused("diagnose")
    assert "no option 'path=x'" in refused("diagnose", "run=nowhere", "path=x")


def test_a_file_that_holds_no_diagnosis_is_named(run):
    (run.directory / "diagnose.json").write_text("[]")
    assert "diagnose.json is not a saved diagnosis" in refused("diagnose", f"run={run.directory}")


def test_the_largest_structures_are_looked_at(run):
    samples = run.task.load(run.topology)["validation"]
    batch = largest_batch(samples, run.topology, 64)
    assert batch.num_nodes <= 64 or batch.num_samples == 1
    assert max(batch.ptr.diff()) == max(sample.num_nodes for sample in samples)
    with pytest.raises(ValueError, match="validation split is empty"):
        largest_batch([], run.topology, 64)


def test_training_logs_the_gradient_and_learns_the_same(tmp_path):
    words = ("train", f"task.root={code_folder()}", *SMALL, "trainer.max_epochs=3")
    for name, option in (("plain", "null"), ("told", "2")):
        status, _, err = call(*words, f"run={tmp_path / name}", f"trainer.diagnose={option}")
        assert status == 0, err
    plain, told = (tmp_path / name for name in ("plain", "told"))
    assert logged(plain, "loss") == logged(told, "loss")
    assert not (plain / "diagnose.json").exists()
    saved = json.loads((told / "diagnose.json").read_text())
    (entry,) = saved["history"]
    assert entry["epoch"] == 2
    (value,) = [value for _, value in logged(told, "gradient/layer_1")]
    assert value == pytest.approx(entry["gradient"]["layer 1"][-1], rel=1e-4)
    # A run that goes on adds to it, and the command keeps it.
    status, _, err = call("train", f"resume={told}", "trainer.max_epochs=4")
    assert status == 0, err
    assert call("diagnose", f"run={told}").status == 0
    history = json.loads((told / "diagnose.json").read_text())["history"]
    assert history[0] == entry and [one["epoch"] for one in history] == [2, 4]


def test_a_callback_without_epochs_is_refused():
    assert "option 'diagnose' of trainer must be above 0" in refused(
        "train", f"task.root={code_folder()}", *SMALL, "trainer.diagnose=0", "run=nowhere"
    )


def test_the_picture_shows_gradient_gates_and_radii(run, monkeypatch):
    from matplotlib.figure import Figure

    figures = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *some, **options: (
        figures.append(figure), save(figure, *some, **options)))  # fmt: skip
    layer, chain = elman(0.5, nonlinearity="tanh")
    found = measured(layer, chain, [7], torch.zeros(7, 4))
    history = [{"epoch": 1, "gradient": {"layer 1": [1.0, None, 0.0, 3.0]}}]
    draw_diagnosis(run.directory, [found], history)
    gradient, gates, radii = figures[0].axes
    earlier, now, *_ = gradient.lines
    assert list(earlier.get_xdata()) == [0, 3]
    assert list(now.get_ydata()) == pytest.approx([0.5**distance for distance in range(7)])
    assert all(axes.get_xlabel() and axes.get_title() for axes in (gradient, gates, radii))
    assert [label.get_text() for label in gates.get_yticklabels()] == ["layer 1: h"]
    assert list(radii.lines[0].get_xdata()) == pytest.approx([0.5])
    assert {path.name for path in run.directory.glob("*.png")} == {"curve.png", "diagnose.png"}
