"""A plan orders its nodes by level and says whom each of them reads."""

import dataclasses
import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import dags, random_tree, table_of
from hypothesis import given
from hypothesis import strategies as st

import structnet as sn


def levels_of(plan):
    """The level of every node, and that order and rank are inverse permutations."""
    nodes = torch.arange(plan.num_nodes)
    assert plan.order[plan.rank].equal(nodes) and plan.rank[plan.order].equal(nodes)
    by_rank = torch.repeat_interleave(torch.tensor(plan.level_sizes, dtype=torch.int64))
    return by_rank[plan.rank].tolist()


def reads(plan):
    """What every node reads: node numbers, N + j for initial state j, -1 for the null state."""
    num_nodes, first = plan.num_nodes, 1 + plan.num_initial
    nobody_and_initial = [-1, *range(num_nodes, num_nodes + plan.num_initial)]
    node_of_row = [*nobody_and_initial, *plan.order.tolist()]
    assert len(node_of_row) == first + num_nodes
    found = [None] * num_nodes
    end = 0
    for start, stop, slots, offset in plan.steps:
        assert start == end, "steps follow each other"
        assert any(a <= start < stop <= b for a, b in pairwise(plan.levels)), "within a level"
        end = stop
        for rank in range(start, stop):
            place = offset + (rank - start) * slots
            rows = plan.rows[place : place + slots].tolist()
            found[plan.order[rank]] = [node_of_row[row] for row in rows]
    assert end == num_nodes
    return found


def edges_of(before):
    pairs = [(u, v) for v, some in enumerate(before) for u in some]
    return np.array(pairs, np.int64).reshape(-1, 2).T


@given(before=dags())
def test_every_node_of_a_table_reads_its_slots_and_stands_right_above_the_highest(before):
    table = table_of(before, 3)
    plan = sn.schedule(table)
    assert reads(plan) == table.tolist()
    level = levels_of(plan)
    assert level == [max((level[u] + 1 for u in some), default=0) for some in before]


@given(before=dags(max_before=5))
def test_every_node_of_an_edge_list_reads_its_sources_in_their_order(before):
    plan = sn.schedule(edges_of(before), num_nodes=len(before))
    assert reads(plan) == [some or [-1] for some in before]
    level = levels_of(plan)
    assert level == [max((level[u] + 1 for u in some), default=0) for some in before]


@given(before=dags())
def test_a_step_reads_no_row_written_at_its_level_or_above(before):
    for plan in (
        sn.schedule(table_of(before, 3)),
        sn.schedule(edges_of(before), num_nodes=len(before)),
    ):
        level = levels_of(plan)
        for node, some in enumerate(reads(plan)):
            assert all(level[one] < level[node] for one in some if one >= 0)


@given(before=dags())
def test_a_table_and_its_edge_list_have_the_same_levels_and_sinks(before):
    by_table = sn.schedule(table_of(before, 3))
    by_edges = sn.schedule(edges_of(before), num_nodes=len(before))
    assert by_table.levels == by_edges.levels
    assert levels_of(by_table) == levels_of(by_edges)
    fed = {one for some in before for one in some}
    sinks = [node for node in range(len(before)) if node not in fed]
    assert by_table.sinks.tolist() == by_edges.sinks.tolist() == sinks


def test_in_degrees_are_never_padded():
    before = [[], [], [], [0, 1, 2], [0], [3] * 7]
    plan = sn.schedule(edges_of(before), num_nodes=6)
    assert len(plan.rows) == 3 + 3 + 1 + 7
    assert plan.level_sizes == (3, 2, 1)
    assert [slots for _, _, slots, _ in plan.steps] == [1, 1, 3, 7]


@given(lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_level_sizes_of_chains_are_the_batch_sizes_of_a_packed_sequence(lengths):
    (plan,) = sn.topologies.create("chain").plan(lengths)
    packed = torch.nn.utils.rnn.pack_sequence(
        [torch.zeros(length) for length in lengths], enforce_sorted=False
    )
    assert list(plan.level_sizes) == packed.batch_sizes.tolist()


def test_initial_states_are_rows_like_any_other():
    plan = sn.schedule([[3, -1], [4, 0], [1, 3]], num_initial=2)
    assert reads(plan) == [[3, -1], [4, 0], [1, 3]]
    assert plan.level_sizes == (1, 1, 1) and plan.num_initial == 2
    edges = sn.schedule([[3, 4, 0, 1, 3], [0, 1, 1, 2, 2]], num_nodes=3, num_initial=2)
    assert reads(edges) == [[3], [4, 0], [1, 3]]
    assert edges.sinks.tolist() == [2]


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, lambda rows: np.array(rows, "i4")])
def test_lists_arrays_and_tensors_give_one_plan(make):
    rows, edges = [[1, 2], [-1, -1], [-1, 1]], [[1, 2, 1], [0, 0, 2]]
    assert reads(sn.schedule(make(rows))) == rows
    assert reads(sn.schedule(make(edges), num_nodes=3)) == [[1, 2], [-1], [1]]


def test_nothing_is_planned():
    for plan in (
        sn.schedule(np.zeros((0, 2), np.int64)),
        sn.schedule(np.zeros((2, 0), np.int64), num_nodes=0),
    ):
        assert plan.num_nodes == 0 and plan.level_sizes == () and plan.steps == ()


