"""Levels are longest paths, whichever of the three ways finds them."""

import networkx as nx
import numpy as np
import pytest
from conftest import SEEDS, dags, table_of, trees
from hypothesis import given
from hypothesis import strategies as st

from structnet.topology.levels import Cycle, node_levels, stable_order


def longest_paths(before):
    """The length of the longest path to every node, node by node."""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(before)))
    graph.add_edges_from((u, v) for v, some in enumerate(before) for u in some)
    level = {}
    for node in nx.topological_sort(graph):
        level[node] = max((level[u] + 1 for u in before[node]), default=0)
    return [level[node] for node in range(len(before))]


def levels_of(before):
    pairs = [(u, v) for v, some in enumerate(before) for u in some]
    source, target = np.array(pairs, np.int64).reshape(-1, 2).T
    return node_levels(source, target, len(before)).tolist()


@given(before=dags(max_nodes=15))
def test_a_level_is_the_longest_path_that_leads_to_a_node(before):
    assert levels_of(before) == longest_paths(before)


@given(before=dags(max_nodes=15, max_before=1))
def test_one_predecessor_each_is_a_forest_read_downwards(before):
    assert levels_of(before) == longest_paths(before)


@given(children=trees(max_children=3, max_nodes=25))
def test_one_successor_each_is_a_forest_read_upwards(children):
    before = [row[row >= 0].tolist() for row in children]
    assert levels_of(before) == longest_paths(before)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 9, 1000])
def test_a_chain_in_any_numbering_has_a_level_a_node(length):
    ids = np.random.default_rng(0).permutation(length)
    assert node_levels(ids[:-1], ids[1:], length)[ids].tolist() == list(range(length))


def test_parallel_edges_and_isolated_nodes_change_no_level():
    assert levels_of([[], [0, 0, 0], [1, 1, 0], [], [3]]) == [0, 1, 2, 0, 1]


def test_nothing_has_no_levels():
    nothing = np.zeros(0, np.int64)
    assert node_levels(nothing, nothing, 0).shape == (0,)
    assert node_levels(nothing, nothing, 3).tolist() == [0, 0, 0]


CYCLES = {
    "self loop": [[0]],
    "self loop beside a predecessor": [[], [0, 1]],
    "pair": [[1], [0]],
    "long": [[99], *([v] for v in range(99))],
    "cycle with a tail": [[2], [0], [1], [2], [3]],
    "cycle with a way in": [[], [0, 3], [1], [2]],
    "forest read upwards": [[1, 2], [0], [], []],
    "general": [[], [0], [0, 1, 4], [2, 0], [3], [4, 1]],
}


@pytest.mark.parametrize("before", CYCLES.values(), ids=CYCLES)
def test_a_cycle_is_spelled_out(before):
    with pytest.raises(Cycle) as caught:
        levels_of(before)
    nodes = caught.value.nodes
    assert len(set(nodes)) == len(nodes)
    assert all(u in before[v] for u, v in zip(nodes, [*nodes[1:], nodes[0]], strict=True))


@given(keys=st.lists(st.integers(0, 2**62)) | st.lists(st.integers(0, 5)), seed=SEEDS)
def test_stable_order_is_numpys_stable_argsort(keys, seed):
    keys = np.array(keys, np.int64)
    assert (stable_order(keys) == np.argsort(keys, kind="stable")).all()


@given(before=dags(max_nodes=15), data=st.data())
def test_renaming_the_nodes_renames_the_levels(before, data):
    new = data.draw(st.permutations(range(len(before))))
    renamed = [[] for _ in before]
    for node, some in enumerate(before):
        renamed[new[node]] = [new[one] for one in some]
    level = levels_of(renamed)
    assert [level[new[node]] for node in range(len(before))] == levels_of(before)


def test_the_tests_tables_hold_their_predecessors_in_the_last_slots():
    assert table_of([[], [0], [0, 1]], 2).tolist() == [[-1, -1], [-1, 0], [0, 1]]
