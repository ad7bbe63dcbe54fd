import json
import os
import pickle
import random

import pytest
import torch
from commands import SMALL, call, refused

import structnet as sn
from structnet.plugins.graph.pyg.datasets import MADE, NAMES, PLAIN, PROCESSED

UNDIRECTED = sn.topologies.create("ordered_graph")


def write_tu(root, name="RINGS", count=30, numbers=False, directed=False):
    """Rings and paths in the text format of TUDataset, with labels at their nodes."""
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    draw, edges, indicator, nodes, targets, start = random.Random(0), [], [], [], [], 1
    for graph in range(1, count + 1):
        size, ring = draw.randrange(3, 7), graph % 2
        pairs = [(i, i + 1) for i in range(size - 1)] + [(size - 1, 0)] * ring
        for u, v in pairs:
            edges += [(start + u, start + v)] if directed else [
                (start + u, start + v), (start + v, start + u)]  # fmt: skip
        indicator += [graph] * size
        nodes += [draw.randrange(3) for _ in range(size)]
        targets.append(size + 0.5 if numbers else ring)
        start += size
    files = {
        "A": [f"{u}, {v}" for u, v in edges],
        "graph_indicator": indicator,
        "node_labels": nodes,
        "graph_attributes" if numbers else "graph_labels": targets,
    }
    for what, lines in files.items():
        (folder / f"{name}_{what}.txt").write_text("\n".join(map(str, lines)) + "\n")
    return root


def create(root, **options):
    given = {"dataset": "TUDataset", "dataset_name": "RINGS", "root": str(root), **options}
    return sn.tasks.create("pyg", **given)


def test_every_name_is_of_a_class_of_torch_geometric():
    from torch_geometric import datasets

    assert all(callable(getattr(datasets, name)) for name in NAMES)
    assert len(set(NAMES)) == len(PLAIN) + len(PROCESSED) + len(MADE)


@pytest.mark.parametrize("name", ["tudataset", "torch_geometric.datasets.TUDataset", "os.system",
                                  "__init__", "Dataset", None])  # fmt: skip
def test_any_other_name_is_refused(name):
    with pytest.raises(ValueError, match="option 'dataset' is one of"):
        sn.tasks.create("pyg", dataset=name)


@pytest.mark.parametrize("name", [None, "../secret", "/etc", "a/b", ""])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="option 'dataset_name' is the name of one"):
        create(tmp_path, dataset_name=name)


def test_graphs_are_read_from_raw_text_and_split(tmp_path):
    task = create(write_tu(tmp_path))
    splits = task.keep(task.load(UNDIRECTED))
    assert [len(splits[s]) for s in ("train", "validation", "test")] == [24, 3, 3]
    assert (task.structures, task.classes, task.input_size) == (("undirected",), ["0", "1"], 3)
    for sample in splits["train"]:
        assert sample.y == (len(sample.structure.index[0]) == 2 * sample.num_nodes)
    assert sn.collate(splits["test"], UNDIRECTED).y.shape == (3,)
    again = create(tmp_path).load(UNDIRECTED)
    assert all(one.y == other.y for one, other in zip(splits["test"], again["test"], strict=True))
    assert task.baselines()["bag of nodes"]["accuracy"] >= 0


def test_floats_are_numbers_unless_they_are_said_to_be_classes(tmp_path):
    task = create(write_tu(tmp_path, numbers=True))
    assert isinstance(task, sn.Regression)
    batch = sn.collate(task.keep(task.load(UNDIRECTED))["test"], UNDIRECTED)
    assert batch.y.dtype == torch.float32 and (batch.y % 1 == 0.5).all()
    assert create(tmp_path, goal="classes").classes == [str(i) for i in range(7)]
    with pytest.raises(ValueError, match=r"has 1 targets, option 'target' is 1"):
        create(tmp_path, target=1)
    with pytest.raises(ValueError, match="option 'goal'"):
        create(tmp_path, goal="class")


def test_a_dataset_trains_from_the_command_line(tmp_path):
    root = write_tu(tmp_path / "data")
    words = ["task=pyg", "task.dataset=TUDataset", "task.dataset_name=RINGS", f"task.root={root}"]
    status, out, err = call("train", *words, "topology=ordered_graph", *SMALL, "debug=steps",
                            f"run={tmp_path / 'run'}")  # fmt: skip
    assert status == 0, err
    assert "bag of nodes" in out and call("test", f"run={tmp_path / 'run'}").status == 0
    message = refused("train", *words, "topology=graph", f"run={tmp_path / 'other'}")
    assert "['undirected']" in message and "ordered_graph" in message


def test_directed_graphs_with_a_cycle_are_refused_or_taken_both_ways(tmp_path):
    write_tu(tmp_path, directed=True)
    with pytest.raises(ValueError, match=r"graph 0 of TUDataset RINGS is directed and has a cycle"):
        create(tmp_path)
    task = create(tmp_path, undirected=True)
    assert task.structures == ("undirected",)
    sn.collate(task.load(UNDIRECTED)["train"], UNDIRECTED)


