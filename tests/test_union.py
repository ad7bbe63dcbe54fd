"""A batch of trees, planned as one structure: the same plans as tree by tree, the same errors."""

import numpy as np
import pytest
import torch
from conftest import random_tree

import structnet as sn

OPTIONS = [
    {"arity": arity, "direction": direction}
    for arity in (2, 3, None)
    for direction in ("up", "down", "both", "in_turn")
]


def table(*rows):
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


@pytest.mark.parametrize("options", OPTIONS)
def test_a_batch_of_tables_is_planned_as_its_trees_are(options, monkeypatch):
    random = np.random.default_rng(0)
    trees = [random_tree(size, random) for size in (1, 7, 30, 2)]
    trees += [table(), table([1, -1], [-1, -1]).astype(np.int32)]
    topology = sn.topologies.create("tree", **options)
    together = topology.plan(trees)
    monkeypatch.setattr(type(topology), "union", lambda topology, structures: None)
    for plan, expected in zip(together, topology.plan(trees), strict=True):
        for name, value in vars(expected).items():
            found = getattr(plan, name)
            same = torch.equal(found, value) if isinstance(value, torch.Tensor) else found == value
            assert same, name


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (table([1, -1], [2, -1]), "sample 1: child 2 of node 1 is out of range"),
        (table([1, 1], [-1, -1]), r"sample 1: node 1 is a child of nodes \[0, 0\]"),
        (table([1, -1], [0, -1]), "cycle"),
        (table([-2, -1]), "sample 1: child -2 of node 0 is out of range"),
        (table([-1, -1]).astype(float), "sample 1: a tree is an integer table"),
    ],
)
def test_what_is_wrong_with_a_tree_is_named_by_its_sample(wrong, message):
    topology = sn.topologies.create("tree")
    fine = table([1, 2], [-1, -1], [-1, -1])
    with pytest.raises(ValueError, match=message):
        topology.plan([fine, wrong, fine])


def test_a_crowded_tree_is_named_by_its_sample():
    trees = [np.full((1, 3), -1), np.array([[1, 2, 3], *[[-1] * 3] * 3])]
    with pytest.raises(ValueError, match="sample 1: node 0 has 3 children"):
        sn.topologies.create("tree").plan(trees)
