"""Samples, and the batches they are put together in."""

from collections import namedtuple
from itertools import pairwise

import numpy as np
import pytest
import torch

import structnet as sn

LEAF, PAIR = np.array([[-1, -1]]), np.array([[1, -1], [-1, -1]])
Place = namedtuple("Place", "path line text")


def test_nodes_and_targets_stand_in_the_order_of_the_samples():
    samples = [
        sn.Sample(PAIR, np.array([[1.0], [2.0]]), np.array([1, 0]), kind=1),
        sn.Sample(LEAF, np.array([[3.0]]), np.array([2])),
    ]
    batch = sn.collate(samples, sn.topologies.create("tree"))
    assert batch.x.tolist() == [[1.0], [2.0], [3.0]]
    assert (batch.num_nodes, batch.num_samples) == (3, 2)
    assert batch.ptr.tolist() == [0, 2, 3]
    assert batch.y.tolist() == [1, 0, 2]
    assert batch.kind.tolist() == [1, 0]
    assert batch.sample_of_node().tolist() == [0, 0, 1]
    assert batch.plans[0].level_sizes == (2, 1)


def test_scalar_targets_make_one_row_a_sample():
    samples = [sn.Sample(2, np.zeros((2, 1)), y) for y in (1, 0, 1)]
    batch = sn.collate(samples, sn.topologies.create("bichain"))
    assert batch.y.tolist() == [1, 0, 1] and len(batch.plans) == 2


def test_tokens_stay_with_their_nodes():
    words = sn.Vocabulary({"a": 1, "b": 1})
    bags = [[["a"], []], [["b", "a", "?"]], [[], ["b"], []]]
    samples = [sn.Sample(len(bag), words.tokens(bag), 0) for bag in bags]
    batch = sn.collate(samples, sn.topologies.create("chain"))
    assert len(batch.x) == batch.num_nodes == 6
    ids, ptr = batch.x.ids.tolist(), batch.x.ptr.tolist()
    found = [ids[start:stop] for start, stop in pairwise(ptr)]
    assert found == [[1], [], [2, 1, 0], [], [2], []]


def test_a_sample_without_nodes_leaves_the_tokens_of_others_where_they_are():
    words = sn.Vocabulary({"a": 1, "b": 1})
    bags = [[], [["b", "a"], ["a"]], [], [["b"]], []]
    graphs = [sn.Edges(np.zeros((2, 0), np.int64), len(bag)) for bag in bags]
    pairs = zip(graphs, bags, strict=True)
    samples = [sn.Sample(graph, words.tokens(bag), 0) for graph, bag in pairs]
    batch = sn.collate(samples, sn.topologies.create("graph"))
    assert batch.x.ids.tolist() == [2, 1, 1, 2] and batch.x.ptr.tolist() == [0, 2, 3, 4]
    assert batch.ptr.tolist() == [0, 0, 2, 2, 3, 3]


@pytest.mark.parametrize(
    ("targets", "dtype"),
    [
        ((1, 0), torch.int64),
        ((1, 0.5), torch.float64),
        ((np.float32(1), np.float32(0)), torch.float32),
        ((True, False), torch.bool),
        ((np.array(1), 0), torch.int64),
        ((1, np.array([0])), torch.int64),
    ],
)
def test_targets_of_all_kinds_keep_their_type(targets, dtype):
    samples = [sn.Sample(1, np.zeros((1, 1)), y) for y in targets]
    batch = sn.collate(samples, sn.topologies.create("chain"))
    assert batch.y.dtype == dtype and batch.y.tolist() == np.hstack(targets).tolist()


def tensors_of(batch):
    """Every tensor, in the order of the fields."""
    found = []
    batch.map(lambda tensor: found.append(tensor) or tensor)
    return found


def storages(tensors):
    return {tensor.untyped_storage().data_ptr() for tensor in tensors}


def test_in_one_piece_a_batch_is_what_it_was():
    tokens = sn.Vocabulary({"a": 1}).tokens([["a"], [], ["a", "a"]])
    index = np.array([[0, 1], [1, 2]])
    samples = [
        sn.Sample(sn.Edges(index, 3), tokens, np.float32(0.5), condition=True,
                  edge_x=np.ones((2, 3), np.float32)),
        sn.Sample(sn.Edges(index[:, :0], 1), sn.Vocabulary({}).tokens([[]]), np.float32(1),
                  condition=False, edge_x=np.ones((0, 3), np.float32)),
    ]  # fmt: skip
    batch = sn.collate(samples, sn.topologies.create("graph"))
    piece = batch.in_one_piece()
    before, after = tensors_of(batch), tensors_of(piece)
    assert len(before) == len(after) > 6 and len(storages(before)) > 1
    assert len(storages(after)) == 1
    for one, other in zip(before, after, strict=True):
        assert one.dtype == other.dtype and torch.equal(one, other)
    assert torch.equal(piece.plans[0].rows, batch.plans[0].rows)


@pytest.mark.parametrize("size", [1, 4])
def test_an_input_of_another_length_than_its_structure_is_refused_with_its_place(size):
    samples = [
        sn.Sample(2, np.zeros((2, 1)), 0),
        sn.Sample(3, np.zeros((size, 1)), 0, origin=Place("words.txt", 7, "")),
    ]
    message = rf"sample 1 of the batch \(words.txt:7\) has input for {size} nodes.* has 3"
    with pytest.raises(ValueError, match=message):
        sn.collate(samples, sn.topologies.create("chain"))


def test_inputs_whose_errors_cancel_are_refused_too():
    samples = [sn.Sample(2, np.zeros((3, 1)), 0), sn.Sample(3, np.zeros((2, 1)), 1)]
    with pytest.raises(ValueError, match=r"sample 0 .*input for 3 nodes, its structure has 2"):
        sn.collate(samples, sn.topologies.create("chain"))


def test_a_batch_moves_with_all_it_has():
    words = sn.Vocabulary({"a": 1})
    sample = sn.Sample(PAIR, words.tokens([["a"], []]), 0)
    batch = sn.collate([sample], sn.topologies.create("tree"))
    moved = batch.to("meta", non_blocking=True)
    parts = (moved.x.ids, moved.x.ptr, moved.ptr, moved.y, moved.kind, moved.plans[0].rows)
    assert all(part.is_meta for part in parts)
    assert torch.equal(batch.to("cpu").x.ids, batch.x.ids)


def test_shapes_and_conditions_come_along_where_samples_have_them():
    topology = sn.topologies.create("chain")
    x, y = np.zeros((2, 1), np.float32), np.zeros(2)
    plain = sn.collate([sn.Sample(2, x, y)], topology).to("cpu")
    assert plain.condition is None and plain.shapes == ()
    tree = sn.topologies.create("tree")
    grids = [sn.Sample((1, 2), x, y, condition=label) for label in (3, 5)]
    tree.predecessors = lambda shape: [[-1, -1]] * 2
    batch = sn.collate(grids, tree).to("cpu")
    assert batch.shapes == ((1, 2), (1, 2)) and batch.condition.tolist() == [3, 5]


def test_a_vocabulary_keeps_frequent_words_and_maps_the_others_to_0():
    words = sn.Vocabulary.count(list("baacba"), min_count=2)
    assert words.counts == {"a": 3, "b": 2} and len(words) == 3
    assert [words[word] for word in ("a", "b", "c", "")] == [1, 2, 0, 0]
    tokens = words.tokens([["a", "c"], [], ["b"]])
    assert tokens.ids.tolist() == [1, 0, 2] and tokens.ptr.tolist() == [0, 2, 2, 3]
    assert len(words.tokens([])) == 0