def test_dags_are_for_the_topology_graph_and_edges_keep_their_features():
    from torch_geometric.data import Data

    from structnet.plugins.graph.pyg.graphs import kind_of, read_graph

    index, weight = torch.tensor([[0, 0, 1], [1, 2, 2]]), torch.tensor([1.0, 2.0, 3.0])
    data = Data(edge_index=index, edge_attr=weight, y=torch.tensor([1.5]), num_nodes=4)
    assert kind_of([data], "mine") == "graph"
    dag = read_graph(data, "graph", 0, "mine")
    assert dag.edges is index and dag.edge_x.tolist() == [[1], [2], [3]]
    assert torch.allclose(dag.x.expm1(), torch.tensor([[2.0, 0], [1, 1], [0, 2], [0, 0]]))
    both = read_graph(data, "undirected", 0, "mine")
    features = dict(zip(map(tuple, both.edges.T.tolist()), both.edge_x[:, 0].tolist(), strict=True))
    assert features == {(0, 1): 1, (1, 0): 1, (0, 2): 2, (2, 0): 2, (1, 2): 3, (2, 1): 3}


def test_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        create(tmp_path, dataset_name="PROTEINS")
    assert "PROTEINS_A.txt" in str(caught.value)
    assert "from torch_geometric.datasets import TUDataset" in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"set task\.root=FOLDER"):
        sn.tasks.create("pyg", dataset="TUDataset", dataset_name="PROTEINS")


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize("file", ["data.pt", "pre_transform.pt", "pre_filter.pt"])
def test_processed_files_that_are_more_than_tensors_are_not_opened(tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    create(write_tu(tmp_path))
    path = tmp_path / "RINGS" / "processed" / file
    assert path.is_file()
    torch.save(Harm(), path)
    with pytest.raises(ValueError, match=rf"{file} holds more than tensors.*Delete .*processed"):
        create(tmp_path)
    path.write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="holds more than tensors"):
        create(tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_raw_files_that_are_pickles_are_not_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "Cora" / "raw"
    raw.mkdir(parents=True)
    for part in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"):
        (raw / f"ind.cora.{part}").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(ValueError, match="the raw files of Planetoid are pickles"):
        create(tmp_path, dataset="Planetoid", dataset_name="Cora")
    assert not (tmp_path / "harmed").exists()


def test_masks_of_nodes_are_the_splits(tmp_path):
    from torch_geometric.data import Data, InMemoryDataset

    index = torch.tensor([[0, 1, 1, 2, 3, 4], [1, 0, 2, 1, 4, 3]])
    y = torch.tensor([0, 1, 2, 0, -1])
    masks = {
        name: torch.tensor([[node in part, True] for node in range(5)])
        for name, part in (("train_mask", {0, 1}), ("val_mask", {2}), ("test_mask", {3, 4}))
    }
    folder = tmp_path / "Cora" / "processed"
    folder.mkdir(parents=True)
    (tmp_path / "Cora" / "raw").mkdir()
    for part in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index"):
        (tmp_path / "Cora" / "raw" / f"ind.cora.{part}").write_text("")
    data = Data(x=torch.eye(5), edge_index=index, y=y, **masks)
    InMemoryDataset.save([data], str(folder / "data.pt"))
    for name in ("pre_transform.pt", "pre_filter.pt"):
        torch.save("None", folder / name)
    task = create(tmp_path, dataset="Planetoid", dataset_name="Cora")
    known = {
        split: [i for i, label in enumerate(sample.y) if label != sn.IGNORE]
        for split, (sample,) in task.load(UNDIRECTED).items()
    }
    assert known == {"train": [0, 1], "validation": [2], "test": [3]}
    assert task.scores_nodes(UNDIRECTED) and task.readout(UNDIRECTED) == "every"


def test_datasets_without_files_are_made_alike_every_time(tmp_path):
    state = random.getstate()
    task, again = (sn.tasks.create("pyg", dataset="FakeDataset", undirected=True) for _ in "ab")
    assert random.getstate() == state
    first, other = (one.load(UNDIRECTED)["test"][0] for one in (task, again))
    assert (first.x == other.x).all() and (first.y == other.y).all()
    club = sn.tasks.create("pyg", dataset="KarateClub")
    assert club.structures == ("undirected",) and len(club.classes) == 4
    splits = club.load(UNDIRECTED)
    assert sum((sample.y != sn.IGNORE).sum() for some in splits.values() for sample in some) > 3
    status, _, err = call("train", "task=pyg", "task.dataset=KarateClub", "topology=ordered_graph",
                          *SMALL, "debug=steps", f"run={tmp_path / 'run'}")  # fmt: skip
    assert status == 0, err
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert 0 <= metrics["test"]["accuracy"] <= 1


@pytest.mark.parametrize(("edges", "graphs"), [("1, 2\n", "1\n9\n"), ("1, x\n", "1\n1\n")])
def test_damaged_raw_files_are_named(tmp_path, edges, graphs):
    raw = tmp_path / "T" / "raw"
    raw.mkdir(parents=True)
    for name, text in (("A", edges), ("graph_indicator", graphs), ("graph_labels", "0\n")):
        (raw / f"T_{name}.txt").write_text(text)
    with pytest.raises(ValueError, match=r"TUDataset can't read .*raw: .*; get them again"):
        sn.tasks.create("pyg", dataset="TUDataset", dataset_name="T", root=str(tmp_path))
