"""Exported nets give what torch gives, with numpy and onnxruntime alone."""

import json
import re
import shlex
import sys
from functools import partial
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from commands import ROOT, SMALL, call, files_below, opened, refused, run_python, trained
from conftest import create_cells, create_topologies, randomise
from test_readouts import NAMES

import structnet as sn
from structnet.data.batch import Sample, collate
from structnet.export import folder, further, onnx, samples, verify
from structnet.export.model import export
from structnet.export.onnx import NotExportable, Part, to_onnx
from structnet.export.parts import Project, Scored, Step
from structnet.export.refusal import check_exportable
from structnet.export.runtime import Model
from structnet.export.structures import random_structures
from structnet.nn.sizes import Sizes

FEATURES = Sizes(None, 3, 2)
# Random structures of these kinds are known.
KINDS = ("sequence", "tree", "grid", "graph", "undirected")
every_topology = pytest.mark.parametrize(
    "topology", [one for one in create_topologies() if one.values[0].takes in KINDS]
)


def make(topology, cell="lstm", sizes=FEATURES, readout="root", **options):
    if isinstance(cell, str):
        cell = partial(sn.cells.create, cell)
    net = sn.Net(sizes, topology, cell, readout, hidden_size=4, embedding_size=3, **options)
    return randomise(net, scale=0.4).eval()


def written(place, net, topology, finish=None, **about):
    """An exported net in a folder, opened as the runtime opens it."""
    found = export(net, topology, finish)
    found.about |= {"words": None, "classes": None, **about}
    found.files["model.json"] = json.dumps(found.about).encode()
    place.mkdir(exist_ok=True)
    folder.write_files(place, found.files, {})
    return Model(place)


def differs(place, net, topology, finish=None, count=16):
    model = written(place, net, topology, finish)
    return verify.verify(model, net, topology, Scored(net, finish), count, seed=0)


# What is exported


@pytest.mark.slow
@every_topology
def test_a_net_on_any_topology_gives_what_torch_gives(topology, tmp_path):
    net = make(topology, num_layers=2)
    assert differs(tmp_path, net, topology) < 1e-5


@pytest.mark.parametrize("topology", ["chain", "tree"])
@pytest.mark.parametrize("with_words", [False, True])
def test_numbers_beside_tokens_and_a_condition_enter(topology, with_words, tmp_path):
    words = sn.Vocabulary({"a": 2, "b": 1}) if with_words else None
    topology = sn.topologies.create(topology)
    net = make(topology, sizes=Sizes(words, 2, 3, condition=4))
    model = written(tmp_path, net, topology)
    assert (model.about["input_size"], model.about["condition_size"]) == (2, 4)
    scored = Scored(net, None)
    assert verify.verify(model, net, topology, scored, 12, seed=0) < 1e-5
    # As the JSON of samples says it.
    (batch,) = islice(verify.random_batches(net, topology, model.about, 1, 0), 1)
    model.about["words"] = None if words is None else ["", *words.counts]
    sample = {"features": batch.x.numbers.tolist() if with_words else batch.x.tolist()}
    if with_words:
        ids, ptr = batch.x.tokens.ids.tolist(), batch.x.tokens.ptr.tolist()
        sample["tokens"] = [ids[a:b] for a, b in pairwise(ptr)]
    sample["condition"] = batch.condition[0].tolist()
    tables = [verify.predecessors(plan, topology)[0] for plan in batch.plans]
    sample["predecessors"] = dict(zip(model.about["directions"], tables, strict=True))
    plans, given = samples.entering([sample], model.about)
    expected = verify.outputs(net, scored, batch)
    assert np.allclose(model.run(plans, **given), expected, atol=1e-5)
    sample["condition"] = [1.0]
    with pytest.raises(ValueError, match='sample 0 has no "condition" of 4 numbers'):
        samples.entering([sample], model.about)


