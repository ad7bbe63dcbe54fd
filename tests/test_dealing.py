"""What each process computes of every step: looked at without processes."""

from functools import cache
from itertools import chain
from typing import Any

import numpy as np
import pytest
from conftest import SEEDS, random_tree
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn
from structnet.data.cost import levels_of
from structnet.distributed.dealing import Steps, deal, deal_evaluation
from structnet.distributed.launch import Launch
from structnet.distributed.tree_sum import share_of
from structnet.distributed.world import World

COUNTS = (1, 2, 3, 8)
every_world = pytest.mark.parametrize("size", COUNTS)
every_lanes = pytest.mark.parametrize("lanes", COUNTS)
RANDOM = np.random.default_rng(0)
# The numbers of nodes of samples, and of levels: of trees a few more than the logarithm.
SIZES = RANDOM.integers(1, 60, 701)
LEVELS = np.minimum(SIZES, 3 + RANDOM.integers(0, 9, len(SIZES)))
FEW = {"none": [], "one": [4], "two": [3, 1], "giant": [2, 9000, 1, 2, 3], "equal": [5] * 64}
# What runs of one lane were trained on before there were lanes.
PINNED = [
    (None, [[9, 11], [10, 1, 6, 3, 4], [5], [7], [2], [0, 8]]),
    (2, [[4, 9], [10, 1], [7, 5], [11, 8], [0, 2], [6, 3]]),
]


def batches_of(lanes, sizes: Any = SIZES, levels: Any = LEVELS, nodes=200, size=None, **options):
    options = {"shuffle": True, "lanes": lanes, "levels": levels, **options}
    return sn.Batches(sizes, nodes, size, **options)


def dealt(batches, lanes, size, begin=0, epoch=0):
    """Of every process, what it computes in each step: lists of samples with their key, or None."""
    found = []
    for rank in range(size):
        steps = Steps(batches, lanes, share_of(lanes, rank, size))
        steps.set_epoch(epoch)
        steps.begin(begin)
        mine = [[one and (tuple(one), *one.key) for one in step] for step in steps]
        assert len(mine) == len(steps)
        found.append(mine)
    return found


def joined(found):
    """The lanes of every step, of all processes; they have equally many steps."""
    assert len({len(mine) for mine in found}) == 1
    return [list(chain(*step)) for step in zip(*found, strict=True)]


def samples_of(steps):
    return [sample for step in steps for one in step if one for sample in one[0]]


