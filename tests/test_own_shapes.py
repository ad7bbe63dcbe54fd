"""Tasks of a user's own trees and graphs, from files to predictions."""

import json
import random
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from commands import SMALL, call, refused
from nltk import Tree
from torch_geometric.data import Data

import structnet as sn

TREE = sn.topologies.create("tree", arity=None)
GRAPH = sn.topologies.create("graph")
ORDERED = sn.topologies.create("ordered_graph")


def expression(draw, depth=3):
    if not depth or draw.random() < 0.3:
        return {"word": draw.choice(["true", "false"]), "weight": draw.random()}
    children = [expression(draw, depth - 1) for _ in range(draw.randint(2, 4))]
    return {"word": draw.choice(["and", "or"]), "children": children}


def value(tree):
    below = [value(child) for child in tree.get("children", ())]
    return (all if tree["word"] == "and" else any)(below) if below else tree["word"] == "true"


def trees(count=40, seed=0):
    draw = random.Random(seed)
    for number in range(count):
        tree = expression(draw)
        yield {**tree, "id": number, "label": "yes" if value(tree) else "no", "year": number % 3}


def graphs(count=40, seed=0):
    draw = random.Random(seed)
    for number in range(count):
        size = draw.randint(3, 8)
        nodes = [{"atom": draw.choice("CNO"), "charge": draw.random()} for _ in range(size)]
        edges = [{"source": a, "target": a + 1, "bond": draw.choice("ab")} for a in range(size - 1)]
        ring = number % 2
        if ring:
            edges.append({"source": size - 1, "target": 0, "bond": "a"})
        yield {
            "id": f"g{number}",
            "nodes": nodes,
            "edges": edges,
            "label": "ring" if ring else "path",
        }


