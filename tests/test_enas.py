import random
import re
from pathlib import Path

import numpy as np
import pytest
from commands import DATA, SMALL, call

import structnet as sn
from structnet.plugins.graph.tasks.enas import FILE, OPERATIONS, VERTICES, read_architectures

GRAPH = sn.topologies.create("graph")
REAL = Path(DATA or "nowhere", "dags", "enas", FILE)
GOOD = "[[1], [4, 0], [5, 0, 0], [0, 1, 1, 1], [2, 1, 1, 1, 1], [3, 0, 0, 0, 0, 1]], 0.7302"


def write_architectures(folder, count=60):
    """Random architectures, the more accurate the more edges they have."""
    folder.mkdir(parents=True, exist_ok=True)
    draw, lines = random.Random(0), []
    for _ in range(count):
        layers = [[draw.randrange(6), *(draw.randrange(2) for _ in range(i))] for i in range(6)]
        edges = sum(sum(layer[1:]) for layer in layers)
        lines.append(f"{layers}, {0.7 + edges / 200:.4f}")
    (folder / FILE).write_text("\n".join(lines) + "\n")
    return folder


def create(folder, **options):
    return sn.tasks.create("enas", root=str(folder), **{"skip": 0, **options})


def test_a_layer_takes_the_vertex_before_it_and_those_of_its_bits(tmp_path):
    (tmp_path / "mine.txt").write_text(GOOD)
    (sample,) = create(tmp_path).read(tmp_path / "mine.txt", GRAPH)
    before = {v: set(sample.structure.index[0][sample.structure.index[1] == v]) for v in range(8)}
    assert before == {0: set(), 1: {0}, 2: {1}, 3: {2}, 4: {0, 1, 2, 3}, 5: {0, 1, 2, 3, 4},
                      6: {4, 5}, 7: {6}}  # fmt: skip
    names = create(tmp_path).node_names(sample)
    assert names == ["input", "sep3", "avg3", "max3", "conv3", "conv5", "sep5", "output"]
    assert sample.x.shape == (8, len(VERTICES) + 8) and (sample.x.sum(1) == 2).all()
    assert np.array_equal(sample.x[:, len(VERTICES) :], np.eye(8))
    assert (sample.y, sample.origin.line) == (pytest.approx(73.02), 1)


def test_the_splits_are_those_of_d_vae(tmp_path):
    task = create(write_architectures(tmp_path), skip=10)
    splits = task.keep(task.load(GRAPH))
    order = list(range(11, 61))
    random.Random(0).shuffle(order)
    lines = {split: [sample.origin.line for sample in some] for split, some in splits.items()}
    assert lines == {"train": order[:40], "validation": order[40:45], "test": order[45:]}
    assert set(task.baselines()) == {"mean", "ridge", "boosted trees"}
    assert task.baselines()["ridge"]["rmse"] < 0.3 * task.baselines()["mean"]["rmse"]


WRONG = {
    "[[1], [4, 0]], 0.5": "6 layers, got 2",
    GOOD.replace("[1]", "[6]"): "an operation from 0 to 5 first",
    GOOD.replace("[4, 0]", "[4, 2]"): "an operation and 1 bits, 0 or 1, in layer 1",
    GOOD.replace("[4, 0]", "[4]"): "an operation and 1 bits, 0 or 1, in layer 1",
    GOOD.replace("0.7302", "7.3"): "'7.3', expected an accuracy from 0 to 1",
    GOOD.replace("0.7302", "nan"): "'nan', expected an accuracy from 0 to 1",
    GOOD.replace("0.7302", "1e-9"): "expected an accuracy",
    GOOD.replace(", 0.7302", ""): "expected [[operation], [operation, bit]",
    GOOD.replace("[1]", "[-1]"): "expected [[operation], [operation, bit]",
    GOOD.replace("[1]", "[True]"): "expected [[operation], [operation, bit]",
    "__import__('os').getcwd()": "expected [[operation], [operation, bit]",
    GOOD.replace("[1]", "[01]"): "expected [[operation], [operation, bit]",
    GOOD.replace("[1]", "[\u0661]"): "expected [[operation], [operation, bit]",
    "": "'', expected [[operation], [operation, bit]",
    "[" * 10_000: "expected [[operation], [operation, bit]",
    GOOD.replace("[1]", f"[{'9' * 10_000}]"): "expected [[operation], [operation, bit]",
}


@pytest.mark.parametrize("text", WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_a_mistake_is_named_by_file_line_value_and_what_was_expected(tmp_path, text):
    path = tmp_path / "mine.txt"
    path.write_text(f"{GOOD}\n{text}\n{GOOD}\n")
    with pytest.raises(ValueError) as caught:
        list(read_architectures(path, labelled=True))
    assert str(caught.value).startswith(f"{path}, line 2: ") and len(str(caught.value)) < 500
    assert WRONG[text] in str(caught.value)


def test_too_few_lines_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"2 architectures after the first 58.* task\.skip"):
        create(write_architectures(tmp_path), skip=58).load(GRAPH)
    with pytest.raises(ValueError, match="'skip' is at least 0"):
        create(tmp_path, skip=-1)


def test_a_users_architectures_are_read_with_or_without_accuracies_and_given_numbers(tmp_path):
    folder, run = write_architectures(tmp_path / "data"), tmp_path / "run"
    words = ["task=enas", "topology=graph", f"task.root={folder}", "task.skip=0", *SMALL]
    assert call("train", *words, "debug=steps", f"run={run}").status == 0
    (tmp_path / "mine.txt").write_text(f"{GOOD}\n{GOOD.removesuffix(', 0.7302')}\n")
    status, out, _ = call("predict", f"run={run}", f"path={tmp_path / 'mine.txt'}")
    said = re.findall(r"mine\.txt:(\d): .* \(([\d.]+) % accuracy\)\n", out)
    assert status == 0 and [line for line, _ in said] == ["1", "2"] and said[0][1] == said[1][1]


@pytest.mark.skipif(not REAL.is_file(), reason="STRUCTNET_DATA names no folder with dags/enas")
def test_the_real_architectures_are_as_many_as_d_vae_uses():
    found = list(read_architectures(REAL, labelled=True))
    assert len(found[1000:]) == 19020
    assert {operation for one in found for operation, *_ in one.layers} == set(
        range(len(OPERATIONS))
    )