@pytest.mark.slow
@pytest.mark.parametrize("arity", [1, 3, None])
def test_a_step_of_every_cell_gives_what_torch_gives(arity):
    parts, slots = [], arity or 3
    for number, one in enumerate(create_cells()):
        ((name, options),) = one.values
        if "forget" in options and arity is None:
            continue
        if "aggregate" in options and arity is not None:
            continue
        cell = randomise(sn.cells.create(name, 3, 4, arity, **options), scale=0.4)
        x = torch.randn(5, 3 + sum(cell.state_sizes) * cell.reads_own)
        inputs = {"z": Project(cell)(x).detach()}
        for index, size in enumerate(cell.state_sizes):
            inputs[f"state_{index}"] = torch.rand(5, slots, size)
        if slots > 1 and arity:
            inputs["present"] = torch.rand(5, slots, 1) < 0.5
            inputs["present"][:, 0] = True
        free = {} if arity else {key: (0, 1) for key in inputs if key != "z"}
        step = Step(cell, 0.0, "present" in inputs)
        parts.append(Part(f"{number}", step, inputs, one.id, free))
    for part, data in zip(parts, to_onnx(parts).values(), strict=True):
        assert_steps(part, data, nodes=4, slots=arity or 2)
        assert_steps(part, data, nodes=1, slots=arity or 1)


def assert_steps(part, data, nodes, slots):
    given = {
        name: one[:nodes] if name == "z" else one[:nodes, :slots]
        for name, one in part.inputs.items()
    }
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    wanted = [one.name for one in session.get_inputs()]
    found = session.run(None, {name: given[name].numpy() for name in wanted})
    with torch.no_grad():
        expected = part.module(*given.values())
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-5, atol=1e-6, err_msg=part.what)


@pytest.mark.slow
def test_every_readout_gives_what_torch_gives():
    topology = sn.topologies.create("bichain")
    batch = collate([Sample(n, np.zeros((n, 3)), 0) for n in (3, 1, 2)], topology)
    inputs = {"h": torch.randn(6, 8), "sample": batch.sample_of_node(), "ptr": batch.ptr}
    inputs |= {f"sinks_{i}": plan.sinks for i, plan in enumerate(batch.plans)}
    nets = {name: make(topology, readout=name) for name in NAMES}
    files = to_onnx([Part(name, Scored(net), inputs, name) for name, net in nets.items()])
    few = collate([Sample(4, np.zeros((4, 3)), 0)], topology)
    given = {"h": torch.randn(4, 8), "sample": few.sample_of_node(), "ptr": few.ptr}
    given |= {f"sinks_{i}": plan.sinks for i, plan in enumerate(few.plans)}
    for name, net in nets.items():
        session = onnxruntime.InferenceSession(files[f"{name}.onnx"])
        wanted = [one.name for one in session.get_inputs()]
        (found,) = session.run(None, {one: given[one].numpy() for one in wanted})
        expected = Scored(net)(*given.values()).detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("skip", ["residual", "highway", "dense", "input"])
def test_what_goes_past_a_layer_is_exported(skip, tmp_path):
    topology = sn.topologies.create("chain")
    assert differs(tmp_path, make(topology, num_layers=3, skip=skip), topology) < 1e-5


@pytest.mark.slow
def test_what_else_a_net_may_have_is_exported(tmp_path):
    words = Sizes(sn.Vocabulary({"a": 2, "b": 1}), None, 2)
    chains, graph = sn.topologies.create("bichain"), sn.topologies.create("graph")
    ordered = sn.topologies.create("ordered_graph", direction="both")
    own = partial(sn.cells.create, "graph_lstm", own=True)
    for number, (net, topology) in enumerate(
        [
            (make(chains, "gru", words, apart=True, num_layers=2), chains),
            (make(chains, "mlstm", words, input="onehot"), chains),
            (make(chains, zoneout=0.2), chains),
            (make(graph, sizes=Sizes(None, 3, 2, edge_size=2), num_layers=2), graph),
            (make(ordered, own, num_layers=2), ordered),
        ]
    ):
        assert differs(tmp_path / str(number), net, topology) < 1e-5, number


