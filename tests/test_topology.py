"""Topologies: the predecessor tables of structures, and the plans of batches of them."""

from dataclasses import dataclass

import nltk
import numpy as np
import pytest
import torch
from conftest import AnyDag, SlottedDag, batches, every_topology, graphs_of, trees
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

import structnet as sn

SENTENCE = "(S (NP (D the) (N cat)) (VP (V sat)))"


def tree(**options):
    return sn.topologies.create("tree", **options)


@every_topology
@settings(max_examples=10)
@given(data=st.data())
def test_a_batch_is_its_samples_side_by_side(topology, data):
    structures = data.draw(batches(topology))
    plans = topology.plan(structures)
    assert len(plans) == len(topology.directions) == len(topology.arities)
    sizes = [topology.plan([structure])[0].num_nodes for structure in structures]
    for plan, graph in zip(plans, graphs_of(topology, structures), strict=True):
        assert plan.num_nodes == sum(sizes) == len(graph)
        states = topology.num_initial
        assert plan.num_initial == (sum(sizes) if states is None else states * len(structures))
        assert plan.sinks.tolist() == [node for node in sorted(graph) if not graph.out_degree(node)]
        level = torch.repeat_interleave(torch.tensor(plan.level_sizes))[plan.rank]
        for node in graph:
            assert level[node] == max((level[u] + 1 for u in graph.predecessors(node)), default=0)


@every_topology
def test_a_batch_of_nothing_is_planned(topology):
    plans = topology.plan([])
    assert [plan.num_nodes for plan in plans] == [0] * len(topology.directions)


@given(length=st.integers(1, 9))
def test_a_chain_reads_the_step_before_and_its_initial_state_first(length):
    expected = [[length], *([step - 1] for step in range(1, length))]
    assert sn.topologies.create("chain").predecessors(length).tolist() == expected
    before, after = sn.topologies.create("bichain").predecessors(length)
    assert before.tolist() == expected
    assert after.tolist() == [*([step + 1] for step in range(length - 1)), [length]]


@pytest.mark.parametrize("name", ["chain", "bichain"])
def test_a_sequence_has_a_whole_number_of_steps_from_one_on(name):
    topology = sn.topologies.create(name)
    with pytest.raises(ValueError, match="at least one step, got length 0"):
        topology.plan([3, 0])
    with pytest.raises(ValueError, match=r"a whole number of steps from 1 on, got 2\.5"):
        topology.plan([2.5])
    assert topology.plan([np.int64(3)])[0].num_nodes == 3


@given(children=trees(2))
def test_upwards_a_node_reads_its_children_downwards_its_parent(children):
    up, down = tree(direction="both").predecessors(children)
    assert up.tolist() == children.tolist()
    above = {(int(child), k): p for p, row in enumerate(children) for k, child in enumerate(row)}
    nodes = range(len(children))
    assert down.tolist() == [[above.get((v, k), -1) for k in (0, 1)] for v in nodes]


def test_downwards_children_in_different_slots_read_their_parent_by_different_weights():
    torch.manual_seed(0)
    layer = sn.Recurrence(tree(direction="down"), "gru", 3, 4)
    left = layer.topology.plan([np.array([[1, -1], [-1, -1]])])
    right = layer.topology.plan([np.array([[-1, 1], [-1, -1]])])
    x = torch.ones(2, 3)
    read_left, read_right = layer(x, left), layer(x, right)
    assert torch.equal(read_left[0], read_right[0])
    assert not torch.allclose(read_left[1], read_right[1])


def test_arities_follow_the_directions():
    assert tree().arities == (2,)
    assert tree(arity=None, direction="both").arities == (None, 1)
    assert tree(arity=3, direction="down").arities == (3,)


def test_missing_slots_are_filled_and_empty_ones_cut():
    table = np.array([[1, 2, -1], [-1, -1, -1], [-1, -1, -1]])
    assert tree(arity=2).predecessors(table).tolist() == table[:, :2].tolist()
    assert tree(arity=4).predecessors(table).tolist() == [
        [1, 2, -1, -1],
        [-1] * 4,
        [-1] * 4,
    ]


