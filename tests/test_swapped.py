import shutil
import sysconfig
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import write_code

import structnet as sn
from structnet.data.batch import collate

EMAIL = Path(sysconfig.get_path("stdlib"), "email")


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    return write_code(tmp_path_factory.mktemp("swapped") / "code", files=20)


def load(root, topology="tree", **options):
    """The task and its splits."""
    task = sn.tasks.create("swapped", root=str(root))
    return task, task.keep(task.load(sn.topologies.create(topology, **options)))


def shown(task, samples):
    """The samples as the decisions see them: in groups, as written first or exchanged first."""
    return [samples[i : i + task.group] for i in range(0, len(samples), task.group)]


def content(sample, structure=True):
    """All that a net sees of a sample."""
    ids, ptr = sample.x.ids.tolist(), sample.x.ptr.tolist()
    seen = (tuple(ids), tuple(ptr))
    return (*seen, repr(np.asarray(sample.structure).tolist())) if structure else seen


@pytest.mark.parametrize("options", [{}, {"arity": None}], ids=["binary", "any"])
def test_a_bag_of_words_is_the_same_in_both_orders(options):
    _, splits = load(EMAIL, **options)
    by_origin = {}
    for sample in splits["train"]:
        by_origin.setdefault(id(sample.origin), []).append(sample)
    assert len(by_origin) > 300
    for pair in by_origin.values():
        assert len(pair) == 2
        bags = [Counter(sample.x.ids.tolist()) for sample in pair]
        assert bags[0] == bags[1]
        assert len(pair[0].x) == len(pair[1].x)


def test_training_has_every_expression_in_both_orders(code):
    from structnet.plugins.code.trees import left_child_right_sibling

    task, splits = load(code)
    by_origin = {}
    for sample in splits["train"]:
        by_origin.setdefault(id(sample.origin), []).append(sample)
    for pair in by_origin.values():
        origin = pair[0].origin
        found = {repr(sample.structure.tolist()) + repr(sample.x.ids.tolist()) for sample in pair}
        expected = set()
        for order in (False, True):
            nodes = origin.nodes(order)
            ids = task.vocabulary.tokens(nodes.words).ids.tolist()
            expected.add(repr(left_child_right_sibling(nodes.parent).tolist()) + repr(ids))
        assert found == expected


def test_files_and_not_expressions_are_split(code):
    _, splits = load(code)
    files = {name: {one.origin.path for one in samples} for name, samples in splits.items()}
    assert set(files) == {"train", "validation", "test"}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not files[one] & files[other]
    assert [len(files[name]) for name in ("train", "validation", "test")] == [16, 2, 2]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_half_of_what_is_tested_is_swapped(code, split):
    task, splits = load(code)
    targets = [group[0].y for group in shown(task, splits[split])]
    assert abs(sum(targets) - len(targets) / 2) <= 0.5
    for group in shown(task, splits[split]):
        assert {one.y for one in group} == {group[0].y}
        nodes = group[0].origin.nodes(bool(group[0].y))
        assert group[0].x.ids.tolist() == task.vocabulary.tokens(nodes.words).ids.tolist()