def written(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def loaded(name, topology, root, **options):
    """The task with its splits, without what it warns of; small data has twins."""
    task = sn.tasks.create(name, root=None if root is None else str(root), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sn.DataWarning)
        task.keep(task.load(topology))
    return task


def every(task):
    return [one for split in ("train", "validation", "test") for one in task.loaded[split]]


def test_what_roots_alone_have_is_of_whole_trees(tmp_path, capsys):
    task = loaded("own_trees", TREE, written(tmp_path / "mine.jsonl", trees()))
    encoder = task.encoder
    assert [one.name for one in encoder.schema.columns] == ["word", "weight"]
    assert [one.name for one in encoder.own.schema.columns] == ["year"]
    assert list(task.classes) == ["no", "yes"] and not task.scores_nodes(TREE)
    sample = task.loaded["train"][0]
    assert isinstance(sample.x, sn.Mixed) and sample.condition.shape == (1,) == (task.condition,)
    out = capsys.readouterr().out
    assert "task.target=label, task.goal=class, task.per=whole" in out
    assert "40 trees" in out and "32 train, 4 validation, 4 test" in out
    named = {str(one["id"]): one["label"] for one in trees()}
    for one in every(task):
        assert task.classes[int(one.y)] == named[one.origin.text.split(",")[0]]


def test_labels_of_all_nodes_are_targets_of_nodes(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("(3 (2 good) (1 (0 bad) (2 film)))\n" * 12)
    task = loaded("own_trees", TREE, path)
    assert task.scores_nodes(TREE) and task.readout(TREE) == "every"
    assert list(task.classes) == ["0", "1", "2", "3"]
    assert task.loaded["test"][0].y.tolist() == [3, 2, 1, 0, 2]


def test_a_tree_has_the_label_of_its_root_where_that_is_asked_for(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("(3 (2 good) (1 film))\n(0 (2 bad) (1 film))\n" * 10)
    task = loaded("own_trees", TREE, path, per="whole")
    assert list(task.classes) == ["0", "3"] and task.readout(TREE) == "root"
    assert [one.name for one in task.encoder.schema.columns] == ["word"]


def test_numbers_are_predicted_where_the_target_has_some(tmp_path):
    records = [{**one, "label": len(str(one)) / 7} for one in trees()]
    task = loaded("own_trees", TREE, written(tmp_path / "mine.jsonl", records))
    assert task.predicts_numbers and task.monitor == "rmse"
    quoted = [{**one, "label": str(number % 3)} for number, one in enumerate(records)]
    task = loaded("own_trees", TREE, written(tmp_path / "mine.jsonl", quoted))
    assert list(task.classes) == ["0", "1", "2"]


def test_columns_of_words_are_read_and_another_is_predicted(tmp_path):
    text = """1\tDogs\tdog\tNOUN\tNNS\tNumber=Plur\t2\tnsubj\t_\t_
2\tbark\tbark\tVERB\tVBP\t_\t0\troot\t_\t_\n\n"""
    path = tmp_path / "mine.conllu"
    path.write_text(text * 10)
    task = loaded("own_trees", TREE, path, target="upos", ignore=("xpos",))
    assert list(task.classes) == ["NOUN", "VERB"] and task.scores_nodes(TREE)
    names = [one.name for one in task.encoder.schema.columns]
    assert names == ["form", "lemma", "deprel", "feats.Number"]


def test_edges_of_graphs_have_features_both_ways(tmp_path):
    task = loaded("graphs", ORDERED, written(tmp_path / "mine.jsonl", graphs()))
    assert list(task.classes) == ["path", "ring"] and task.edge_size == 3
    for one in every(task):
        edges = one.structure.index
        assert len(one.edge_x) == edges.shape[1]
        there = {(a, b): x.tolist() for a, b, x in zip(*edges.tolist(), one.edge_x, strict=True)}
        assert all(there[a, b] == there[b, a] for a, b in there)


def test_a_cycle_is_refused_where_edges_are_followed(tmp_path):
    path = written(tmp_path / "mine.jsonl", graphs())
    with pytest.raises(ValueError, match=r"line 2: .*cycle.*take topology=ordered_graph"):
        loaded("graphs", GRAPH, path)
    acyclic = [one for one in graphs(80) if one["label"] == "path"]
    for number, one in enumerate(acyclic):
        one["label"] = number % 2
    task = loaded("graphs", GRAPH, written(path, acyclic))
    assert task.loaded["test"][0].structure.index[0].tolist()[0] == 0
    undirected = [{**one, "directed": False} for one in acyclic]
    with pytest.raises(ValueError, match="its edges have no direction"):
        loaded("graphs", GRAPH, written(path, undirected))


def test_the_nodes_of_one_graph_are_split(tmp_path):
    draw = random.Random(0)
    nodes = [{"id": f"n{at}", "x": draw.random(), "label": "ab"[at % 2]} for at in range(40)]
    edges = [[f"n{at}", f"n{(at * 7 + 3) % 40}"] for at in range(40)]
    record = {"nodes": nodes, "edges": edges}
    task = loaded("graphs", ORDERED, written(tmp_path / "mine.jsonl", [record]))
    known = {split: task.loaded[split][0].y >= 0 for split in ("train", "validation", "test")}
    assert [int(some.sum()) for some in known.values()] == [32, 4, 4]
    assert (sum(some.astype(int) for some in known.values()) == 1).all()
    assert task.node_names(task.loaded["train"][0]) == [f"n{at}" for at in range(40)]
    for at, one in enumerate(nodes):
        one["part"] = "train" if at < 30 else "val" if at < 35 else "test"
    path = written(tmp_path / "mine.jsonl", [record])
    task = loaded("graphs", ORDERED, path, split_column="part")
    assert np.flatnonzero(task.loaded["test"][0].y >= 0).tolist() == list(range(35, 40))
    assert [one.name for one in task.encoder.schema.columns] == ["x"]


def test_nodes_without_columns_have_the_number_of_their_edges(tmp_path):
    records = [{"num_nodes": len(one["nodes"]), "label": one["label"],
                "edges": [[e["source"], e["target"]] for e in one["edges"]]}
               for one in graphs()]  # fmt: skip
    task = loaded("graphs", ORDERED, written(tmp_path / "mine.jsonl", records))
    assert task.input_size == 1
    one = task.read_record({k: v for k, v in records[1].items() if k != "label"},
                           sn.Origin("here", 1, ""), ORDERED)  # fmt: skip
    assert one.y == sn.IGNORE and len(np.unique(one.x)) == 1


def test_tables_of_nodes_and_edges_are_graphs(tmp_path):
    rows = {"nodes": ["graph,id,atom,charge"], "edges": ["source,target,bond"],
            "graphs": ["graph,label"]}  # fmt: skip
    for number, one in enumerate(graphs()):
        rows["graphs"].append(f"{one['id']},{one['label']}")
        for at, node in enumerate(one["nodes"]):
            rows["nodes"].append(f"{one['id']},{number}_{at},{node['atom']},{node['charge']}")
        for edge in one["edges"]:
            ends = f"{number}_{edge['source']},{number}_{edge['target']}"
            rows["edges"].append(f"{ends},{edge['bond']}")
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    tables = loaded("graphs", ORDERED, tmp_path)
    objects = loaded("graphs", ORDERED, written(tmp_path / "mine.jsonl", graphs()))
    for one, other in zip(every(tables), every(objects), strict=True):
        np.testing.assert_array_equal(one.structure.index, other.structure.index)
        np.testing.assert_allclose(one.x.numbers, other.x.numbers, rtol=1e-6)
        assert one.y == other.y
    (tmp_path / "edges.csv").write_text("source,target,bond\n0_0,9_99,a\n")
    with pytest.raises(ValueError, match=r"edges.csv, line 2: the target of edge 0 is '9_99'"):
        loaded("graphs", ORDERED, tmp_path)
    (tmp_path / "nodes.csv").unlink()
    with pytest.raises(ValueError, match=r"has edges.csv and no nodes.csv"):
        loaded("graphs", ORDERED, tmp_path)


def test_objects_in_memory_are_trees_and_graphs():
    task = sn.tasks.create("own_trees", per="node")
    task.data = [Tree.fromstring("(S (NP (D the) (N dog)) (VP barks))")] * 12
    with pytest.warns(sn.DataWarning, match="equal to one of training"):
        task.keep(task.load(TREE))
    assert list(task.classes) == ["D", "N", "NP", "S", "VP"]
    draw = torch.Generator().manual_seed(0)
    ring = torch.tensor([[0, 1, 2], [1, 2, 0]])
    task = sn.tasks.create("graphs")
    task.data = [
        Data(x=torch.rand(3, 2, generator=draw), edge_index=ring, y=torch.tensor([at % 2]))
        for at in range(20)
    ]
    task.keep(task.load(ORDERED))
    assert list(task.classes) == ["0", "1"] and task.input_size == 2
    task = sn.tasks.create("graphs", target="kind")
    task.data = [nx.cycle_graph(at + 3, create_using=nx.Graph) for at in range(20)]
    for at, one in enumerate(task.data):
        one.graph["kind"] = "odd" if at % 2 else "even"
    task.keep(task.load(ORDERED))
    assert list(task.classes) == ["even", "odd"]


def test_folders_of_files_are_read_and_their_names_say_splits(tmp_path):
    some = list(trees(30))
    for name, part in (("train", some[:20]), ("dev", some[20:25]), ("test", some[25:])):
        written(tmp_path / f"{name}.jsonl", part)
    task = loaded("own_trees", TREE, tmp_path)
    assert [len(task.loaded[split]) for split in ("train", "validation", "test")] == [20, 5, 5]
    assert Path(task.loaded["validation"][0].origin.path).name == "dev.jsonl"


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"target": "mood"}, "no column 'mood'"),
        ({"label": None}, {}, "has the classes []"),
        ({"label": "yes"}, {}, "has the classes ['yes'] in the training split"),
        (
            {"weight": "heavy"},
            {"numbers": ("weight",)},
            "column 'weight': 'heavy', expected a number",
        ),
        ({}, {"split_column": "part"}, "no column 'part'"),
        ({}, {"by_time": True}, "task.by_time is for sequences"),
        ({}, {"goal": "number"}, "column 'label': 'no', expected a number to predict"),
    ],
)
def test_wrong_columns_are_refused_by_name(tmp_path, change, options, said):
    records = [{**one, **change} for one in trees()]
    if "weight" in change:
        records[3]["children"] = [{"word": "true", "weight": "heavy"}]
    with pytest.raises(ValueError) as error:
        loaded("own_trees", TREE, written(tmp_path / "mine.jsonl", records), **options)
    assert said in str(error.value), error.value