def test_data_has_edges_from_child_to_parent_in_the_order_of_the_children():
    data = Data(edge_index=torch.tensor([[3, 1, 2], [0, 0, 1]]), num_nodes=4)
    assert tree().predecessors(data).tolist() == [[3, 1], [2, -1], [-1, -1], [-1, -1]]


@pytest.mark.parametrize("arity", [2, None])
@pytest.mark.parametrize("dtype", [torch.long, torch.float])
def test_a_tree_of_one_node_has_no_edges_of_whatever_type(dtype, arity):
    alone = Data(edge_index=torch.zeros(2, 0, dtype=dtype), num_nodes=1)
    assert tree(arity=arity).plan([alone, alone])[0].level_sizes == (2,)


def test_an_nltk_tree_is_numbered_as_its_subtrees():
    parsed = nltk.Tree.fromstring(SENTENCE)
    labels = [subtree.label() for subtree in parsed.subtrees()]
    assert labels == ["S", "NP", "D", "N", "VP", "V"]
    expected = [[1, 4], [2, 3], [-1, -1], [-1, -1], [5, -1], [-1, -1]]
    assert tree().predecessors(parsed).tolist() == expected


def test_a_deep_nltk_tree_needs_no_recursion():
    deep = nltk.Tree("0", ["leaf"])
    for _ in range(20_000):
        deep = nltk.Tree("0", [deep])
    (plan,) = tree().plan([deep])
    assert plan.level_sizes == (1,) * 20_001
    # Its own destructor and comparison would recurse; taking it apart does not.
    while isinstance(deep, nltk.Tree):
        deep = deep.pop()


def test_several_roots_make_a_forest():
    (plan,) = tree().plan([[[-1, -1], [0, -1], [-1, -1]]])
    assert plan.sinks.tolist() == [1, 2]


ONE, LEAF = [[1, -1], [-1, -1]], [[-1, -1]]


@pytest.mark.parametrize("arity", [2, None])
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1, -1], [-1, 0]], "cycle in sample 1, node"),
        ([[0, -1]], "cycle in sample 1, node 0 -> 0"),
        ([[1, -1], [2, -1], [3, -1], [1, -1]], "node 1 is a child of nodes .0, 3."),
        ([[2, -1], [2, -1], [-1, -1]], "node 2 is a child of nodes .0, 1."),
        ([[7, -1], [-1, -1]], "child 7 of node 0 is out of range"),
        ([[-1, -1], [-2, -1]], "child -2 of node 1 is out of range"),
        ([[0.5, -1.0]], "integer table .* got float64"),
        ([1, -1], r"integer table .* of shape \(2,\)"),
    ],
)
def test_what_is_no_tree_is_refused(bad, message, arity):
    with pytest.raises(ValueError, match=message):
        tree(arity=arity).plan([ONE, bad, LEAF])


@pytest.mark.parametrize(
    "bad",
    [
        [[1, -1], [-1, -7]],
        [[1, -1], [9, -1]],
        [[1, -1], [-1.0, -1]],
        [[2, -1], [2, -1], [-1, -1]],
        [[1, 2, 3], [-1] * 3, [-1] * 3, [-1] * 3],
    ],
)
def test_a_refused_tree_is_named_by_its_place_in_the_batch(bad):
    with pytest.raises(ValueError, match="sample 1"):
        tree().plan([ONE, bad, LEAF])