def test_numbers_are_in_the_unit_of_the_target(tmp_path):
    topology = sn.topologies.create("chain")

    def finish(output):
        return output[:, 0] * 3.0 + 7.0

    net = make(topology, "elman", sizes=Sizes(None, 3, 1))
    model = written(tmp_path, net, topology, finish)
    given = [{"features": [[0.5, 1.0, -1.0], [0.0, 0.0, 2.0]]}]
    plans, entering = samples.entering(given, model.about)
    batch = collate([Sample(2, np.array(given[0]["features"], np.float32), 0)], topology)
    assert model.run(plans, **entering) == pytest.approx(finish(net(batch)).tolist(), abs=1e-5)
    assert samples.answers(model.run(plans, **entering), model.about)[0] == pytest.approx(
        finish(net(batch)).item(), abs=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("goal", "what"),
    [("point", "the forecast,"), ("quantiles", "the quantiles 0.1, 0.5, 0.9, not put in order,"),
     ("normal", "the mean, and the deviation before softplus,")],
)  # fmt: skip
def test_an_exported_forecast_claims_no_unit(goal, what, tmp_path):
    days = np.datetime64("2024-01-01") + np.arange(40)
    table = tmp_path / "sales.csv"
    table.write_text("\n".join(["day,sales", *(f"{day},{at % 7}" for at, day in enumerate(days))]))
    run = tmp_path / "run"
    words = ("task=forecast", f"task.root={table}", "task.horizon=2", f"task.goal={goal}")
    assert call("train", *words, *SMALL, "trainer.max_epochs=1", f"run={run}")[0] == 0
    status, out, err = call("export", f"run={run}", f"out={tmp_path / 'm'}", "--verify", "8")
    assert status == 0, err
    (said,) = (line for line in out.splitlines() if line.startswith("outputs: "))
    assert f"for each node and target {what} in deviations from the centre of the series" in said
    about = json.loads((tmp_path / "m" / "model.json").read_text())
    assert about["unit"] is None and said == f"outputs: {about['outputs']}"


# Plans that the exported program makes


@every_topology
def test_a_plan_without_structnet_is_the_same(topology):
    drawn = random_structures(topology, np.random.default_rng(1))
    for count in (1, 1, 1, 1, 1, 3, 4, 5):
        for plan, arity in zip(topology.plan(list(islice(drawn, count))), topology.arities,
                               strict=True):  # fmt: skip
            found = samples.schedule(verify.predecessors(plan, topology), arity)
            for name in ("order", "rank", "steps", "sinks", "ptr"):
                expected = verify.arrays(plan)[name]
                assert found[name].tolist() == expected.tolist(), name
            rows, first = plan.rows.numpy(), plan.first_row
            inner = rows >= first
            nodes = found["rows"][inner] - found["num_initial"] - 1
            assert nodes.tolist() == (rows[inner] - first).tolist()
            assert (found["rows"][~inner] <= found["num_initial"]).all()
            expected = np.ones(len(rows)) if plan.present is None else plan.present.numpy()
            assert found["present"].tolist() == expected.astype(bool).tolist()