def test_a_class_that_training_lacks_is_refused_with_its_line(tmp_path):
    some = list(trees())
    written(tmp_path / "a.jsonl", some[:30])
    some[33]["label"] = "maybe"
    written(tmp_path / "b.jsonl", some[30:])
    with pytest.raises(
        ValueError, match=r"b.jsonl, line 4, column 'label': 'maybe', expected a cl"
    ):
        loaded("own_trees", TREE, None, train=str(tmp_path / "a.jsonl"),
               test=str(tmp_path / "b.jsonl"))  # fmt: skip


def test_nodes_of_a_class_that_training_lacks_are_not_scored(tmp_path):
    (tmp_path / "a.txt").write_text("(3 (2 good) (1 film))\n" * 5)
    (tmp_path / "b.txt").write_text("(3 (7 good) (1 film))\n")
    task = sn.tasks.create("own_trees", train=f"{tmp_path}/a.txt", validation=f"{tmp_path}/a.txt",
                           test=f"{tmp_path}/b.txt")  # fmt: skip
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        splits = task.load(TREE)
    assert splits["test"][0].y.tolist() == [2, sn.IGNORE, 0]
    said = [str(one.message) for one in warned]
    assert any(
        "b.txt, line 1, column 'label': '7' first; they are not scored" in one for one in said
    )