def test_too_many_children_for_the_arity_are_refused_with_the_way_out():
    crowded = [[1, 2, 3], [-1] * 3, [-1] * 3, [-1] * 3]
    with pytest.raises(ValueError, match=r"node 0 has 3 children.*arity is 2.*arity=3, or null"):
        tree().plan([crowded])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"arity": 0}, "'arity' is at least 1, or null for any number, got 0"),
        ({"direction": "sideways"}, "'up' or 'down' or 'both' or 'in_turn', got 'sideways'"),
    ],
)
def test_a_bad_option_of_the_tree_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        tree(**options)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[-1], [5]], "node 1"),
        ([[-1], [-2]], "node 1"),
        ([[1], [0]], "cycle in sample 1, node"),
        ([[-1.0], [0.5]], "node 0"),
    ],
)
def test_a_bad_table_of_any_topology_is_refused_with_sample_and_node(bad, message):
    class Given(sn.Topology):
        def predecessors(self, structure):
            return structure

    class Unordered(Given):
        arity = None

    for topology in (Given(), Unordered()):
        with pytest.raises(ValueError, match="sample 1") as caught:
            topology.plan([[[-1]], bad])
        assert message.split(",")[0] in str(caught.value)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([[0, 1], [1, 0]], "cycle in sample 1, node"),
        ([[1, 1], [1, 0]], "cycle in sample 1, node 1 -> 1"),
        ([[0, 4], [1, 1]], "sample 1, node 1"),
        ([[0, 0], [1, -1]], "sample 1"),
        ([[0.0], [1.0]], "float64.*sample 1"),
    ],
)
def test_bad_edges_are_refused_with_sample_and_node(index, message):
    class Given(AnyDag):
        def predecessors(self, structure):
            return sn.Edges(structure, 2)

    with pytest.raises(ValueError, match=message):
        Given().plan([[[0], [1]], index])


def test_slots_that_do_not_fit_the_arity_are_refused():
    class Narrow(SlottedDag):
        def predecessors(self, structure):
            return super().predecessors(structure)[:, :2]

    with pytest.raises(ValueError, match="sample 0 has 2 predecessor slots, but the topology"):
        Narrow().plan([[[]]])


def test_an_initial_state_belongs_to_its_sample():
    class Seeded(sn.Topology):
        num_initial = 2

        def predecessors(self, structure):
            return [[len(structure) + state] for state in structure]

    (plan,) = Seeded().plan([[1], [0, 1]])
    assert plan.num_initial == 4
    # Rows 1 and 2 are the first sample's states, 3 and 4 the second's.
    assert plan.rows[plan.rank].tolist() == [2, 3, 4]
    with pytest.raises(ValueError, match="index 3 at sample 1, node 0 is out of range"):
        Seeded().plan([[1], [2]])


def test_equal_lengths_give_the_very_same_plans_and_arrays_are_not_kept():
    chain, other = sn.topologies.create("chain"), sn.topologies.create("bichain")
    assert chain.plan([5, 3]) is chain.plan((5, 3))
    assert chain.plan([5, 3]) is not chain.plan([3, 5])
    assert len(other.plan([5, 3])) == 2
    children = np.array([[1, -1], [-1, -1]])
    topology = tree()
    assert topology.plan([children]) is not topology.plan([children])
    children[0] = -1
    assert topology.plan([children])[0].level_sizes == (2,)


def test_a_topology_may_be_a_dataclass():
    @dataclass
    class Skipping(sn.Topology):
        stride: int

        def predecessors(self, structure):
            return [[max(step - self.stride, -1)] for step in range(structure)]

    assert Skipping(2).plan([5])[0].level_sizes == (2, 2, 1)
    assert Skipping(3).plan([5])[0].level_sizes == (3, 2)


def test_a_wrong_structure_is_refused_every_time():
    chain = sn.topologies.create("chain")
    for _ in range(2):
        with pytest.raises(ValueError, match="got length -1"):
            chain.plan([-1])


def test_edge_lists_of_any_whole_numbers_are_planned_side_by_side():
    topology = sn.topologies.create("graph")
    lists = [sn.Edges([[], []], 2), sn.Edges(np.array([[0], [1]], np.uint64), 2)]
    for batch in (lists, lists[::-1], 2 * lists[:1], 2 * lists[1:]):
        (plan,), sizes = topology.plan(batch), [np.shape(one.index)[1] for one in batch]
        assert plan.num_nodes == 4 and plan.num_edges == sum(sizes)
    for index in ([["0"], ["1"]], [0, 1], 3, [[True], [False]]):
        with pytest.raises(ValueError, match=r"^sample 2: index must be (integers|\(2, edges\))"):
            topology.plan([*lists, sn.Edges(index, 2)])


@pytest.mark.parametrize("name", ["chain", "diagonal"])
def test_a_graph_is_refused_where_it_is_no_structure(name):
    data = Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]))
    with pytest.raises(ValueError, match=r"sample 0: .* got a .* Data; take topology 'graph'"):
        sn.topologies.create(name).plan(data)
