import builtins
import csv
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from commands import DATA, SMALL, call, refused

import structnet as sn
from structnet.plugins.files.lines import Line
from structnet.plugins.graph.molecules.smiles import ATOM_SIZE, BOND_SIZE, ELEMENTS, read_molecule
from structnet.plugins.graph.molecules.tagged import read_graphs
from structnet.plugins.graph.tasks.esol import FILE, SMILES, TARGET, read_compounds

UNDIRECTED = sn.topologies.create("ordered_graph")
HERE = Line(Path("mine.txt"), 3, "")
# A path of three nodes with tags 5, 6, 5, and a single node with tag 6.
TWO = "2\n3 1\n5 1 1\n6 2 0 2\n5 1 1\n1 0\n6 0\n"


def write_tagged(folder, count=40, folds=True):
    """Rings with label 1, paths with label 0; rings have some tags of their own."""
    (folder / "10fold_idx").mkdir(parents=True, exist_ok=True)
    draw, lines = random.Random(0), [str(count)]
    for graph in range(count):
        size, ring = draw.randrange(3, 7), graph % 2
        lines.append(f"{size} {ring}")
        for node in range(size):
            around = {(node - 1) % size, (node + 1) % size} if ring else {
                other for other in (node - 1, node + 1) if 0 <= other < size}  # fmt: skip
            tag = draw.randrange(2) + ring
            lines.append(" ".join(map(str, [tag, len(around), *sorted(around)])))
    for name in ("MUTAG.txt", "NCI1.txt"):
        (folder / name).write_text("\n".join(lines) + "\n")
    for fold in range(1, 11):
        indices = range(4 * fold - 4, 4 * fold)
        (folder / "10fold_idx" / f"test_idx-{fold}.txt").write_text("\n".join(map(str, indices)))
    return folder


def written(folder, text):
    path = folder / "mine.txt"
    path.write_text(text)
    return path


# Graphs with tags


def test_a_graph_has_the_edges_that_its_nodes_list(tmp_path):
    path, single = read_graphs(written(tmp_path, TWO))
    assert path.edges.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]] and single.edges.shape == (2, 0)
    assert (path.tags, path.label, single.tags, single.label) == (["5", "6", "5"], "1", ["6"], "0")
    assert (path.origin.line, single.origin.line) == (2, 6)


def test_an_edge_that_one_end_lists_is_taken_and_told_of(tmp_path):
    text = TWO.replace("6 2 0 2", "6 1 0")
    with pytest.warns(sn.DataWarning, match=r"line 2: graph 0 of 2 has 1 edges that only one"):
        (path, _) = read_graphs(written(tmp_path, text))
    assert path.edges.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]


WRONG = {
    "": "mine.txt ends too early, expected the number of graphs",
    "two\n": "line 1: 'two', expected the number of graphs",
    TWO[:-4]: "ends too early, expected 'tag degree neighbours' of node 0 of graph 1 of 2",
    TWO + "6 0\n": "line 8: '6 0', expected the end of the file after 2 graphs",
    TWO.replace("3 1\n", "3\n", 1): "line 2: '3', expected 'nodes label' of graph 0 of 2",
    TWO.replace("1 0\n6 0\n", "0 0\n"): "line 6: '0', expected a node or more in graph 1 of 2",
    TWO.replace("6 2 0 2", "6 2 0"): "line 4: '6 2 0', expected 'tag degree neighbours' of node 1",
    TWO.replace("6 2 0 2", "6 2 0 3"): "line 4: 3, expected another node from 0 to 2",
    TWO.replace("6 2 0 2", "6 2 0 1"): "line 4: 1, expected another node from 0 to 2",
    TWO.replace("6 2 0 2", "6 2 0 -2"): "in whole numbers",
    TWO.replace("6 2 0 2", f"6 2 0 {'9' * 5000}"): "in whole numbers",
}