def test_a_circle_of_predecessors_is_refused():
    with pytest.raises(ValueError, match="circle"):
        samples.schedule([[[1], [0]]], None)


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        ([], 'sample 0 has no list "features"'),
        ({"features": []}, 'no list "features" with an entry per node'),
        ({"features": [[1.0]]}, "every node has a list of 2 features"),
        ({"features": [[1.0, 2.0]]}, "no \"predecessors\" of every node for 'up'"),
        ({"features": [[1, 2]], "predecessors": {"up": [[-1]]}}, "has not 2 predecessors"),
        ({"features": [[1, 2]], "predecessors": {"up": [[1, -1]]}}, "is out of range"),
        ({"features": [[1, 2]], "predecessors": {"up": [["0", -1]]}}, "is out of range"),
    ],
)
def test_a_sample_that_is_none_is_refused(sample, message):
    about = {
        "directions": ["up"], "arities": [2], "chain": None, "initial": False, "words": None,
        "edge_size": None, "input_size": 2,
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        samples.entering([sample], about)


# Folders


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A tiny run of chains."""
    place = tmp_path_factory.mktemp("run") / "run"
    words = ("task=automaton", "task.language=tomita1", "task.train_size=100", "debug=steps")
    status, _, err = call("train", *words, "topology=chain", *SMALL, f"run={place}")
    assert status == 0, err
    return place


@pytest.fixture(scope="module")
def model(run, tmp_path_factory):
    """It, exported by the command."""
    out = tmp_path_factory.mktemp("model") / "model"
    status, text, err = call("export", f"run={run}", f"out={out}", "--verify", 40)
    assert status == 0, err
    assert "verified: 40 random structures, largest difference from torch" in text
    return out


def test_a_folder_has_checksums_and_the_largest_difference(model):
    manifest = json.loads((model / "manifest.json").read_text())
    assert files_below(model) == {*manifest["sha256"], "manifest.json"}
    found = manifest["verified"]
    assert found["structures"] == 40
    largest = [found[name] for name in ("largest_difference", further.CHAIN, further.LAYER)]
    assert 0 < max(largest) < 1e-5
    # Nothing tells of the machine that it was written on.
    roots = (str(Path(torch.__file__).parent).encode(), str(Path(sn.__file__).parent).encode())
    assert not any(root in file.read_bytes() for file in model.iterdir() for root in roots)


@pytest.mark.parametrize("given", [(), ("example.json",)])
def test_the_runtime_needs_neither_torch_nor_structnet(model, given, tmp_path):
    program = str(model / "runtime.py")
    code = (
        "import runpy, sys; sys.modules['torch'] = sys.modules['structnet'] = None; "
        f"sys.argv[0] = {program!r}; runpy.run_path({program!r}, run_name='__main__')"
    )
    done = run_python("-I", "-c", code, *(model / name for name in given), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    if not given:
        assert found["largest_difference"] < 1e-5
        return
    assert {one["class"] for one in found} <= {"inside", "outside"}


def test_it_answers_as_the_net_does(run, model, tmp_path):
    found = opened(run)
    net = found.load_net().eval()
    given = [["1", "1", "1"], ["1", "0"], ["?"]]
    (tmp_path / "given.json").write_text(json.dumps([{"tokens": one} for one in given]))
    done = run_python("-I", model / "runtime.py", tmp_path / "given.json")
    assert done.returncode == 0, done.stderr
    bags = [found.task.vocabulary.tokens([[word] for word in one]) for one in given]
    batch = collate([Sample(len(one), one, 0) for one in bags], found.topology)
    best = net(batch).softmax(1).max(1)
    said = json.loads(done.stdout)
    assert [one["probability"] for one in said] == pytest.approx(best.values.tolist(), abs=1e-5)
    assert [one["class"] for one in said] == [found.task.classes[at] for at in best.indices]


def test_chains_are_one_file_over_sequences_of_any_length(run, model):
    net = opened(run).load_net().eval()
    session = onnxruntime.InferenceSession((model / "chain.onnx").read_bytes())
    ids = np.array([[1, 2, 1, 1, 0], [2, 1, 7, 7, 7]]) % 3
    for lengths in ([5, 2], [1, 1], [3, 5]):
        cut = [sn.Tokens(one[:n], np.arange(n + 1)) for one, n in zip(ids, lengths, strict=True)]
        batch = collate(
            [Sample(n, one, 0) for n, one in zip(lengths, cut, strict=True)], opened(run).topology
        )
        (found,) = session.run(None, {"ids": ids, "lengths": np.array(lengths)})
        np.testing.assert_allclose(found, net(batch).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_layers_are_one_of_torchs(run, model):
    from safetensors.torch import load_file

    made = json.loads((model / "model.json").read_text())["torch_layer"]
    layer = getattr(torch.nn, made["module"])(**made["options"])
    layer.load_state_dict(load_file(model / "torch_layer.safetensors"))
    net = opened(run).load_net().eval()
    x = torch.randn(6, 1, made["options"]["input_size"])
    found, _ = layer(x)
    torch.testing.assert_close(found[:, 0], net.stack(x[:, 0], net.layers[0].topology.plan([6])))


def test_a_file_that_was_changed_is_refused(model, tmp_path):
    for name in ("head.onnx", "model.json"):
        copied = tmp_path / name
        copied.mkdir()
        for file in model.iterdir():
            (copied / file.name).write_bytes(file.read_bytes())
        (copied / name).write_bytes((copied / name).read_bytes() + b" ")
        done = run_python("-I", copied / "runtime.py")
        assert done.returncode == 1
        assert f"{name} is not the file that was exported (SHA-256)" in done.stderr


def test_a_folder_that_holds_something_is_left_alone(run, tmp_path):
    (tmp_path / "kept.txt").write_text("mine")
    assert "is not empty" in refused("export", f"run={run}", f"out={tmp_path}")
    assert "is not a folder" in refused("export", f"run={run}", f"out={tmp_path / 'kept.txt'}")
    assert files_below(tmp_path) == {"kept.txt"}


def test_a_difference_from_torch_is_refused_and_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setattr(verify, "LARGEST", -1.0)
    assert "more than -1" in refused("export", f"run={run}", f"out={tmp_path / 'model'}")
    assert not files_below(tmp_path)


def test_other_weights_are_noticed(tmp_path):
    topology = sn.topologies.create("tree")
    net = make(topology, "elman")
    model = written(tmp_path, net, topology)
    randomise(net, seed=1)
    with pytest.raises(verify.Differs, match="differs from torch by"):
        verify.verify(model, net, topology, Scored(net), 3, seed=0)
    assert verify.difference(np.array([np.nan]), np.array([1.0])) == np.inf
    assert verify.difference(np.array([np.inf, 1e6]), np.array([np.inf, 1e6 + 1])) < 2e-6
    assert verify.difference(np.zeros(2), np.zeros(3)) == np.inf


@pytest.mark.parametrize("name", onnx.NEEDED)
def test_a_missing_extra_is_named_with_the_way_to_it(name, run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    status, _, err = call("export", f"run={run}", f"out={tmp_path / 'model'}")
    assert status == 2
    assert f"export needs {name}, which is not installed" in err
    assert "pip install -c constraints.txt -e '.[export]'" in err
    assert not files_below(tmp_path)


# What is not exported


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"before": "gcn"}, "train with net.before=null"),
        ({"after": "gat"}, "train with net.after=null"),
        ({"characters": "cnn"}, "train with net.characters=null"),
        ({"head": "crf", "readout": "every"}, "train with head=softmax"),
        ({"readout": "pair"}, "train with readout=root"),
    ],
)
def test_an_option_that_has_no_form_is_named_with_the_way_out(options, message):
    sizes = Sizes(sn.Vocabulary({"a": 2}), None, 2) if "characters" in options else FEATURES
    with pytest.raises(NotExportable, match=message):
        check_exportable(make(sn.topologies.create("chain"), sizes=sizes, **options))


def test_another_net_is_named_with_the_way_out():
    with pytest.raises(NotExportable, match="train net=stack"):
        check_exportable(torch.nn.Linear(1, 1))


def test_a_cell_that_has_no_form_is_named():
    class Sorting(sn.Cell):
        node_gates = ("h",)

        def forward(self, z, h):
            return h.sum(1) if h.sum().item() > 0 else z.tanh()

    topology = sn.topologies.create("chain")
    with pytest.raises(NotExportable, match="Sorting can't be exported"):
        export(make(topology, Sorting), topology)


def test_structures_of_an_unknown_kind_are_refused():
    class Own(sn.Topology):
        takes = "knots"

        def predecessors(self, structure):
            return structure

    with pytest.raises(ValueError, match="--verify 0"):
        random_structures(Own(), np.random.default_rng(0))


def test_other_forms_are_missing_with_a_reason(tmp_path):
    tree = sn.topologies.create("tree")
    found = export(make(tree, "mgu"), tree)
    net = make(tree, "mgu")
    further.add_forms(found, net, tree, Scored(net), {"name": "mgu"})
    assert "is not one of chains" in found.about["without"][further.CHAIN]
    assert "layers of chains alone" in found.about["without"][further.LAYER]
    chain = sn.topologies.create("chain")
    for options, cell, message in (
        ({}, {"name": "mgu"}, "computes cell 'mgu'"),
        ({"skip": "dense"}, {"name": "lstm"}, "net.skip"),
        ({"zoneout": 0.1}, {"name": "lstm"}, "net.zoneout"),
    ):
        why = further.find_torch(make(chain, **options), cell, {"forward": "forward"})
        assert message in why


@pytest.mark.slow
def test_chains_in_both_directions_are_one_file(tmp_path):
    topology = sn.topologies.create("bichain")
    for cell, readout in (("gru", "attention"), ("elman", "every"), ("mlstm", "max")):
        net = make(topology, cell, readout=readout, num_layers=2)
        found = export(net, topology)
        further.add_forms(found, net, topology, Scored(net), {"name": cell})
        assert further.CHAIN in found.files, found.about["without"]
        assert max(further.verify_forms(found, net, topology, Scored(net)).values()) < 1e-5


# The run of the command's own default task


@pytest.mark.slow
def test_the_default_task_is_exported(tmp_path):
    run = trained()
    status, out, err = call("export", f"run={run}", f"out={tmp_path / 'model'}")
    assert status == 0, err
    assert "without chain.onnx: topology 'tree' is not one of chains" in out


@pytest.mark.slow
def test_the_pages_commands_lead_from_training_to_answers(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "export.md").read_text()
    lines = re.search(r"^```bash\n(.*?)^```$", page, re.M | re.S)[1].splitlines()
    install, *commands, answer = map(shlex.split, lines)
    assert install[:2] == ["pip", "install"]
    monkeypatch.chdir(tmp_path)
    for words in commands:
        assert words[0] == "structnet"
        status, _, err = call(*words[1:])
        assert status == 0, err
    assert answer[0] == "python"
    done = run_python("-I", *answer[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["class"] in ("inside", "outside")
