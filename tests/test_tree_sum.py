"""Sums over lanes have the same bits whoever has which lanes."""

from types import SimpleNamespace

import pytest
import torch

from structnet.distributed.tree_sum import TreeSum, _sum, halves, share_of, subtrees
from structnet.distributed.world import World


def parts_of(vectors, rank, size):
    """What a process has after it has taken the vectors of its lanes."""
    lanes = len(vectors)
    own = TreeSum(lanes, SimpleNamespace(rank=rank, size=size))
    for lane in share_of(lanes, rank, size):
        own.add(lane, vectors[lane].clone())
    return own


@pytest.mark.parametrize("lanes", range(1, 14))
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 15])
def test_all_processes_have_the_sum_of_one(lanes, size):
    vectors = torch.randn(lanes, 50, generator=torch.Generator().manual_seed(lanes))
    alone = parts_of(vectors, 0, 1).total(vectors[0])
    torch.testing.assert_close(alone, vectors.sum(0))
    found = {}
    for rank in range(size):
        own = parts_of(vectors, rank, size)
        assert [span for span, _ in own.open] == own.parts[rank]
        found |= dict(own.open)
    assert torch.equal(_sum((0, lanes), found), alone)


def test_the_order_is_that_of_the_tree():
    """Of floats, where another order gives another sum."""
    vectors = torch.tensor([[1.0], [1e8], [-1e8], [1.0], [0.5]])
    a, b, c, d, e = vectors
    assert parts_of(vectors, 0, 1).total(vectors[0]) == ((a + b) + (c + d)) + e
    assert ((a + b) + (c + d)) + e != a + b + c + d + e


@pytest.mark.parametrize(("lanes", "size", "counts"), [
    (8, 2, [1, 1]), (8, 8, [1] * 8), (6, 3, [1, 1, 1]), (6, 2, [2, 2]), (2, 3, [1, 1, 0]),
])  # fmt: skip
def test_a_process_sends_as_few_vectors_as_the_tree_allows(lanes, size, counts):
    shares = [share_of(lanes, rank, size) for rank in range(size)]
    assert [len(list(subtrees((0, lanes), share))) for share in shares] == counts


def test_lanes_are_shared_out_evenly_and_in_order():
    for lanes in range(1, 20):
        for size in range(1, 9):
            shares = [share_of(lanes, rank, size) for rank in range(size)]
            assert [lane for share in shares for lane in share] == list(range(lanes))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1 and 0 in shares[0]
    assert halves((0, 8)) == ((0, 4), (4, 8)) and halves((3, 8)) == ((3, 7), (7, 8))


def test_one_process_exchanges_nothing():
    world = World()
    assert world.gather(3) == [3] and world.from_first(lambda: 5) == 5
    with pytest.raises(KeyError), world.together():
        raise KeyError("x")
    with world.within_first(pytest.raises(ValueError)):
        raise ValueError
    assert world.sent == 0 and world.waited_s == 0