@pytest.mark.parametrize("text", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_a_mistake_is_named_by_file_line_value_and_what_was_expected(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(ValueError) as caught:
        list(read_graphs(path))
    assert str(path) in str(caught.value) and WRONG[text] in str(caught.value)


@pytest.mark.parametrize("name", ["mutag", "nci1"])
def test_ten_folds_test_every_graph_once_and_validation_is_of_the_others(tmp_path, name):
    folder, tested = write_tagged(tmp_path), []
    for fold in range(1, 11):
        task = sn.tasks.create(name, root=str(folder), fold=fold)
        splits = task.keep(task.load(UNDIRECTED))
        lines = {s: [sample.origin.line for sample in some] for s, some in splits.items()}
        assert [len(lines[s]) for s in ("train", "validation", "test")] == [32, 4, 4]
        assert len({line for some in lines.values() for line in some}) == 40
        assert np.mean([sample.y for sample in splits["test"]]) == 0.5
        tested += lines["test"]
    assert len(set(tested)) == 40 and task.classes == ["0", "1"]
    assert set(task.baselines()) == {"majority", "bag of tags"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("40\n", "'40', expected the index of a graph, from 0 to 39"), ("1\n1\n", "and each once"),
     ("", "is empty"), ("x\n", "'x', expected the index of a graph")],
)  # fmt: skip
def test_a_wrong_fold_is_named(tmp_path, text, message):
    file = write_tagged(tmp_path) / "10fold_idx" / "test_idx-2.txt"
    file.write_text(text)
    with pytest.raises(ValueError) as caught:
        sn.tasks.create("mutag", root=str(tmp_path), fold=2).load(UNDIRECTED)
    assert str(file) in str(caught.value) and message in str(caught.value)
    file.write_text("".join(f"{i}\n" for i in range(40)))
    with pytest.raises(ValueError, match=r"fold 2 leaves 0 of the 40 graphs of .*MUTAG\.txt"):
        sn.tasks.create("mutag", root=str(tmp_path), fold=2).load(UNDIRECTED)
    with pytest.raises(ValueError, match="'fold' is from 1 to 10, got 11"):
        sn.tasks.create("mutag", fold=11)


def test_a_comparison_goes_over_folds_and_a_users_graphs_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = write_tagged(tmp_path / "data")
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "rings.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /task: mutag\n"
        "  - override /topology: ordered_graph\ncompare:\n  rows: {gated: [cell=gru]}\n"
        "  columns: {rings: []}\n  seeds: [0]\n  folds: [1, 2]\n"
        "  references: {rings: {GIN: 0.894}}\n"
    )
    words = ["train", "--config-dir", "conf", "experiment=rings", f"task.root={folder}", *SMALL]
    assert "as in 'compare.folds=[0,1]'" in refused(*words, "task.fold=3")
    status, out, err = call(*words, "trainer.max_epochs=1", "run=out")
    assert status == 0, err
    assert "2/2 rings, gated, fold 2, seed 0" in out and "bag of tags" in out and "0.894" in out
    rows = json.loads(Path("out/table.json").read_text())["columns"]["rings"]
    values = [
        json.loads(Path(f"out/rings_gated_{fold}_0/metrics.json").read_text())["test"]["accuracy"]
        for fold in (1, 2)
    ]
    assert rows["rows"]["gated"]["values"] == values and rows["references"] == {"GIN": 0.894}
    status, out, _ = call("predict", "run=out/rings_gated_1_0", f"path={written(tmp_path, TWO)}")
    assert status == 0
    assert re.search(r"mine\.txt:2: graph 0 of 2, 3 nodes \([01], 0\.\d{3}\)", out)


# Molecules


def write_compounds(folder, count=30):
    """Chains of carbon and oxygen, which dissolve the better the more oxygen they have."""
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(0)
    with (folder / FILE).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Compound ID", TARGET, SMILES])
        for number in range(count):
            chain = "".join(draw.choice("CCO") for _ in range(draw.randrange(1, 8)))
            writer.writerow([f"{number}, odd", chain.count("O") - 0.5 * len(chain), chain])
    return folder


def test_atoms_and_bonds_have_their_features():
    pytest.importorskip("rdkit")
    molecule = read_molecule("C#CC(=O)[O-]", HERE)
    assert molecule.symbols == ("C", "C", "C", "O", "O")
    assert molecule.atoms.shape == (5, ATOM_SIZE) and molecule.bond_features.shape == (8, BOND_SIZE)
    assert [ELEMENTS[i] for i in molecule.atoms[:, : len(ELEMENTS)].argmax(1)] == list("CCCOO")
    assert molecule.atoms[:, -3].tolist() == [0, 0, 0, 0, -1]
    assert molecule.bonds.tolist() == [[0, 1, 1, 2, 2, 3, 2, 4], [1, 0, 2, 1, 3, 2, 4, 2]]
    assert molecule.bond_features[::2].argmax(1).tolist() == [2, 0, 1, 0]
    assert np.array_equal(molecule.bond_features[::2], molecule.bond_features[1::2])
    alone = read_molecule("[Na+]", HERE)
    assert alone.bonds.shape == (2, 0) and alone.bond_features.shape == (0, BOND_SIZE)


