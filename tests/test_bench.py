"""The instrument: the floor's products, the rivals' numbers, the suite's rows, its words."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import DATA, call, refused
from conftest import Products, assert_same, randomise
from torch import nn

import structnet as sn
from structnet.bench import workload
from structnet.bench.rivals import ours, rivals
from structnet.bench.rows import Memory, states_and_gates
from structnet.bench.scale import SCALE
from structnet.bench.stopwatch import measure, peak_bytes
from structnet.bench.suite import CPU, CUDA, PlainCell, run_suite
from structnet.bench.trained import Trained
from structnet.bench.vocabulary import VOCABULARIES
from structnet.bench.workload import Setting, Work, measure_case
from structnet.data.synthetic import (
    SizeRange,
    binary_tree,
    dependency_trees,
    draw,
    layered,
)
from structnet.nn.floor import Floor

CHAIN, TREE, DIAGONAL = {"name": "chain"}, {"name": "tree"}, {"name": "diagonal"}
ANY = {"name": "tree", "arity": None}
TINY = {"sizes": SizeRange(2, 6), "batch": 3, "input_size": 5, "hidden_size": 4}


def case_of(topology=CHAIN, cell="lstm", **options):
    cell = {"name": cell, **options.pop("cell_options", {})} if isinstance(cell, str) else cell
    case = Work(topology, cell, **{**TINY, **options}).build(0, "cpu")
    randomise(case.layer.double())
    x = case.x.detach().double().requires_grad_()
    return replace(case, x=x, grad=case.grad.double())


def shapes(products):
    """How often every product is run, A B and its transpose being one."""
    return Counter((min(m, n), k, max(m, n)) for m, k, n in products)


def floor_shapes(case):
    found = Floor(case.layer.cells, case.plans, case.layer.input_sizes).products
    assert all(product.count == 1 for product in found)
    return shapes(product[1:] for product in found)


def run_shapes(case, executor="batched"):
    with Products() as products:
        ours(case, executor).step()
    return shapes(products.shapes)


# The floor


@pytest.mark.parametrize("topology", [CHAIN, {"name": "bichain"}, TREE])
@pytest.mark.parametrize(
    "cell",
    [("elman", {}), ("lstm", {}), ("lstm", {"peephole": True}), ("gru", {}),
     ("gru", {"reset": "before"}), ("mut1", {}), ("lstm", {"projection_size": 3})],
    ids=str,
)  # fmt: skip
def test_the_floor_is_what_the_batched_executor_multiplies(topology, cell):
    name, options = cell
    case = case_of(topology, name, cell_options=options)
    assert floor_shapes(case) == run_shapes(case)


def test_the_floor_of_a_binary_tree_lstm_is_that_of_the_equations():
    case = case_of(TREE, hidden_size=4, input_size=5)
    levels = np.diff(case.plans[0].levels)
    nodes, gates = levels.sum(), 5 * 4
    expected = [(nodes, 5, 4 * 4), (nodes, 4 * 4, 5), (5, nodes, 4 * 4)]
    expected += [(n, 2 * 4, gates) for n in levels[1:]] + [(n, gates, 2 * 4) for n in levels[1:]]
    expected += [(2 * 4, levels[1:].sum(), gates)]
    assert floor_shapes(case) == shapes(expected)


def test_a_level_of_several_in_degrees_is_one_product_of_each_weight():
    case = case_of(ANY, sizes=SizeRange(9, 12))
    (plan,) = case.plans
    assert len(plan.steps) > len(plan.levels)
    levels = len(plan.levels) - 2
    # Two weights, forward and backward in every level, their gradients; and the input's product.
    floor = floor_shapes(case)
    assert floor.total() == 2 * (2 * levels + 1) + 3
    run = run_shapes(case)
    assert work(floor) == work(run)


def work(counted):
    return sum(m * k * n * count for (m, k, n), count in counted.items())


def test_a_plain_cell_has_the_floor_of_its_products_without_level_0():
    case = case_of(TREE, PlainCell)
    levels = np.diff(case.plans[0].levels)
    nodes = levels.sum()
    expected = [(nodes, 5, 8), (nodes, 8, 5), (5, nodes, 8), (8, levels[1:].sum(), 8)]
    expected += [(n, 8, 8) for n in levels[1:]] * 2
    assert floor_shapes(case) == shapes(expected)


@pytest.mark.parametrize("cell", ["mingru", "sru", "ssm"])
def test_linear_cells_have_products_of_the_input_alone(cell):
    case = case_of(CHAIN, cell)
    assert all(case.plans[0].num_nodes in shape for shape in floor_shapes(case))


def test_the_floor_runs_its_products_and_nothing_else():
    case = case_of(TREE)
    floor = Floor(case.layer.cells, case.plans, case.layer.input_sizes)
    step = floor.prepare(case.x.detach())
    with Products() as products:
        step()
    assert sorted(products.shapes) == sorted(product[1:] for product in floor.products)


# The rivals


class Skip(sn.Topology):
    """A sequence whose steps also see the one `stride` before."""

    takes = "sequence"
    arity = 2

    def __init__(self, *, stride: int = 2):
        self.stride = stride

    def predecessors(self, structure):
        step = np.arange(structure)
        return np.stack([step - 1, np.maximum(step - self.stride, -1)], axis=1)


class Every(Skip):
    """As many sequences side by side as `stride` says."""

    arity = 1

    def predecessors(self, structure):
        return np.maximum(np.arange(structure) - self.stride, -1)[:, None]


class Backwards(Skip):
    arity = 1

    def predecessors(self, structure):
        return np.append(np.arange(1, structure), -1)[:, None]


@pytest.mark.parametrize("made", [Skip, Every, Backwards])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_torch_is_no_rival_of_other_topologies_of_sequences(made, cell):
    case = case_of(CHAIN, cell)
    topology = made()
    layer = sn.Recurrence(topology, cell, 5, 4).double()
    plans = topology.plan(case.structures)
    case = replace(case, topology=topology, plans=plans, layer=layer)
    assert [rival.name for rival in rivals(case)] == ["reference executor"]


def test_a_topology_that_follows_the_step_before_has_the_rivals_of_chain():
    case = case_of(CHAIN, "lstm")
    topology = Every(stride=1)
    plans = topology.plan(case.structures)
    case = replace(case, topology=topology, plans=plans)
    assert "loop over time" in [rival.name for rival in rivals(case)]


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "mut1", "mingru", "ssm"])
@pytest.mark.parametrize("topology", [CHAIN, {"name": "bichain"}, TREE, ANY])
def test_rivals_compute_the_same_numbers(topology, cell):
    case = case_of(topology, cell)
    expected = ours(case).forward()
    names = []
    for rival in rivals(case):
        names.append(rival.name)
        found = rival.forward()
        if found.dim() == 3:
            lengths = torch.tensor(case.structures)
            assert rival.nodes == lengths.sum()
            found = found[torch.arange(found.shape[1]) < lengths[:, None]]
        if "starts in the padding" not in rival.note:
            assert_same(found, expected[: rival.nodes], 1e-10)
        rival.step()
    assert "reference executor" in names
    assert ("recursion, tree by tree" in names) == (topology in (TREE, ANY))
    assert ("loop over time" in names) == (topology is CHAIN)
    in_torch = topology["name"] in ("chain", "bichain") and cell in ("lstm", "elman", "gru")
    kind = {"lstm": "LSTM", "gru": "GRU", "elman": "RNN"}.get(cell)
    assert {f"nn.{kind} padded", f"nn.{kind} packed"} <= set(names) or not in_torch
    assert (f"loop over nn.{kind}Cell" in names) == (in_torch and topology is CHAIN)


@pytest.mark.parametrize("cell", ["lstm", "gru", "ssm"])
def test_a_skewed_loop_over_images_of_several_sizes_is_a_diagonal_layer(cell):
    case = case_of(DIAGONAL, cell, sizes=SizeRange(1, 4))
    structures = [(3, 2), (1, 1), (1, 4), (4, 3)]
    plans = case.topology.plan(structures)
    x = torch.randn(plans[0].num_nodes, 5, dtype=torch.double, requires_grad=True)
    grad = torch.randn(len(x), 4, dtype=torch.double)
    case = replace(case, structures=structures, plans=plans, x=x, grad=grad)
    rival, reference = rivals(case)
    assert (rival.name, reference.name) == ("skewed loop", "reference executor")
    both = [(one.forward(), one.inputs) for one in (ours(case), rival)]
    assert_same(both[1][0].detach(), both[0][0].detach(), 1e-10)
    expected, found = (torch.autograd.grad(h, inputs, grad) for h, inputs in both)
    assert_same(list(found), list(expected), 1e-10)


def test_skewed_convolutions_are_a_diagonal_lstm():
    case = case_of(DIAGONAL, "lstm", sizes=SizeRange(3, 3))
    loop, convolved, _ = rivals(case)
    assert convolved.name == "skewed convolutions"
    expected, found = loop.forward(), convolved.forward()
    assert_same(found.permute(0, 2, 3, 1).flatten(0, 2).detach(), expected.detach(), 1e-10)
    (wanted,) = torch.autograd.grad(expected, [case.x], case.grad)
    (given,) = torch.autograd.grad(found, convolved.inputs[:1], convolved.grad)
    assert_same(given.permute(0, 2, 3, 1).flatten(0, 2), wanted, 1e-10)
    for options in ({"coupled": True}, {"peephole": True}, {"forget": 1}):
        assert len(list(rivals(case_of(DIAGONAL, "lstm", cell_options=options), ("loop",)))) == 1


def test_gradients_of_rivals_are_ours():
    case = case_of(CHAIN, "lstm")
    (expected,) = torch.autograd.grad(ours(case).forward(), [case.x], case.grad)
    lengths = torch.tensor(case.structures)
    for rival in rivals(case, ("torch", "loop")):
        (found,) = torch.autograd.grad(rival.forward(), [rival.inputs[0]], rival.grad)
        assert_same(found[torch.arange(found.shape[1]) < lengths[:, None]], expected, 1e-10)


def test_a_layer_called_as_torch_is_computes_the_same():
    case = case_of(CHAIN, "lstm", kernels=True)
    padded = ours(case).forward()
    mask = torch.arange(padded.shape[1]) < torch.tensor(case.structures)[:, None]
    assert_same(padded[mask], ours(case, "reference").forward(), 1e-10)


# Structures, times and memory


def test_structures_are_of_the_sizes_asked_for():
    for takes, count in ((CHAIN, int), (TREE, lambda tree: (len(tree) + 1) // 2), (ANY, len)):
        topology = create(takes)
        sizes = [count(one) for one in draw(topology, SizeRange(3, 9), 50, seed=0)]
        assert min(sizes) >= 3 and max(sizes) <= 9 and len(set(sizes)) > 1
        topology.plan(draw(topology, SizeRange(1, 4), 5, seed=1))
    assert draw(create({"name": "row", "dims": 3}), SizeRange(4, 4), 2, seed=0) == [(4, 4, 4)] * 2


def create(choice):
    options = {name: value for name, value in choice.items() if name != "name"}
    return sn.topologies.create(choice["name"], **options)


def test_a_random_graph_has_three_predecessors_in_the_mean():
    (graph,) = draw(create({"name": "graph"}), SizeRange(4000, 4000), 1, seed=0)
    assert graph.index.shape[1] / 4000 == pytest.approx(3, rel=0.05)
    assert (graph.index[0] < graph.index[1]).all()


def test_child_tables_are_those_of_the_parents():
    parent = np.array([2, 2, -1, 0, 2])
    table = sn.Edges.of_parents(parent).table()
    assert table.tolist() == [[3, -1, -1], [-1] * 3, [0, 1, 4], [-1] * 3, [-1] * 3]
    assert sn.Edges.of_parents([-1]).table().tolist() == [[-1]]
    assert binary_tree(1, np.random.default_rng(0)).tolist() == [[-1, -1]]


@pytest.mark.skipif(not DATA, reason="STRUCTNET_DATA is not set")
def test_dependency_trees_hold_the_words_asked_for():
    trees = dependency_trees(500)
    assert 400 < sum(map(len, trees)) <= 500
    # "Al-Zaqahtani ... killed", the treebank's first sentence, hangs on its 29 words' one root.
    assert len(trees[0]) == 29 and (trees[0] >= 0).sum() == 28


def test_contenders_take_turns():
    turns = []
    times = measure({name: (lambda name=name: turns.append(name)) for name in "ab"}, repeats=3)
    assert "".join(turns) == "aabb" + "ab" * 3
    assert {name: time.repeats for name, time in times.items()} == {"a": 3, "b": 3}
    for time in times.values():
        assert time.low_s <= time.median_s <= time.high_s


def test_the_peak_is_what_torch_holds_at_once():
    def run():
        torch.ones(1000, dtype=torch.float64)
        held = torch.ones(3000)
        return torch.ones(500).sum() + held.sum()

    assert 14_000 <= peak_bytes(run) < 15_000


def test_states_and_gates_are_counted_by_edges():
    case = case_of({"name": "graph"}, sizes=SizeRange(50, 50), batch=1)
    (plan,) = case.plans
    # Three node gates, two states, and a forget gate for every row that is read.
    expected = 8 * 4 * (5 * plan.num_nodes + len(plan.rows))
    assert states_and_gates(case) == expected


# The suite


@pytest.fixture(autouse=True)
def _without_compiling(traced):
    """Rows are looked at here, not timed."""


@pytest.mark.parametrize("row", CPU)
def test_every_row_composes_and_runs(row):
    setting = Setting(repeats=2, scale=0.02)
    ((name, marks, _),) = run_suite("cpu", [row], setting, lambda row: None)
    assert name == row and marks
    for mark in marks:
        if mark.value is None:
            assert row == "childsum-ewt" and not DATA and mark.met is None
        else:
            assert mark.value > 0 and mark.met == (mark.value <= mark.limit)


@pytest.mark.parametrize("row", SCALE)
def test_every_row_of_scale_measures_planning_and_steps(row):
    setting = Setting(repeats=1, scale=0.003)
    ((_, marks, figures),) = run_suite("scale", [row], setting, lambda row: None)
    assert all(mark.value > 0 for mark in marks)
    assert all(mark.met is None for mark in marks if mark.limit is None)
    for times in figures["times"].values():
        assert list(times) == list(figures["batches"])
        for name, time in times.items():
            nodes = figures["batches"][name]["nodes"]
            assert time["us_per_node"] == pytest.approx(1e6 * time["median_s"] / nodes)


@pytest.mark.parametrize("row", CUDA)
def test_every_row_for_a_gpu_composes_and_runs(row):
    if row.endswith("-replayed") and not torch.cuda.is_available():
        pytest.skip("CUDA graphs need a GPU")
    if row.endswith("-fused"):
        pytest.importorskip("triton", reason="Triton is not installed: pip install triton")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    setting = Setting(device, repeats=2, scale=0.02)
    ((_, (mark,), _),) = run_suite("cuda", [row], setting, lambda row: None)
    assert mark.value > 0
    assert mark.met == (None if mark.limit is None else mark.value <= mark.limit)


def test_levels_of_equal_width_hold_what_reads_the_level_before():
    graph = layered(1050, 100, np.random.default_rng(0))
    (plan,) = create({"name": "graph"}).plan([graph])
    assert plan.level_sizes == (100,) * 10 + (50,)
    assert graph.index.shape == (2, 3 * 950)
    level = graph.index // 100
    assert (level[0] == level[1] - 1).all()


def test_a_picture_of_times_is_put_beside_the_figures(tmp_path):
    file = tmp_path / "scale.json"
    words = ("bench", "suite=scale", "scale=0.003", "repeats=1", f"out={file}")
    status, out, err = call(*words, "rows=small-dags,equal-width")
    assert status == 0, err
    assert f"picture: {tmp_path / 'scale.png'}" in out
    assert {path.name for path in tmp_path.iterdir()} == {"scale.json", "scale.png"}
    assert set(json.loads(file.read_text())["rows"]) == {"small-dags", "equal-width"}


def test_what_the_machine_has_no_memory_for_is_called_not_measured(monkeypatch):
    monkeypatch.setattr("structnet.bench.rows._free_bytes", lambda: 1000)
    ((_, (mark,), figures),) = run_suite("cpu", ["dag-1m"], Setting(), lambda row: None)
    assert isinstance(CPU["dag-1m"], Memory)
    assert mark.value is None and mark.met is None and not figures
    assert "not measured: needs about 6 GB" in mark.note
    for row in SCALE:
        ((_, marks, _),) = run_suite("scale", [row], Setting(), lambda row: None)
        assert all("not measured: needs" in mark.note for mark in marks)


def test_figures_are_relative_to_the_floor():
    found = measure_case(case_of(TREE), Setting(repeats=2))
    contenders = found["contenders"]
    floor = contenders["floor"]["step_s"]
    for name, figures in contenders.items():
        assert figures["over_floor"] == pytest.approx(figures["step_s"] / floor)
        assert figures["nodes_per_s"] == pytest.approx(found["nodes"] / figures["step_s"])
        whole = figures["nodes"] == found["nodes"]
        assert ("peak_bytes" in figures) == (whole and name != "floor")
    reference = contenders["reference executor"]
    scale = found["nodes"] / reference["nodes"]
    assert reference["note"] == "on 1 of 3 samples" and scale > 1
    assert reference["step_s"] == pytest.approx(scale * reference["median_s"])


# The command

SMALL = ("size=2..5", "batch=3", "hidden_size=4", "input_size=3", "repeats=2")


def test_a_composition_is_measured_as_json(tmp_path):
    words = ("bench", "topology=tree", "topology.arity=null", "cell.peephole=true", *SMALL)
    file = tmp_path / "bench.json"
    status, out, err = call(*words, "--json", f"out={file}")
    assert status == 0, err
    found = json.loads(out)
    assert found == json.loads(file.read_text())
    assert found["cell"]["peephole"] is True and found["topology"]["arity"] is None
    assert found["samples"] == 3 and found["machine"]["threads"] == 1
    names = {"floor", "structnet", "recursion, tree by tree", "reference executor"}
    assert set(found["contenders"]) == names
    assert found["planning"]["share_of_step"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.slow
def test_a_table_is_printed_for_a_person():
    status, out, err = call("bench", "topology=chain", "cell=elman", *SMALL)
    assert status == 0, err
    rivals = ("nn.RNN padded", "loop over nn.RNNCell")
    for word in ("floor", "structnet", *rivals, "planning, not cached"):
        assert word in out


def test_all_contenders_and_the_floor_are_in_the_precision(monkeypatch):
    seen, floors = [], []
    ours, prepare = workload.ours, workload.Floor.prepare

    def noted(case):
        step = ours(case)
        return replace(step, forward=lambda: seen.append(autocast()) or step.forward())

    def noted_floor(floor, like):
        floors.append(like.dtype)
        return prepare(floor, like)

    def autocast():
        return torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")

    monkeypatch.setattr(workload, "ours", noted)
    monkeypatch.setattr(workload.Floor, "prepare", noted_floor)
    for precision in ("bfloat16", "float32"):
        words = ("bench", "topology=tree", "cell=lstm", f"precision={precision}", *SMALL)
        status, out, err = call(*words)
        assert status == 0, err
        assert f"hidden 4, {precision}" in " ".join(out.split())
    assert set(seen) == {torch.bfloat16, False}
    assert floors == [torch.bfloat16, torch.float32]


def test_one_step_and_neighbours_are_measured():
    words = ("bench", "suite=cpu", "rows=step-peephole,neighbours", "scale=0.05", "repeats=2")
    status, out, err = call(*words)
    assert status == 0, err
    lines = {" ".join(line.split()[:6]) for line in out.splitlines()}
    assert any(line.startswith("step-peephole RNN / nn.LSTM") for line in lines), out
    assert any(line.startswith("step-peephole stepper / nn.LSTM") for line in lines), out
    assert any(line.startswith("neighbours beside 4 busy processes") for line in lines), out
    assert any(line.startswith("neighbours beside 6 busy processes") for line in lines), out


@pytest.mark.slow
def test_a_step_of_the_trainer_is_measured_beside_the_bare_step(capsys):
    threads = torch.get_num_threads()
    row = Trained(hidden_sizes=(128,))
    marks, figures = row.measure("train-default", Setting(repeats=2, scale=0.02))
    names = ["hidden 128, trainer / bare step", "hidden 128, outside the layer"]
    assert [mark.figure for mark in marks] == names
    assert [mark.limit for mark in marks] == [1.3, 0.25]
    times = figures["hidden"]["128"]
    middle = {name: one["median_s"] for name, one in times.items()}
    assert marks[0].value == middle["trainer"] / middle["bare step"]
    assert marks[1].value == 1 - middle["layer alone"] / middle["trainer"]
    # Three turns of three steps, each on the same batches.
    assert {name: len(one["times_s"]) for name, one in times.items()} == dict.fromkeys(middle, 9)
    # What training prints is left out, and its number of threads.
    assert not capsys.readouterr().out and torch.get_num_threads() == threads


def test_rows_of_the_suite_are_picked():
    words = ("bench", "suite=cpu", "rows=tree-20,scan-mingru", "scale=0.05", "repeats=2")
    status, out, err = call(*words)
    assert status == 0, err
    assert "tree-20" in out and "loop over time" in out and "chain-lstm" not in out
    assert "sizes x 0.05" in out
    found = json.loads(call(*words, "--json").out)
    assert [mark["row"] for mark in found["marks"]] == ["tree-20", "scan-mingru"]
    assert set(found["rows"]) == {"tree-20", "scan-mingru"}
    assert found["rows"]["tree-20"]["contenders"]["floor"]["repeats"] == 2


WRONG = {
    "hiden_size=3": "did you mean 'hidden_size'",
    "batch=0": "batch must be a whole number, at least 1, got '0'",
    "zoneout=much": "zoneout must be a number, at least 0.0, got 'much'",
    "precision=half": "precision is float32 or bfloat16, got 'half'",
    "size=9..4": "a range must not fall, got '9..4'",
    "size=many": "such as 4..64, got 'many'",
    "cell=lstn": "did you mean 'lstm'",
    "cell.peephol=true": "did you mean 'peephole'",
    "executor=batchd": "did you mean 'batched'",
    "suite=cpi": "did you mean 'cpu'",
    "suite=cpu rows=tree-2": "did you mean 'tree-20'",
    "suite=cpu batch=3": "'batch': suite 'cpu' has compositions of its own",
    "suite=cpu cell=gru": "'cell=gru': suite 'cpu' has compositions of its own",
    "scale=0.1": "'scale': this option is for a suite, as in suite=cpu",
    "suite=": "suite= takes a value",
    "suite=cuda": "suite 'cuda' is measured on a GPU, got device 'cpu'; --device cuda",
    "suite=scale out=scale.png": "a JSON file, beside which the picture is saved, got scale.png",
    "out=nowhere/bench.json": "for out=nowhere/bench.json",
    "--device tpu": "no device 'tpu'",
    "--fast": "no flag '--fast'",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_named_with_the_way_out(words):
    assert WRONG[words] in refused("bench", *words.split())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named():
    assert "torch finds no GPU" in refused("bench", "--device", "cuda")


def test_the_plain_cell_knows_nothing_of_structnet():
    assert issubclass(PlainCell, nn.Module) and not issubclass(PlainCell, sn.Cell)


@pytest.mark.parametrize("row", VOCABULARIES)
def test_every_row_of_heads_measures_them_beside_the_full_softmax(row):
    setting = Setting(repeats=1, scale=0.02)
    ((_, marks, figures),) = run_suite("heads", [row], setting, lambda row: None)
    assert [mark.figure for mark in marks[1:]] == [
        "adaptive, step / softmax",
        "adaptive, memory / softmax",
        "sampled, step / softmax",
        "sampled, memory / softmax",
    ]
    assert all(mark.value and mark.value > 0 for mark in marks)
    assert set(figures["heads"]) == {"softmax", "adaptive", "sampled"}


def test_a_field_is_measured_by_its_share_of_a_step():
    setting = Setting(repeats=1, scale=0.1)
    ((_, (mark,), figures),) = run_suite("heads", ["crf-50"], setting, lambda row: None)
    plain, field = (figures["heads"][name]["median_s"] for name in ("softmax", "crf"))
    assert mark.value == pytest.approx(1 - plain / field)
    assert figures["tags"] == 5
