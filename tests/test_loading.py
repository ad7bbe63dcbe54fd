"""Loaders batch by number of nodes, in an order of seed and epoch alone."""

import numpy as np
import pytest
import torch
from conftest import SEEDS
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn

SIZES = st.lists(st.integers(1, 40), max_size=60)


def flat(batches):
    return [sample for batch in batches for sample in batch]


def lists_of(batches, epoch=0):
    batches.set_epoch(epoch)
    found = list(batches)
    assert len(batches) == len(found)
    return found


@given(sizes=SIZES, nodes=st.integers(1, 60), shuffle=st.booleans(), seed=SEEDS)
def test_every_sample_comes_once_an_epoch_within_the_node_budget(sizes, nodes, shuffle, seed):
    for epoch in range(2):
        found = lists_of(sn.Batches(sizes, nodes, shuffle=shuffle, seed=seed), epoch)
        assert sorted(flat(found)) == list(range(len(sizes)))
        for batch in found:
            assert batch
            assert len(batch) == 1 or sum(sizes[sample] for sample in batch) <= nodes


@given(sizes=SIZES, size=st.integers(1, 9), shuffle=st.booleans(), seed=SEEDS)
def test_a_batch_size_is_a_number_of_samples_whatever_their_nodes(sizes, size, shuffle, seed):
    found = lists_of(sn.Batches(sizes, 1, size, shuffle=shuffle, seed=seed))
    assert sorted(flat(found)) == list(range(len(sizes)))
    assert all(1 <= len(batch) <= size for batch in found)
    assert len(found) - sum(len(batch) == size for batch in found) <= 1 + len(sizes) // (50 * size)


def test_no_batch_could_have_taken_the_next_sample():
    sizes = [5, 1, 9, 3, 3, 12, 2]
    assert lists_of(sn.Batches(sizes, 10)) == [[1, 6, 3, 4], [0], [2], [5]]


def many_sizes():
    return np.random.default_rng(0).integers(1, 100, 5000)


@pytest.mark.parametrize("limits", [{"batch_nodes": 500}, {"batch_nodes": 1, "batch_size": 10}])
def test_sizes_are_alike_within_a_batch_and_batches_come_mixed(limits):
    sizes = many_sizes()
    found = lists_of(sn.Batches(sizes, shuffle=True, **limits))
    spread = np.mean([np.ptp(sizes[batch]) for batch in found])
    assert spread < 0.1 * np.ptp(sizes)
    means = np.array([sizes[batch].mean() for batch in found])
    assert abs(np.corrcoef(means[:-1], means[1:])[0, 1]) < 0.2


def test_a_pool_of_one_batch_mixes_sizes():
    sizes = np.repeat([1, 9], 100)
    pools = {
        pool: [np.ptp(sizes[batch]) for batch in sn.Batches(sizes, 1, 20, pool=pool, shuffle=True)]
        for pool in (50, 1)
    }
    assert pools == {50: [0] * 10, 1: [8] * 10}


def test_the_order_is_that_of_seed_and_epoch_alone():
    def order(seed, epoch):
        return lists_of(sn.Batches(many_sizes(), 500, shuffle=True, seed=seed), epoch)

    first = order(seed=3, epoch=1)
    np.random.seed(99)
    assert order(seed=3, epoch=1) == first
    assert order(seed=3, epoch=2) != first
    assert order(seed=4, epoch=1) != first


def test_an_epoch_is_the_same_after_another_one():
    batches = sn.Batches(many_sizes(), 500, shuffle=True)
    first = lists_of(batches, 0)
    assert lists_of(batches, 1) != first
    assert lists_of(batches, 0) == first


def test_without_shuffling_every_epoch_goes_from_small_to_large():
    sizes = many_sizes()
    batches = sn.Batches(sizes, 500)
    order = flat(lists_of(batches, 0))
    assert (np.diff(sizes[order]) >= 0).all()
    assert flat(lists_of(batches, 5)) == order


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"batch_nodes": 0}, "batch_nodes is at least 1, got 0"),
        ({"batch_nodes": 9, "batch_size": 0}, "batch_size is at least 1, got 0"),
        ({"batch_nodes": 9, "pool": 0}, "pool is at least 1, got 0"),
    ],
)
def test_batches_of_nothing_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        sn.Batches([1, 2], **limits)
    with pytest.raises(ValueError, match=message):
        sn.loader([], sn.topologies.create("chain"), **limits)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_loader_collates_and_plans_wherever_it_runs(num_workers):
    lengths = [3, 1, 4, 1, 5]
    samples = [
        sn.Sample(length, np.full((length, 2), index, np.float32), index)
        for index, length in enumerate(lengths)
    ]
    topology = sn.topologies.create("bichain")
    loader = sn.loader(samples, topology, batch_nodes=6, num_workers=num_workers)
    batches = list(loader)
    assert len(loader) == len(batches)
    assert [batch.y.tolist() for batch in batches] == [[1, 3, 0], [2], [4]]
    for batch in batches:
        planned = topology.plan([lengths[index] for index in batch.y.tolist()])
        for plan, expected in zip(batch.plans, planned, strict=True):
            assert plan.levels == expected.levels and plan.steps == expected.steps
            assert plan.rows.equal(expected.rows)
        assert batch.x[batch.ptr[:-1], 0].tolist() == batch.y.tolist()
        tensors = batch.x, batch.y, batch.ptr, batch.plans[1].rows
        # A worker hands over one.
        places = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        assert len(places) == (1 if num_workers else 4)


def test_little_data_is_cut_into_more_batches_where_it_is_shuffled():
    samples = [sn.Sample(4, np.zeros((4, 1), np.float32), 0) for _ in range(40)]
    topology = sn.topologies.create("chain")

    def count(**options):
        return len(sn.loader(samples, topology, batch_nodes=100, **options))

    assert count() == count(min_batches=10) == count(shuffle=True) == 2
    assert count(shuffle=True, min_batches=10) == 10
    # A sample is the least that a batch can have, and a size that is given counts.
    assert count(shuffle=True, min_batches=1000) == 40
    assert count(shuffle=True, min_batches=10, batch_size=20) == 2
    with pytest.raises(ValueError, match="min_batches is at least 1, got 0"):
        count(min_batches=0)


class Noise:
    """Samples that are drawn anew at every look."""

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(index)
        return sn.Sample(1 + index % 3, torch.rand(1 + index % 3, 2).numpy(), 0)


# torch warns of more workers than cores, which other tests make one.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_what_is_drawn_for_a_batch_is_its_own_whoever_makes_it():
    chain = sn.topologies.create("chain")
    made = {}
    for workers in (0, 1, 2):
        loader = sn.loader(Noise(), chain, batch_size=2, shuffle=True, seed=5, num_workers=workers)
        torch.manual_seed(workers)
        made[workers] = [batch.x for batch in loader]
        if not workers:
            # A loader draws the first seed of its workers.
            torch.manual_seed(workers)
            torch.empty((), dtype=torch.int64).random_()
            before = torch.get_rng_state()
            torch.manual_seed(workers)
            list(loader)
            assert torch.equal(torch.get_rng_state(), before)
        loader.batch_sampler.take(4, None)
        made[workers] += [batch.x for batch in loader]
        loader.batch_sampler.set_epoch(1)
        assert not torch.equal(next(iter(loader)).x, made[workers][0])
    for other in (1, 2):
        assert all(map(torch.equal, made[0], made[other]))
    assert all(map(torch.equal, made[0][4:6], made[0][6:]))