@pytest.mark.parametrize("smiles", ["C1CC", "xx", "", "C(C"])
def test_a_bad_smiles_is_named_by_file_line_and_text(tmp_path, smiles, capfd):
    pytest.importorskip("rdkit")
    path = tmp_path / FILE
    path.write_text(f'"{SMILES}",id\nCCO,1\n{smiles},2\n')
    with pytest.raises(ValueError, match=rf"{FILE}, line 3: {re.escape(repr(smiles))}, expected a"):
        list(read_compounds(path))
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [(f"{SMILES},id\nC,1\n", f"expected a column named '{TARGET}'"),
     (f"{SMILES},{TARGET}\nC,high\n", "line 2: 'high', expected a number"),
     (f"{SMILES},{TARGET}\nC,inf\n", "line 2: 'inf', expected a number"),
     (f"{SMILES},{TARGET}\nC\n", "line 2: 'C', expected 2 columns, got 1"),
     (f"{SMILES},{TARGET}\nC\rC,1\n", "line 2: not a row of comma-separated values"),
     ("", "expected a column named 'smiles'")],
)  # fmt: skip
def test_a_wrong_table_is_named(tmp_path, text, message):
    path = tmp_path / FILE
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        list(read_compounds(path, labelled=True))
    assert str(path) in str(caught.value) and message in str(caught.value)


def test_a_table_may_begin_with_the_mark_of_a_spreadsheet(tmp_path):
    pytest.importorskip("rdkit")
    (tmp_path / FILE).write_text(f"\ufeff{SMILES},{TARGET}\nC,1\n")
    assert len(list(read_compounds(tmp_path / FILE, labelled=True))) == 1


def test_without_rdkit_the_way_to_get_it_is_told(monkeypatch):
    find = builtins.__import__

    def missing(name, *args, **kwargs):
        if name.startswith("rdkit"):
            raise ModuleNotFoundError(name)
        return find(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ImportError, match="pip install rdkit"):
        read_molecule("C", HERE)


def test_solubility_is_learned_and_told_of_a_users_molecules(tmp_path):
    pytest.importorskip("rdkit")
    folder, run = write_compounds(tmp_path / "data"), tmp_path / "run"
    words = ["task=esol", "topology=ordered_graph", f"task.root={folder}", *SMALL]
    status, out, err = call("train", *words, "trainer.max_epochs=1", f"run={run}")
    assert status == 0, err
    assert "ridge" in out and "pearson" in out
    (tmp_path / "mine.csv").write_text(f"{SMILES}\nCCO\n")
    status, out, _ = call("predict", f"run={run}", f"path={tmp_path / 'mine.csv'}")
    assert status == 0 and re.search(r"mine\.csv:2: CCO \(-?[\d.e-]+ log mol/L\)", out)
    task = sn.tasks.create("esol", root=str(folder))
    splits = task.keep(task.load(UNDIRECTED))
    assert [len(some) for some in splits.values()] == [24, 3, 3]
    (sample, *_) = splits["test"]
    assert "".join(task.node_names(sample)) == sample.origin.text
    other = sn.tasks.create("esol", root=str(folder), seed=1).load(UNDIRECTED)
    assert [s.origin.line for s in other["test"]] != [s.origin.line for s in splits["test"]]


@pytest.mark.skipif(
    not Path(DATA or "nowhere", "molecules").is_dir(),
    reason="STRUCTNET_DATA names no folder with molecules",
)
def test_the_real_sets_are_as_many_as_the_papers_have():
    pytest.importorskip("rdkit")
    with pytest.warns(sn.DataWarning, match="graph 0 of 188"):
        mutag = sn.tasks.create("mutag").load(UNDIRECTED)
    assert sum(map(len, mutag.values())) == 188
    assert sum(map(len, sn.tasks.create("esol").load(UNDIRECTED).values())) == 1128
