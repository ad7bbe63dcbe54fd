"""Plans from what other libraries have: rows of datasets, groups of a frame, arrays."""

import numpy as np
import pytest
import torch

import structnet as sn

ROW = {"edge_index": [[0, 0], [1, 2]], "num_nodes": 3}
EDGES = sn.Edges(np.array([[0, 0], [1, 2]]), 3)


def equal(one, other):
    for first, second in zip(one, other, strict=True):
        assert first.num_nodes == second.num_nodes and first.levels == second.levels
        assert torch.equal(first.rows, second.rows) and torch.equal(first.ptr, second.ptr)


@pytest.mark.parametrize("name", ["graph", "tree"])
def test_rows_of_datasets_are_graphs(name):
    datasets = pytest.importorskip("datasets")
    row, edges = ROW, EDGES
    if name == "tree":
        row = {"edge_index": [[1, 2], [0, 0]], "num_nodes": 3}
        edges = sn.Edges(np.array([[1, 2], [0, 0]]), 3)
    topology = sn.topologies.create(name)
    alone = {"edge_index": [[], []], "num_nodes": 2}
    wanted = topology.plan([edges, sn.Edges(np.zeros((2, 0), int), 2)])
    equal(topology.plan([row, alone]), wanted)
    equal(topology.plan(row), topology.plan([edges]))
    many = datasets.Dataset.from_list([row, alone])
    equal(topology.plan(many), wanted)
    equal(topology.plan([many[0]]), topology.plan([edges]))


def test_a_row_without_a_number_of_nodes_is_refused():
    graph = sn.topologies.create("graph")
    with pytest.raises(ValueError, match=r"sample 0: num_nodes must be a whole number.*got None"):
        graph.plan([{"edge_index": [[0], [1]]}])
    with pytest.raises(ValueError, match=r"sample 1: index has node 3 as the target of edge 0"):
        graph.plan([ROW, {"edge_index": [[0], [3]], "num_nodes": 3}])
    with pytest.raises(ValueError, match="a sequence is its length"):
        sn.topologies.create("chain").plan([ROW])


@pytest.mark.parametrize("sort", [True, False])
def test_groups_of_a_frame_are_sequences_of_their_rows(sort):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"id": ["b", "a", "b", "b"], "value": [1.0, 2.0, 3.0, 4.0]})
    groups = frame.groupby("id", sort=sort)
    chain = sn.topologies.create("chain")
    equal(chain.plan(groups), chain.plan([1, 3] if sort else [3, 1]))
    equal(chain.plan(groups["value"]), chain.plan([1, 3] if sort else [3, 1]))


def test_arrays_and_series_of_lengths():
    pandas = pytest.importorskip("pandas")
    chain = sn.topologies.create("chain")
    for lengths in (np.array([2, 3]), pandas.Series([2, 3]), torch.tensor([2, 3])):
        equal(chain.plan(lengths), chain.plan([2, 3]))