def test_more_children_than_slots_are_refused_and_slots_that_stay_empty_warned_of(tmp_path):
    path = written(tmp_path / "mine.jsonl", trees())
    two, six = (sn.topologies.create("tree", arity=arity) for arity in (2, 6))
    with pytest.raises(
        ValueError, match=r"line \d+: node \d+ has [34] children, the topology has 2"
    ):
        loaded("own_trees", two, path)
    with pytest.warns(sn.DataWarning, match="no training tree has more than 4 children"):
        sn.tasks.create("own_trees", root=str(path), seed=1).load(six)


def test_a_pickle_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "mine.gpickle"
    path.write_bytes(b"cos\nsystem\n")
    with pytest.raises(ValueError, match="is a pickle, which runs whatever code"):
        loaded("graphs", ORDERED, path)
    with pytest.raises(ValueError, match=r"graphs are in files .jsonl"):
        loaded("graphs", ORDERED, written(tmp_path / "mine.csv", []))
    with pytest.raises(FileNotFoundError, match=r"task.root"):
        loaded("graphs", ORDERED, tmp_path / "nowhere.jsonl")


def test_the_same_tree_in_two_splits_is_warned_of(tmp_path):
    one = next(trees())
    records = [{**one, "id": at, "label": "ab"[at % 2]} for at in range(20)]
    task = sn.tasks.create("own_trees", root=str(written(tmp_path / "mine.jsonl", records)))
    with pytest.warns(sn.DataWarning, match="2 of 2 trees of (test|validation) are equal"):
        task.load(TREE)
    grouped = [{**one, "house": at // 5} for at, one in enumerate(trees())]
    task = loaded("own_trees", TREE, written(tmp_path / "mine.jsonl", grouped), group="house")
    houses = {split: {int(one.origin.text.split(",")[0]) // 5 for one in some}
              for split, some in task.loaded.items()}  # fmt: skip
    assert sum(map(len, houses.values())) == len(set().union(*houses.values()))
    assert "house" not in [one.name for one in task.encoder.own.schema.columns]


def test_trees_train_and_predict_on_new_files(tmp_path):
    path = written(tmp_path / "mine.jsonl", trees(60))
    status, out, err = call(
        "train", "task=own_trees", f"task.root={path}", "topology.arity=null",
        "trainer.max_epochs=1", "cell=gru", f"run={tmp_path}/run", *SMALL,
    )  # fmt: skip
    assert status == 0, err
    for model in ("majority", "logistic regression", "boosted trees", "tree gru"):
        assert model in out
    run = tmp_path / "run"
    new = [{k: v for k, v in one.items() if k not in ("label", "id")} for one in trees(3, seed=9)]
    status, out, err = call("predict", f"run={run}", f"path={written(tmp_path / 'new.jsonl', new)}")
    assert status == 0 and out.count("new.jsonl:") == 3, err
    other = written(tmp_path / "other.jsonl", [{"token": "true", "year": 1}])
    said = refused("predict", f"run={run}", f"path={other}")
    assert "nodes lack the columns 'word' that the net was trained on" in said
    assert "they have 'token', 'year'" in said


def test_graphs_train_and_predict_on_new_files(tmp_path):
    path = written(tmp_path / "mine.jsonl", graphs(60))
    status, out, err = call(
        "train", "task=graphs", f"task.root={path}", "trainer.max_epochs=1",
        f"run={tmp_path}/run", *SMALL,
    )  # fmt: skip
    assert status == 0, err
    assert "topology=ordered_graph" in out and "ordered_graph lstm" in out
    run = tmp_path / "run"
    graph = nx.cycle_graph(4)
    for at in graph:
        graph.nodes[at].update(atom="C", charge=0.5)
    nx.set_edge_attributes(graph, "a", "bond")
    nx.write_graphml(graph, tmp_path / "new.graphml")
    status, out, err = call("predict", f"run={run}", f"path={tmp_path}/new.graphml")
    assert status == 0 and "new.graphml:" in out, err
