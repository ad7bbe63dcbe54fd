"""Trees and graphs that are read in parts: the same samples, kept on disk."""

import json
import pickle
import random

import numpy as np
import pytest
from commands import SMALL, call
from test_own_shapes import GRAPH, ORDERED, TREE, graphs, loaded, trees, written

import structnet as sn
from structnet.plugins.shapes import lazy
from structnet.plugins.tables.features import parted
from structnet.plugins.tables.store import targets_of

SPLITS = ("train", "validation", "test")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty folder for what is kept; parts of a few trees, which end within files."""
    monkeypatch.setenv("STRUCTNET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(lazy, "PART", 70)
    return tmp_path / "cache"


def numbered(records):
    for number, one in enumerate(records):
        yield {**one, "label": None if number == 7 else number / 7, "other": -number / 3}


def labelled_nodes(records, label):
    """Nodes with labels, and nothing to predict of whole trees or graphs."""
    draw = random.Random(1)

    def mark(node):
        below = {"children": list(map(mark, node["children"]))} if "children" in node else {}
        return {**{k: v for k, v in node.items() if k != "id"}, **below, "label": label(draw)}

    for one in records:
        one = {key: value for key, value in one.items() if key != "label"}
        yield {**one, "nodes": list(map(mark, one["nodes"]))} if "nodes" in one else mark(one)


def some_graphs():
    """Graphs whose columns are not the same in all parts."""
    for number, one in enumerate(graphs()):
        more = {"size": number} if number < 20 else {"place": "ab"[number % 2]}
        lacking = "charge" if number > 30 else None
        nodes = [{k: v for k, v in node.items() if k != lacking} for node in one["nodes"]]
        yield {**one, "nodes": nodes, **more}


def grouped(records):
    for number, one in enumerate(records):
        yield {**one, "house": number % 9}


def in_files(folder, records):
    """A folder with three files of the records, in which there are parts that cross files."""
    records = list(records)
    folder.mkdir()
    for at in range(3):
        written(folder / f"{at}.jsonl", records[at * 13 : at * 13 + 13 if at < 2 else None])
    return folder


def same_array(one, other):
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


def same_samples(task, other):
    for split in SPLITS:
        assert len(task.loaded[split]) == len(other.loaded[split]) > 0
        assert same_array(targets_of(task.loaded[split]), targets_of(other.loaded[split]))
        for a, b in zip(task.loaded[split], other.loaded[split], strict=True):
            assert (str(a.origin.path), a.origin.line) == (b.origin.path, b.origin.line)
            assert a.origin.text == b.origin.text and a.num_nodes == b.num_nodes
            assert a.structure.num_nodes == b.structure.num_nodes
            pairs = [(a.structure.index, b.structure.index), (np.asarray(a.y), np.asarray(b.y)),
                     (a.condition, b.condition), (a.edge_x, b.edge_x)]  # fmt: skip
            (numbers, tokens), (others, bags) = parted(a.x), parted(b.x)
            pairs.append((numbers, others))
            assert (tokens is None) == (bags is None)
            if tokens is not None:
                pairs += [(tokens.ids, bags.ids), (tokens.ptr, bags.ptr)]
            assert all(same_array(*pair) for pair in pairs)


CASES = {
    "classes of trees": ("own_trees", TREE, trees, {}),
    "numbers of trees": ("own_trees", TREE, lambda: numbered(trees()), {}),
    "the label of a root": (
        "own_trees", TREE, lambda: labelled_nodes(trees(), lambda draw: draw.choice("ab")),
        {"per": "whole"},
    ),
    "classes of nodes of trees": (
        "own_trees", TREE, lambda: labelled_nodes(trees(), lambda draw: draw.choice("ab")), {},
    ),
    "classes of graphs": ("graphs", ORDERED, some_graphs, {}),
    "groups of graphs": ("graphs", ORDERED, lambda: grouped(some_graphs()), {"group": "house"}),
    "numbers of graphs": (
        "graphs", ORDERED, lambda: numbered(some_graphs()), {"target": ("label", "other")},
    ),
    "classes of nodes of graphs": (
        "graphs", ORDERED, lambda: labelled_nodes(some_graphs(), lambda draw: draw.choice("ab")),
        {},
    ),
    "numbers of nodes of graphs": (
        "graphs", ORDERED, lambda: labelled_nodes(some_graphs(), lambda draw: draw.random()), {},
    ),
    "nodes that only have edges": (
        "graphs", ORDERED,
        lambda: ({**one, "nodes": [{}] * len(one["nodes"])} for one in graphs()), {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_in_parts_is_the_same(tmp_path, case):
    name, topology, records, options = CASES[case]
    folder = in_files(tmp_path / "parts", records())
    whole = loaded(name, topology, folder, **options)
    parts = loaded(name, topology, folder, lazy=True, **options)
    same_samples(whole, parts)
    assert list(whole.classes) == list(parts.classes)
    assert {k: v for k, v in whole.schema.items() if k != "files"} == {
        k: v for k, v in parts.schema.items() if k != "files"
    }
    # What is kept is read again.
    same_samples(whole, loaded(name, topology, folder, lazy=True, **options))


def test_splits_are_those_of_files_and_of_a_column(tmp_path):
    records = list(graphs(60))
    folder = tmp_path / "parts"
    folder.mkdir()
    for at, name in enumerate(("train", "dev", "test")):
        written(folder / f"{name}.jsonl", records[at * 20 : at * 20 + 20])
    same_samples(*(loaded("graphs", ORDERED, folder, lazy=lazy) for lazy in (False, True)))
    named = [{**one, "part": SPLITS[number % 3]} for number, one in enumerate(graphs())]
    file = written(tmp_path / "mine.jsonl", named)
    task = loaded("graphs", ORDERED, file, lazy=True, split_column="part")
    same_samples(loaded("graphs", ORDERED, file, split_column="part"), task)
    with pytest.raises(ValueError, match=r"task.root in parts: .* in place of files of splits"):
        loaded("graphs", ORDERED, None, lazy=True, train=str(file))


def test_samples_are_kept_until_a_file_or_an_option_is_another(tmp_path, cache, capsys):
    folder = in_files(tmp_path / "parts", graphs())

    def read(**options):
        task = loaded("graphs", ORDERED, folder, lazy=True, **options)
        return task, "in parts into" in capsys.readouterr().out

    first, was_read = read()
    assert was_read and not read()[1]
    assert read(min_count=2)[1] and read(seed=1)[1]
    assert len(list((cache / "data").iterdir())) == 3
    file = folder / "1.jsonl"
    file.write_text(file.read_text().replace('"C"', '"S"'))
    changed, was_read = read()
    assert was_read and list(first.vocabulary.counts) != list(changed.vocabulary.counts)
    same_samples(loaded("graphs", ORDERED, folder), changed)
    # Other processes, such as workers, open the files themselves.
    again = pickle.loads(pickle.dumps(changed.loaded["test"]))
    assert len(pickle.dumps(again)) < 2000
    assert again[:1][0].origin == changed.loaded["test"][0].origin


def test_of_a_mistake_nothing_is_left(tmp_path, cache, monkeypatch):
    folder = in_files(tmp_path / "parts", graphs())
    file = folder / "1.jsonl"
    good = file.read_text()
    for wrong, said in (("{", "not JSON"), ('{"nodes": [{}], "edges": [[0, 1]]}', "edge 0 is 1")):
        file.write_text(good + wrong + "\n")
        with pytest.raises(ValueError, match=rf"1\.jsonl, line 14\b.*{said}"):
            loaded("graphs", ORDERED, folder, lazy=True)
        assert not list(cache.rglob("*"))
    # A mistake that is found while the samples of other parts are written already.
    monkeypatch.setattr(lazy, "MOST_NODES", 40)
    lines = good.splitlines()
    lines[9] = lines[9].replace('"charge": ', '"charge": "x", "was": ', 1)
    file.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"1\.jsonl, line 10, column 'charge': 'x', expected a n"):
        loaded("graphs", ORDERED, folder, lazy=True)
    assert not [one for one in cache.rglob("*") if one.name != "data"]


def test_columns_are_those_of_the_first_and_classes_those_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(lazy, "MOST_NODES", 40)
    records = sorted(some_graphs(), key=lambda one: one["label"])
    task = loaded("graphs", ORDERED, in_files(tmp_path / "parts", records), lazy=True)
    assert list(task.classes) == ["path", "ring"]
    assert {int(one.y) for one in task.loaded["train"]} == {0, 1}
    whole = loaded("graphs", ORDERED, tmp_path / "parts")
    means = [one.encoder.schema.columns[1].mean for one in (task, whole)]
    assert means[0] != means[1]


def test_cycles_and_slots_are_checked(tmp_path):
    folder = in_files(tmp_path / "parts", graphs())
    with pytest.raises(ValueError, match=r"0\.jsonl, line 2: .*cycle.*take topology=ordered_graph"):
        loaded("graphs", GRAPH, folder, lazy=True)
    folder = in_files(tmp_path / "trees", trees())
    two, six = (sn.topologies.create("tree", arity=arity) for arity in (2, 6))
    # Also where they are kept already.
    for _ in range(2):
        with pytest.raises(ValueError, match=r"\.jsonl, line \d+: node \d+ has 4 children"):
            loaded("own_trees", two, folder, lazy=True)
    with pytest.warns(sn.DataWarning, match="no training tree has more than 4 children"):
        sn.tasks.create("own_trees", root=str(folder), seed=1, lazy=True).load(six)


def test_what_is_not_read_in_parts_is_refused(tmp_path, monkeypatch):
    single = {"nodes": [{"label": "ab"[at % 2], "part": "train"} for at in range(30)], "edges": []}
    with pytest.raises(ValueError, match=r"task.lazy splits graphs, and not the nodes of one"):
        loaded("graphs", ORDERED, written(tmp_path / "one.jsonl", [single]), lazy=True)
    file = written(tmp_path / "two.jsonl", [single, single])
    with pytest.raises(ValueError, match=r"task.lazy splits graphs, and not the nodes of one"):
        loaded("graphs", ORDERED, file, lazy=True, split_column="part")
    (tmp_path / "one.json").write_text(json.dumps(list(graphs())))
    with pytest.raises(ValueError, match=r"got .*one\.json, which is read as a whole: write it"):
        loaded("graphs", ORDERED, tmp_path / "one.json", lazy=True)
    task = sn.tasks.create("graphs", lazy=True)
    task.data = list(graphs())
    with pytest.raises(ValueError, match=r"task.root in parts: leave it out for data in memory"):
        task.load(ORDERED)
    monkeypatch.setenv("STRUCTNET_CACHE", "")
    with pytest.raises(ValueError, match="STRUCTNET_CACHE, which is set to none"):
        loaded("graphs", ORDERED, file, lazy=True)


def test_a_run_on_parts_is_tested_and_predicts(tmp_path):
    folder, run = in_files(tmp_path / "parts", graphs()), tmp_path / "run"
    words = (f"task.root={folder}", "task.lazy=true", f"run={run}", *SMALL)
    status, out, err = call("train", "task=graphs", *words, "trainer.max_epochs=1")
    assert status == 0, err
    assert "40 graphs of 3 to 8 nodes" in out and "logistic regression" in out
    assert call("test", f"run={run}").status == 0
    path = folder / "0.jsonl"
    assert len(json.loads(call("predict", f"run={run}", f"path={path}", "--json").out)) == 13
