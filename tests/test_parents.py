"""Child tables from parents."""

import numpy as np
import pytest
import torch
from conftest import trees
from hypothesis import given

import structnet as sn

#       0
#    2  4  5
#   1      3 6
PARENT = [-1, 2, 0, 5, 0, 0, 5]


def test_children_are_in_ascending_order():
    expected = [[2, 4, 5], [-1] * 3, [1, -1, -1], [-1] * 3, [-1] * 3, [3, 6, -1], [-1] * 3]
    assert sn.children(PARENT).tolist() == expected
    assert sn.children(torch.tensor(PARENT)).tolist() == expected
    assert sn.children([-1, -1]).tolist() == [[-1], [-1]]
    assert sn.children([]).shape == (0, 1)


def test_a_first_child_and_a_next_sibling_are_a_binary_tree():
    expected = [[2, -1], [-1, -1], [1, 4], [-1, 6], [-1, 5], [3, -1], [-1, -1]]
    assert sn.left_child_right_sibling(PARENT).tolist() == expected
    # Roots are no siblings.
    assert sn.left_child_right_sibling([-1, -1, 0]).tolist() == [[2, -1], [-1, -1], [-1, -1]]


@given(trees())
def test_any_tree_comes_back_from_its_parents(table):
    parent = np.full(len(table), -1)
    above, slot = np.nonzero(table >= 0)
    parent[table[above, slot]] = above
    found = sn.children(parent)
    for node, row in enumerate(found):
        assert [one for one in row if one >= 0] == sorted(np.flatnonzero(parent == node))
    binary = sn.left_child_right_sibling(parent)
    # The children of a node are its first child and that one's siblings.
    for node in range(len(parent)):
        chain, child = [], binary[node, 0]
        while child >= 0:
            chain.append(child)
            child = binary[child, 1]
        assert chain == sorted(np.flatnonzero(parent == node))
    (plan,) = sn.topologies.create("tree").plan([binary])
    assert plan.num_nodes == len(parent) and len(plan.sinks) == 1


@pytest.mark.parametrize(
    ("parent", "message"),
    [
        ([-1, 0, 5], "parent 5 of node 2 is out of range, -1 .* to 2"),
        ([-2, 0], "parent -2 of node 0"),
        ([-1, 2, 3, 1], "node 1 has no root above"),
        ([-1, 1], "node 1 has no root above"),
        ([-1, float("nan")], "one integer per node .* got float64"),
        ([[-1, 0]], r"got int64 of shape \(1, 2\)"),
    ],
)
@pytest.mark.parametrize("call", [sn.children, sn.left_child_right_sibling])
def test_what_is_no_forest_is_rejected(call, parent, message):
    with pytest.raises(ValueError, match=message):
        call(parent)
