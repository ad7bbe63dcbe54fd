from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import SMALL, call, write_code

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.graph.dataflow.baselines import fit_neighbourhoods
from structnet.plugins.graph.dataflow.functions import functions
from structnet.plugins.graph.dataflow.misuse import USES, Misuse

GRAPH = sn.topologies.create("graph", direction="both")


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    return write_code(tmp_path_factory.mktemp("callgraph") / "code", files=20)


def load(root, **options):
    task = sn.tasks.create("callgraph", root=str(root), **options)
    return task, task.keep(task.load(GRAPH))


def ask(tmp_path, source, name, other):
    path = tmp_path / "code.py"
    path.write_text(source)
    (function,) = functions(path)
    return [Misuse(function, use, other) for use in function.uses if use.name == name][-1]


def pairs(samples):
    return list(zip(samples[::2], samples[1::2], strict=True))


def test_the_two_graphs_differ_in_what_the_use_reads_alone(code):
    _, splits = load(code)
    assert len(splits["train"]) > 100
    for written, other in pairs(splits["train"]):
        assert Counter(written.x.ids.tolist()) == Counter(other.x.ids.tolist())
        assert len(written.x) == len(other.x) == written.structure.num_nodes
        misuse = written.origin
        for sample, name in ((written, misuse.use.name), (other, misuse.other)):
            into = sample.structure.index[:, sample.structure.index[1] == 0]
            assert into.shape[1] == len(misuse.use.reaching[name])
            # The last node is a definition that the use, the first, reads.
            assert len(sample.x) - 1 in into[0]


def test_a_graph_holds_the_edges_between_its_nodes(tmp_path):
    source = "def f(a, b):\n    c = b\n    return a + c\n"
    misuse = ask(tmp_path, source, "a", "c")
    words = misuse.function.words
    nodes = misuse.nodes(100)
    assert nodes.tolist() == list(range(len(words)))
    for name in misuse.names:
        order, index = misuse.graph(name, nodes)
        found = {(order[u], order[v]) for u, v in index.T.tolist()}
        expected = {edge for edge in misuse.function.edges if edge[1] != misuse.use.node}
        expected |= {(node, misuse.use.node) for node in misuse.use.reaching[name]}
        assert found == expected
        assert order[0] == misuse.use.node and order[-1] == max(misuse.use.reaching[name])


def test_the_nearest_nodes_are_kept_and_all_definitions(tmp_path):
    source = "def f(a, b, x):\n    if x:\n        a = g(x)\n    b(x + 1)\n    return a\n"
    misuse = ask(tmp_path, source, "a", "b")
    must = {misuse.use.node, *misuse.use.reaching["a"], *misuse.use.reaching["b"]}
    assert set(misuse.nodes(1).tolist()) == must
    near = {node for one in must for side in (misuse.function.before, misuse.function.after)
            for node in side[one]}  # fmt: skip
    assert set(misuse.nodes(len(must | near)).tolist()) == must | near


def test_half_of_what_is_tested_is_misused_and_files_are_split(code):
    task, splits = load(code)
    for name in ("validation", "test"):
        targets = [sample.y for sample in splits[name]]
        assert targets[::2] == targets[1::2]
        assert abs(sum(targets) - len(targets) / 2) <= 1
        for first in splits[name][::2]:
            order, _ = first.origin.graph(first.origin.names[first.y], first.origin.nodes(16))
            words = [first.origin.function.words[node] for node in order]
            assert first.x.ids.tolist() == task.vocabulary.tokens(words).ids.tolist()
    assert {sample.y for sample in splits["train"]} == {0}
    files = {name: {sample.origin.path for sample in some} for name, some in splits.items()}
    assert not files["train"] & (files["validation"] | files["test"])
    (_, again) = load(code)
    for name in splits:
        assert [s.x.ids.tolist() for s in splits[name]] == [s.x.ids.tolist() for s in again[name]]