def test_equal_expressions_are_learned_once_and_tested_as_often_as_they_are_written(tmp_path):
    for number in range(12):
        (tmp_path / f"part_{number}.py").write_text("a - b\na  -  b\nb - a\nf(a, b)\nf(c, b)\n")
    _, splits = load(tmp_path)
    counts = {name: len(samples) // 2 for name, samples in splits.items()}
    assert counts == {"train": 4, "validation": 5, "test": 5}


def test_a_split_is_the_same_every_time(code):
    (_, one), (_, other) = load(code), load(code)
    for split in one:
        assert list(map(content, one[split])) == list(map(content, other[split]))
        assert [sample.y for sample in one[split]] == [sample.y for sample in other[split]]


def test_every_topology_is_tested_on_the_same_expressions(code):
    (_, tree), (_, chain), (_, many) = load(code), load(code, "chain"), load(code, arity=None)
    for split in tree:
        for other in (chain, many):
            assert [(s.origin.path, s.origin.line, s.origin.text, s.y) for s in tree[split]] == [
                (s.origin.path, s.origin.line, s.origin.text, s.y) for s in other[split]
            ]


def test_a_sequence_is_read_in_the_order_of_the_source(code):
    task, splits = load(code, "chain")
    for sample in splits["validation"]:
        assert sample.structure == len(sample.x)
        possible = []
        for order in (False, True):
            nodes = sample.origin.nodes(order)
            words = [nodes.words[i] for i in nodes.reading.tolist()]
            possible.append(task.vocabulary.tokens(words).ids.tolist())
        assert sample.x.ids.tolist() in possible


def test_kinds_are_those_of_the_expressions(code):
    task, splits = load(code)
    for sample in splits["train"]:
        assert task.kinds[sample.kind] == sample.origin.kind
    assert {sample.kind for sample in splits["train"]} == {0, 1, 2}


def test_rare_words_are_unknown(code):
    few = sn.tasks.create("swapped", root=str(code), min_count=1)
    many = sn.tasks.create("swapped", root=str(code), min_count=50)
    for task in (few, many):
        task.keep(task.load(sn.topologies.create("tree")))
    assert 1 < len(many.vocabulary) < len(few.vocabulary)
    assert many.vocabulary["no such word"] == 0


def test_the_vocabulary_is_counted_on_the_training_files_alone(code):
    task, splits = load(code)
    seen = {word for sample in splits["train"] for words in sample.origin.nodes(False).words
            for word in words}  # fmt: skip
    other = {word for split in ("validation", "test") for sample in splits[split]
             for words in sample.origin.nodes(False).words for word in words}  # fmt: skip
    for word in other - seen:
        assert task.vocabulary[word] == 0


def test_a_vocabulary_that_is_there_is_kept(code):
    task, _ = load(code)
    vocabulary = task.vocabulary
    task.keep(task.load(sn.topologies.create("chain")))
    assert task.vocabulary is vocabulary


def test_files_that_cannot_be_parsed_are_named_and_passed_over(code, tmp_path):
    folder = Path(shutil.copytree(code, tmp_path / "code"))
    (folder / "part_3.py").write_text("def (:\n")
    (folder / "part_5.py").write_bytes(b"\xff\x00")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, splits = load(folder)
    messages = sorted(str(one.message) for one in caught)
    assert len(messages) == 2
    assert "part_3.py" in messages[0] and "part_5.py" in messages[1]
    assert all(message.startswith("skipped") for message in messages)
    paths = {sample.origin.path.name for samples in splits.values() for sample in samples}
    assert not paths & {"part_3.py", "part_5.py"} and len(paths) == 18


@pytest.mark.parametrize("files", [0, 1, 2])
def test_too_few_files_are_refused(tmp_path, files):
    folder = write_code(tmp_path / "code", files=files)
    with pytest.raises(ValueError, match=r"larger folder|no \*\.py file") as caught:
        load(folder)
    assert str(folder) in str(caught.value)


def test_three_files_are_enough(tmp_path):
    _, splits = load(write_code(tmp_path / "code", files=3))
    assert all(splits.values())


def test_files_without_expressions_are_refused(tmp_path):
    for number in range(5):
        (tmp_path / f"part_{number}.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"no expressions for the \w+ split below"):
        load(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("options", [{"arity": 1}, {"arity": 3}])
def test_a_tree_of_another_arity_is_refused(options):
    task = sn.tasks.create("swapped")
    with pytest.raises(ValueError, match=f"arity is {options['arity']}"):
        task.check(sn.topologies.create("tree", **options))
    for fitting in ({}, {"arity": None}, {"direction": "both"}):
        task.check(sn.topologies.create("tree", **fitting))
    task.check(sn.topologies.create("bichain"))


def net_for(task, topology, cell="lstm", readout="root"):
    from functools import partial

    from structnet.nn.net import Net
    from structnet.nn.sizes import Sizes

    torch.manual_seed(0)
    sizes = Sizes(task.vocabulary, None, task.num_outputs)
    net = Net(sizes, topology, partial(sn.cells.create, cell),
              partial(sn.readouts.create, readout), embedding_size=6, hidden_size=5)  # fmt: skip
    return net.double().eval()


@pytest.mark.parametrize("cell", ["lstm", "gru", "elman"])
def test_what_is_blind_to_order_cannot_tell_the_orders_apart(code, cell):
    topology = sn.topologies.create("tree", arity=None)
    task = sn.tasks.create("swapped", root=str(code))
    samples = task.keep(task.load(topology))["test"]
    net = net_for(task, topology, cell)
    pairs = {}
    for sample in samples:
        pairs.setdefault(id(sample.origin), []).append(sample)
    one, other = (collate([pair[i] for pair in pairs.values()], topology) for i in (0, 1))
    a, b = net(one), net(other)
    assert len(a) > 20
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["tree", "chain", "bichain"])
def test_what_sees_order_tells_the_orders_apart(code, name):
    topology = sn.topologies.create(name)
    task = sn.tasks.create("swapped", root=str(code))
    samples = task.keep(task.load(topology))["test"]
    net = net_for(task, topology)
    pairs = {}
    for sample in samples:
        pairs.setdefault(id(sample.origin), []).append(sample)
    one, other = (collate([pair[i] for pair in pairs.values()], topology) for i in (0, 1))
    assert ((net(one) - net(other)).abs().amax(1) > 1e-6).double().mean() > 0.9


def test_exchanging_the_operands_exchanges_the_probabilities(code):
    topology = sn.topologies.create("tree")
    task = sn.tasks.create("swapped", root=str(code))
    samples = task.keep(task.load(topology))["test"]
    net = net_for(task, topology)
    groups = shown(task, samples)
    turned = [one for group in groups for one in reversed(group)]
    a, b = (
        task.sample_output(net(batch), batch).softmax(1)
        for batch in (collate(samples, topology), collate(turned, topology))
    )
    torch.testing.assert_close(a, b.flip(1), rtol=1e-10, atol=1e-12)


def test_what_means_the_same_either_way_is_left_out(tmp_path):
    from structnet.plugins.tree.expressions.expression import expressions

    either = ["+", "*", "&", "|", "^", "==", "!=", "is", "is not"]
    ordered = ["-", "/", "//", "%", "**", "@", "<<", ">>", "<", ">", "<=", ">=", "in", "not in"]
    path = tmp_path / "a.py"
    path.write_text("".join(f"a {sign} b\n" for sign in either + ordered))
    assert [one.text for one in expressions(path)] == [f"a {sign} b" for sign in ordered]


def test_the_calibration_error_is_the_mean_gap_of_bins_weighted_by_their_size(code):
    topology = sn.topologies.create("tree")
    task, splits = load(code)
    batch = collate(splits["test"], topology)
    output = torch.randn(batch.num_samples, 1, generator=torch.Generator().manual_seed(0)) * 3
    metric = task.metrics()["calibration_error"]
    metric.update(*task.measured(output, batch)["calibration_error"])
    sure, y = task.sample_output(output, batch).softmax(1)[:, 1], batch.y[::2]
    at, gap = (sure * 15).long().clamp(max=14), 0.0
    for one in at.unique():
        mine = at == one
        gap += float(mine.float().mean() * (sure[mine].mean() - y[mine].float().mean()).abs())
    assert float(metric.compute()) == pytest.approx(gap, abs=1e-6)


def test_baselines_are_fitted_on_the_same_split(code):
    task, _ = load(code)
    found = task.baselines()
    assert set(found) == {"coin", "bag", "positional"}
    for figures in found.values():
        assert set(figures) == {"accuracy", "call", "comparison", "operation"}
        assert all(0 <= value <= 1 for value in figures.values())
    assert found["coin"]["accuracy"] == 0.5
    # `part_*.py` have operands that differ in kind, which positions give away.
    assert found["positional"]["accuracy"] > 0.9


def test_baselines_have_no_figure_of_a_kind_that_is_not_tested(tmp_path):
    for number in range(12):
        (tmp_path / f"part_{number}.py").write_text("a - b\nc - d\n")
    task, _ = load(tmp_path)
    assert all(set(one) == {"accuracy", "operation"} for one in task.baselines().values())


def test_the_bag_of_words_is_a_coin(code):
    from structnet.plugins.tree.expressions.baselines import fit_baselines
    from structnet.plugins.tree.expressions.expression import expressions

    train, test = (
        [one for path in sorted(folder.glob("*.py"))[:9] for one in expressions(path)]
        for folder in (EMAIL, code)
    )
    both = test + test
    swapped = np.repeat([False, True], len(test))
    correct = fit_baselines(train, both, swapped, seed=0)
    assert correct["bag"].mean() == correct["coin"].mean() == 0.5


def test_baselines_refuse_what_they_cannot_learn_from(code):
    from structnet.plugins.tree.expressions.baselines import fit_baselines

    with pytest.raises(ValueError, match="0 training expressions"):
        fit_baselines([], [], np.zeros(0, bool), seed=0)


def test_predicting_reads_tests_where_they_are_asked_for_and_in_the_order_written(code, tmp_path):
    topology = sn.topologies.create("chain")
    task, _ = load(code, "chain")
    task.tests = True
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("count - width\n")
    samples = list(task.read(tmp_path, topology))
    assert len(samples) == task.group
    nodes = samples[0].origin.nodes(False)
    words = [nodes.words[i] for i in nodes.reading.tolist()]
    assert samples[0].x.ids.tolist() == task.vocabulary.tokens(words).ids.tolist()
    assert samples[0].y == 0