def largest(batches, lanes, epoch=0):
    """The largest and the mean cost of the batches of every step that has all its lanes."""
    batches.set_epoch(epoch)
    costs = [
        batches.costs.of([i // batches.group for i in one[:: batches.group]]) for one in batches
    ]
    whole = np.array(costs[: len(costs) // lanes * lanes]).reshape(-1, lanes)
    return whole.max(1), whole.mean(1), costs


@every_lanes
@every_world
def test_processes_share_all_samples_in_equally_many_steps(lanes, size):
    for epoch in range(2):
        steps = joined(dealt(batches_of(lanes), lanes, size, epoch=epoch))
        assert sorted(samples_of(steps)) == list(range(len(SIZES)))
        assert all(len(step) == lanes for step in steps)


@every_lanes
@every_world
def test_a_lane_has_the_same_batch_in_any_world(lanes, size):
    batches = batches_of(lanes, seed=3)
    batches.set_epoch(2)
    alone = [(tuple(one), *one.key) for one in batches]
    assert [one[1:] for one in alone] == [(3, 2, number) for number in range(len(alone))]
    steps = joined(dealt(batches, lanes, size, epoch=2))
    assert [one for one in chain(*steps) if one] == alone


@every_lanes
@every_world
@pytest.mark.parametrize("begin", [1, 4])
def test_an_epoch_goes_on_in_its_middle_in_any_world(lanes, size, begin):
    whole = joined(dealt(batches_of(lanes), lanes, 1))
    assert joined(dealt(batches_of(lanes), lanes, size, begin)) == whole[begin:]
    assert joined(dealt(batches_of(lanes), lanes, size, len(whole))) == []


@every_lanes
def test_what_a_lane_gets_is_of_seed_and_epoch_alone(lanes):
    def order(seed, epoch):
        return dealt(batches_of(lanes, seed=seed), lanes, 2, epoch=epoch)

    first = order(1, 1)
    np.random.seed(5)
    assert order(1, 1) == first
    assert samples_of(joined(order(1, 2))) != samples_of(joined(first))
    assert samples_of(joined(order(2, 1))) != samples_of(joined(first))


@every_lanes
@every_world
@pytest.mark.parametrize("name", FEW)
def test_few_samples_leave_lanes_empty_only_at_the_end(name, lanes, size):
    sizes = FEW[name]
    batches = batches_of(lanes, sizes, sizes, nodes=10)
    steps = joined(dealt(batches, lanes, size))
    assert sorted(samples_of(steps)) == list(range(len(sizes)))
    one_by_one = list(chain(*steps))
    busy = sum(one is not None for one in one_by_one)
    assert busy == len(batches) and None not in one_by_one[:busy]
    assert len(steps) == -(-busy // lanes)
    if name == "giant":
        assert ((1,), 0, 0) in [(one[0], *one[1:3]) for one in one_by_one if one]


@pytest.mark.parametrize(("size", "expected"), PINNED)
def test_batches_of_one_lane_are_those_of_before_there_were_lanes(size, expected):
    sizes = [5, 1, 9, 3, 3, 12, 2, 7, 7, 4, 1, 6]
    batches = batches_of(1, sizes, sizes, 12, size, pool=3, seed=2)
    batches.set_epoch(1)
    assert list(map(list, batches)) == expected


@cache
def many(kind):
    """Sizes and levels of samples as those of treebanks, and what limits a batch of them."""
    random = np.random.default_rng(1)
    lengths = np.minimum(1 + random.gamma(1.7, 10, 3000).astype(int), 160)
    if kind == "chains":
        return lengths, 2 * lengths, {"size": 32}
    trees = [random_tree(size, random) for size in lengths[:1500].tolist()]
    topology = sn.topologies.create("tree")
    samples = [sn.Sample(tree, np.zeros((len(tree), 1)), 0) for tree in trees]
    return lengths[:1500], levels_of(samples, topology), {"nodes": 500}


@pytest.mark.parametrize("kind", ["chains", "trees", "mixed"])
@pytest.mark.parametrize("lanes", COUNTS[1:])
def test_batches_of_a_step_cost_alike(kind, lanes):
    sizes, levels, limits = many("trees" if kind == "mixed" else kind)
    if kind == "mixed":
        limits = {"size": 16, "pool": 1}
    for epoch in range(3):
        most, mean, _ = largest(batches_of(lanes, sizes, levels, **limits), lanes, epoch)
        assert most.sum() < 1.05 * mean.sum()
        other, of_other, _ = largest(batches_of(1, sizes, levels, **limits), lanes, epoch)
        assert most.sum() / mean.sum() - 1 < (other.sum() / of_other.sum() - 1) / 2


@pytest.mark.parametrize("lanes", COUNTS[1:])
def test_a_last_step_with_fewer_batches_is_the_cheapest(lanes):
    seen = 0
    for count in range(400, 640, 20):
        batches = batches_of(lanes, SIZES[:count], LEVELS[:count], seed=count)
        most, _, costs = largest(batches, lanes)
        if rest := costs[len(most) * lanes :]:
            seen += 1
            assert max(rest) <= most.min()
    assert seen


@given(
    sizes=st.lists(st.integers(1, 40), max_size=60),
    deep=st.integers(0, 9),
    size=st.none() | st.integers(1, 9),
    lanes=st.integers(2, 8),
    seed=SEEDS,
)
def test_dealing_keeps_to_the_limits_of_a_batch(sizes, deep, size, lanes, seed):
    levels = np.random.default_rng(deep).integers(0, 1 + 2 * deep, len(sizes))
    found = list(batches_of(lanes, sizes, levels, nodes=60, size=size, seed=seed))
    assert sorted(chain(*found)) == list(range(len(sizes)))
    for batch in found:
        if size is not None:
            assert 1 <= len(batch) <= size
        else:
            assert len(batch) == 1 or sum(sizes[i] for i in batch) <= 60


@every_lanes
def test_a_group_stays_together(lanes):
    batches = batches_of(lanes, SIZES[:700], LEVELS[:700], group=2)
    found = list(batches)
    assert sorted(chain(*found)) == list(range(700))
    for batch in found:
        assert batch[1::2] == [1 + sample for sample in batch[::2]]
        assert not any(sample % 2 for sample in batch[::2])
    # Two that are compared are computed together: both add nodes, the deeper one the levels.
    assert batches.costs.sizes.tolist() == (SIZES[:700:2] + SIZES[1:700:2]).tolist()
    assert batches.costs.levels.tolist() == np.maximum(LEVELS[:700:2], LEVELS[1:700:2]).tolist()


def edges(size):
    """A graph of random arrows from earlier nodes to later ones."""
    pairs = [(u, v) for v in range(size) for u in range(v) if (3 * u + 5 * v) % 4]
    return sn.Edges(np.array(pairs, np.int64).reshape(-1, 2).T, size)


def tree(size):
    return random_tree(size, np.random.default_rng(size))


STRUCTURES = {
    "chain": (lambda size: size, {}),
    "bichain": (lambda size: size, {}),
    "tree": (tree, {}),
    "tree both": (tree, {"direction": "both"}),
    "diagonal": (lambda size: (size, 1 + size % 3), {}),
    "graph": (edges, {}),
}


def sample(structure, topology, parts=()):
    nodes = topology.plan([structure])[0].num_nodes
    return sn.Sample(structure, np.zeros((nodes, 1)), 0, parts=parts)


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_levels_of_a_sample_are_those_of_its_own_plan(name):
    make, options = STRUCTURES[name]
    topology = sn.topologies.create(name.split()[0], **options)
    samples = [sample(make(size), topology) for size in (5, 1, 12, 1, 3, 7)]
    alone = [sum(len(p.level_sizes) for p in topology.plan([one.structure])) for one in samples]
    assert levels_of(samples, topology).tolist() == alone
    assert len(set(alone)) > 3
    assert levels_of([], topology).tolist() == []


def test_the_levels_of_parts_count_by_their_own_topology():
    trees, both = sn.topologies.create("tree"), sn.topologies.create("bichain")
    samples = []
    for size in (4, 1, 6):
        text = sn.Sample(size, np.zeros((size, 1)), 0, topology=both)
        samples.append(sample(tree(size + 2), trees, (text, sample(tree(size), trees))))
    alone = [
        levels_of([sample(tree(size + 2), trees), sample(tree(size), trees)], trees).sum()
        + 2 * size
        for size in (4, 1, 6)
    ]
    assert levels_of(samples, trees).tolist() == alone


def test_samples_that_are_planned_together_have_the_levels_of_each(monkeypatch):
    topology = sn.topologies.create("bichain")
    samples = [sample(1 + index % 7, topology) for index in range(30)]
    whole = levels_of(samples, topology).tolist()
    monkeypatch.setattr("structnet.data.cost.TOGETHER", 4)
    assert levels_of(samples, topology).tolist() == whole == [2 * one.num_nodes for one in samples]


def test_a_sample_without_nodes_has_no_levels():
    topology = sn.topologies.create("tree")
    none = np.zeros((0, 2), np.int64)
    samples = [sample(one, topology) for one in (none, tree(5), none, tree(1), none)]
    alone = [len(topology.plan([one.structure])[0].level_sizes) for one in samples]
    assert levels_of(samples, topology).tolist() == alone


def loader_of(lanes=1, count=11, shuffle=True):
    topology = sn.topologies.create("chain")
    samples = [
        sn.Sample(1 + index % 4, np.zeros((1 + index % 4, 1)), index) for index in range(count)
    ]
    return sn.loader(samples, topology, batch_size=2, shuffle=shuffle, lanes=lanes)


@every_lanes
@every_world
def test_the_batches_that_processes_make_are_those_of_the_loader(lanes, size):
    alone = [batch.y.tolist() for batch in loader_of(lanes)]
    worlds = [World(Launch(rank, size)) for rank in range(size)]
    found = [list(deal(loader_of(lanes), lanes, world)) for world in worlds]
    made = [batch.y.tolist() for step in joined(found) for batch in step if batch is not None]
    assert made == alone


@every_world
def test_evaluation_is_shared_by_all_processes(size):
    alone = [batch.y.tolist() for batch in loader_of(shuffle=False)]
    worlds = [World(Launch(rank, size)) for rank in range(size)]
    found = [list(deal_evaluation(loader_of(shuffle=False), world)) for world in worlds]
    assert all(len(step) == 1 for mine in found for step in mine)
    made = [batch.y.tolist() for step in joined(found) for batch in step if batch is not None]
    assert made == alone