def test_a_function_is_asked_about_a_few_times(code):
    _, splits = load(code)
    counts = Counter(id(sample.origin.function) for sample, _ in pairs(splits["train"]))
    assert 1 <= max(counts.values()) <= USES


def test_scores_of_a_pair_are_its_logits(code):
    task, splits = load(code)
    batch = collate(splits["test"], GRAPH)
    output = torch.randn(batch.num_samples, 1)
    scores = task.sample_output(output, batch)
    assert torch.equal(scores, torch.stack([output[::2, 0], output[1::2, 0]], dim=1))
    y = batch.y[::2]
    expected = -scores.log_softmax(1)[torch.arange(len(y)), y].mean()
    assert task.loss(output, batch).item() == pytest.approx(expected.item())


def test_a_question_is_read_where_it_stands(tmp_path):
    (tmp_path / "tests").mkdir()
    path = tmp_path / "tests" / "test_a.py"
    path.write_text("def f(width, height):\n    return height * (\n        width)\n")
    task = sn.tasks.create("callgraph", tests=True)
    task.vocabulary = sn.Vocabulary({"width": 5})
    samples = list(task.read(tmp_path, GRAPH))
    origins = [sample.origin for sample in samples[::2]]
    assert [(one.path, one.line, one.text) for one in origins] == [
        (path, 2, "width instead of height? return height * ("),
        (path, 3, "height instead of width? width)"),
    ]
    assert {sample.y for sample in samples} == {0}


def test_a_user_can_train_on_code_and_ask_about_it(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sn.tasks["callgraph"], "baselines", lambda self: {})
    words = ["experiment=callgraph", f"task.root={code}", "debug=steps", *SMALL]
    words += ["net.executor=batched", "run=out"]
    status, _, err = call("train", *words)
    assert status == 0, err
    status, out, err = call("predict", "run=out", f"path={code / 'part_1.py'}")
    assert status == 0, err
    assert "instead of" in out


def test_baselines_learn_what_neighbourhoods_tell(tmp_path):
    # What is subscripted has been split, what is called with is a number.
    source = (
        "def f(text):\n    rows = text.split()\n    count = 1 + 1\n    return rows[0], g(count)\n"
    )
    path = tmp_path / "code.py"
    path.write_text(source)
    (function,) = functions(path)
    names = {"rows": "count", "count": "rows"}
    some = [Misuse(function, use, names[use.name]) for use in function.uses if use.name in names]
    found = fit_neighbourhoods(some * 20, some)
    assert set(found) == {"fewest uses", "bag", "pairs"}
    assert found["pairs"].tolist() == [1, 1]
    with pytest.raises(ValueError, match="0 questions"):
        fit_neighbourhoods([], some)


def test_the_variable_that_is_read_least_is_the_likeliest(tmp_path):
    source = "def f(a, b):\n    print(a, a)\n    return b\n"
    (question,) = [ask(tmp_path, source, "b", "a")]
    assert fit_neighbourhoods([question] * 4, [question])["fewest uses"].tolist() == [1]


@pytest.mark.parametrize("option", ["min_count", "nodes"])
def test_options_out_of_range_are_refused(option):
    with pytest.raises(ValueError, match=f"'{option}' is at least 1, got 0"):
        sn.tasks.create("callgraph", **{option: 0})


def test_files_without_questions_are_refused(tmp_path):
    for number in range(5):
        (tmp_path / f"part_{number}.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"no uses of variables for the \w+ split") as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_files_that_cannot_be_parsed_are_passed_over(code, tmp_path):
    import shutil

    folder = Path(shutil.copytree(code, tmp_path / "code"))
    (folder / "part_3.py").write_text("def (:\n")
    with pytest.warns(sn.DataWarning, match=r"skipped .*part_3\.py"):
        load(folder)


def test_targets_are_numbers(code):
    _, splits = load(code)
    assert {type(sample.y) for sample in splits["test"]} == {int}
    assert np.issubdtype(splits["test"][0].structure.index.dtype, np.integer)