def test_a_plan_of_256_trees_is_right():
    rng = np.random.default_rng(0)
    tables = [random_tree(int(size), rng) for size in rng.integers(1, 60, 256)]
    (plan,) = sn.topologies.create("tree").plan(tables)
    ptr = np.cumsum([0, *map(len, tables)])
    expected = np.concatenate(
        [np.where(table >= 0, table + first, -1) for table, first in zip(tables, ptr, strict=False)]
    )
    assert reads(plan) == expected.tolist()
    assert plan.sinks.tolist() == ptr[:-1].tolist()
    levels_of(plan)


def test_a_plan_moves_and_pickles_with_all_it_has():
    plan = sn.schedule([[2, -1], [0, 2], [-1, -1]])
    for copy in (plan.to("cpu", non_blocking=True), pickle.loads(pickle.dumps(plan))):
        assert reads(copy) == reads(plan)
        assert (copy.levels, copy.steps) == (plan.levels, plan.steps)
    moved = plan.to("meta")
    assert all(t.is_meta for t in (moved.order, moved.rank, moved.rows, moved.sinks))


PTR = [0, 2, 5]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[-1], [0], [2], [2], [3]], "cycle in sample 1, node 0 -> 0"),
        ([[1], [0], [-1], [-1], [-1]], "cycle in sample 0, node (0 -> 1 -> 0|1 -> 0 -> 1)"),
        ([[-1], [0], [4], [2], [3]], "cycle in sample 1, node [0-2] -> [0-2] -> [0-2] -> [0-2]"),
        ([[-1], [0], [-1], [7], [-1]], "predecessor 7 of sample 1, node 1 is out of range"),
        ([[-1], [-2], [-1], [0], [-1]], "predecessor -2 of sample 0, node 1 is out of range"),
        ([[-1.0], [0.5], [0], [0], [0]], "integers, got float64 .*sample 0, node 0"),
        ([-1, 0, 1, 2, 3], r"table \(N, K\), got an array of shape \(5,\)"),
    ],
)
def test_a_bad_table_is_refused_with_sample_and_node(table, message):
    with pytest.raises(ValueError, match=message):
        sn.schedule(table, ptr=PTR)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([[1, 3, 4, 3], [0, 4, 3, 2]], "cycle in sample 1, node (1 -> 2 -> 1|2 -> 1 -> 2)"),
        ([[0, 9], [1, 3]], "predecessor 9 of .* is out of range: valid are -1 to 4"),
        ([[0, 2], [1, 5]], "5 .*edge 1 is out of range: valid are 0 to 4"),
        ([[0.0], [1.0]], "integers, got float64"),
        ([[0, 1]], r"edge list \(2, E\), got an array of shape \(1, 2\)"),
    ],
)
def test_a_bad_edge_list_is_refused(edges, message):
    with pytest.raises(ValueError, match=message):
        sn.schedule(edges, num_nodes=5, ptr=PTR)


def test_a_long_cycle_is_named_without_listing_all_of_it():
    with pytest.raises(ValueError, match="cycle in sample 0, node") as caught:
        sn.schedule([[99], *([node] for node in range(99))])
    assert len(str(caught.value)) < 200


def test_a_plan_moves_in_one_piece():
    plan = sn.topologies.create("tree").plan([[[1, 2], [-1, -1], [-1, -1]]])[0]
    # As a worker sends it.
    queue = torch.multiprocessing.get_context("spawn").SimpleQueue()
    queue.put(plan)
    sent = queue.get()
    moves = []

    def move(tensor):
        moves.append(tensor)
        return tensor.clone()

    # Behind something else.
    behind = torch.zeros(1 + len(plan.order.untyped_storage()) // 8, dtype=torch.int64)
    inside = plan.map(lambda whole: behind[1:].copy_(whole))
    assert inside.order.storage_offset() == 1
    for one in (plan, sent, inside):
        moved = one.map(move)
        assert len(moves) == 1
        assert reads(moved) == reads(plan) and moved.sinks.equal(plan.sinks)
        assert len(moved.map(move).order) and len(moves) == 2
        moves.clear()


def test_a_plan_of_separate_tensors_moves_as_well():
    plan = sn.topologies.create("chain").plan([3, 1])[0]
    parts = {name: getattr(plan, name).clone() for name in ("order", "rank", "rows", "sinks")}
    apart = dataclasses.replace(plan, **parts)
    assert reads(apart.to("cpu")) == reads(apart.map(torch.Tensor.clone)) == reads(plan)


def test_levels_that_are_known_are_not_searched():
    table = [[-1], [0], [1], [-1]]
    plan = sn.schedule(table, levels=np.array([0, 1, 2, 0]))
    assert levels_of(plan) == [0, 1, 2, 0] and reads(plan) == table
    edges = sn.schedule(edges_of([[], [0], [1], []]), num_nodes=4, levels=np.array([0, 1, 2, 0]))
    assert levels_of(edges) == [0, 1, 2, 0]


def test_known_levels_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"level 1 of sample 1, node 1 is not above level 1 of"):
        sn.schedule([[-1], [-1], [1]], ptr=[0, 1, 3], levels=np.array([0, 1, 1]))
    with pytest.raises(ValueError, match=r"one per node, \(2,\), got shape \(3,\)"):
        sn.schedule([[-1], [0]], levels=np.array([0, 1, 2]))
