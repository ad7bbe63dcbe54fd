"""Slots that are never there: their weights change nothing, and what is left is a smaller cell."""

import numpy as np
import pytest
import torch
from conftest import assert_same, create_cells, everything, features, randomise, recurrence

import structnet as sn

# Cells that make means, maxima or shares of their predecessors, and one that does not.
SHARING = [("mingru", {}), ("minlstm", {}), ("fo", {}), ("sru", {"peephole": True}), ("ssm", {}),
           ("ssm", {"selective": False}), ("lstm", {"coupled": True}), ("graph_lstm", {}),
           ("mean_of_present", {}), ("lstm", {})]  # fmt: skip
WAYS = [("compiled", {}), ("auto", {"save": "windows"}), ("auto", {"truncate": 2}),
        ("batched", {"zoneout": 0.4}), ("compiled", {"zoneout": 0.4})]  # fmt: skip
every_way = pytest.mark.parametrize(
    ("executor", "options"), WAYS, ids=lambda way: way if isinstance(way, str) else "-".join(way)
)


def slotted_cells():
    """The cells, in all variants, that run on ordered slots."""
    for case in create_cells():
        name, options = case.values[0]
        if options.get("own") or (name, options.get("aggregate", "sum")) not in (
            (name, "sum"), ("graph_lstm", "mean"),
        ):  # fmt: skip
            continue
        yield case


every_slotted_cell = pytest.mark.parametrize("cell", list(slotted_cells()))


@sn.cells.register("mean_of_present")
class MeanOfPresent(sn.Cell):
    """A cell of a user's: h = tanh(W x + sum_k U_k h_k) + mean h_k + max h_k, of those present."""

    node_gates = ("u",)

    def forward(self, z, h):
        (u,), () = self.gates(z, h)
        return u.tanh() + self.mean(h) + h.where(self.present(h), -torch.inf).amax(1)


def test_means_are_of_the_predecessors_that_are_there():
    cell = MeanOfPresent(1, 2, 3)
    h = torch.randn(4, 3, 2)
    assert_same(cell.mean(h), h.mean(1))
    assert cell.present(h).all()
    layer = recurrence(sn.topologies.create("tree", arity=3), "mean_of_present", 1, 2)
    torch.nn.init.zeros_(layer.cells[0].recurrent)
    plans = layer.topology.plan([[[-1, 1, 2], [-1, -1, -1], [-1, -1, -1]]])
    x = features(plans, 1)
    root, *leaves = layer(x, plans)
    own = torch.tanh(layer.cells[0].input(x[0]))
    assert_same(root, own + sum(leaves) / 2 + torch.maximum(*leaves))
    assert_same(torch.stack(leaves), torch.tanh(layer.cells[0].input(x[1:])))


def used(layer, plans):
    """Name -> the entries of every parameter that have a say in an output or state."""
    # A unit of relu may be off for some weights.
    seeds = range(8 if getattr(layer.cells[0], "nonlinearity", None) == "relu" else 1)
    runs = [everything(randomise(layer, seed), features(plans), plans) for seed in seeds]
    return {
        name: sum(run[f"gradient of {name}"] != 0 for run in runs) > 0
        for name, _ in layer.named_parameters()
    }


def assert_alike(cell, topologies, structures, executors=("reference", "batched"), **options):
    """A cell on slots of which some are never there, and the smaller one without them."""
    (name, own), train = cell, "truncate" in options

    def made(*sizes):
        return sn.cells.create(name, *sizes, **own)

    large, small, other = (
        sn.Recurrence(topology, made, 3, 2, **options).double().train(train)
        for topology in (*topologies, topologies[0])
    )
    plans = [topology.plan(some) for topology, some in zip(topologies, structures, strict=True)]
    of_large, of_small = used(large, plans[0]), used(small, plans[1])
    mine, others = (dict(layer.named_parameters()) for layer in (large, randomise(other, 9)))
    for one, parameter in small.named_parameters():
        assert of_large[one].sum() == of_small[one].sum(), f"{one} of slots that are not there"
        with torch.no_grad():
            parameter[of_small[one]] = mine[one][of_large[one]]
    expected = everything(small, features(plans[1]), plans[1], executor="reference")
    for one, mask in of_small.items():
        expected[f"gradient of {one}"] = expected[f"gradient of {one}"][mask]
    for executor in executors:
        found = everything(large, features(plans[0]), plans[0], executor=executor)
        for one, mask in of_large.items():
            found[f"gradient of {one}"] = found[f"gradient of {one}"][mask]
        assert_same(found, expected, 1e-11)
        with torch.no_grad():
            for one, mask in of_large.items():
                mine[one][~mask] = others[one][~mask]


@pytest.mark.parametrize(
    ("name", "options", "structure", "slot"),
    [
        ("diagonal", {}, (1, 4), 0),
        ("diagonal", {}, (4, 1), 1),
        ("row", {}, (4, 1), 1),
        ("tree", {"arity": 3}, [[-1, -1, 1], [-1, -1, 2], [-1, -1, 3], [-1, -1, -1]], 2),
    ],
)
@every_slotted_cell
def test_a_chain_through_one_slot_is_a_chain(cell, name, options, structure, slot):
    if cell[1].get("forget") == 0 and slot:
        pytest.skip("PixelRNN carries memory from one slot only, whatever is there")
    topology, chain = sn.topologies.create(name, **options), sn.topologies.create("chain")
    if name == "tree":
        chain = sn.topologies.create("tree", arity=1)
        small = [[slots[-1:] for slots in structure]]
    else:
        small = [4]
    assert_alike(cell, (topology, chain), ([structure], small))


# The middle slot is never there; trees of one node, of a node with one child, and of more.
TREES = [
    [[-1, -1, 1], [-1, -1, -1]],
    [[1, -1, 2], [3, -1, -1], [-1, -1, 4], [-1, -1, -1], [-1, -1, -1]],
    [[-1, -1, -1]],
    [[1, -1, -1], [-1, -1, 2], [-1, -1, -1]],
]
SMALLER = [[[row[0], row[2]] for row in tree] for tree in TREES]


@every_slotted_cell
def test_trees_that_leave_a_slot_empty_are_trees_without_it(cell):
    pair = [sn.topologies.create("tree", arity=arity) for arity in (3, 2)]
    assert_alike(cell, pair, (TREES, SMALLER))


@every_way
@pytest.mark.parametrize("cell", SHARING, ids=lambda cell: "-".join([cell[0], *cell[1]]))
def test_every_way_to_run_counts_the_same_slots(cell, executor, options, traced):
    pair = [sn.topologies.create("tree", arity=arity) for arity in (3, 2)]
    assert_alike(cell, pair, (TREES, SMALLER), [executor], **options)


@pytest.mark.parametrize("aggregate", ["mean", "max", "attention"])
@pytest.mark.parametrize("executor", ["reference", "batched", "compiled"])
def test_an_aggregate_of_a_table_leaves_absent_slots_out(aggregate, executor, traced):
    """Slots without order, given as a table: -1 is nobody, wherever it stands."""
    layer = recurrence(sn.topologies.create("graph"), "gru", aggregate=aggregate)
    table = np.array([[-1, -1, -1], [0, -1, -1], [-1, 0, 1], [2, 1, 0]])
    index = [(before, node) for node, row in enumerate(table) for before in row if before >= 0]
    plans = [[sn.schedule(table)], [sn.schedule(np.array(index).T, num_nodes=4)]]
    x = features(plans[0])
    found, expected = (everything(layer, x, one, executor=executor) for one in plans)
    assert_same(found, expected)


def test_a_plan_says_which_slots_count():
    """A predecessor does, and of a node without any the first slot that its sample fills."""
    none, left, right = [-1, -1], [0, -1], [-1, 0]
    for table, expected in (
        ([none, left], [[1, 0], [1, 0]]),
        ([none, right], [[0, 1], [0, 1]]),
        ([none, right, [1, -1]], [[1, 0], [0, 1], [1, 0]]),
        ([none], [[1, 0]]),
    ):
        plan = sn.schedule(table)
        assert plan.present.view(-1, 2)[plan.rank].tolist() == expected, table
    assert sn.schedule([[-1], [0]]).present is None
    assert sn.schedule([[0], [1]], num_nodes=2).present is None


def test_which_slots_count_is_a_matter_of_the_sample():
    topology = sn.topologies.create("tree")
    alone = [topology.plan([one])[0] for one in ([[-1, 1], [-1, -1]], [[1, -1], [-1, -1]])]
    together = topology.plan([[[-1, 1], [-1, -1]], [[1, -1], [-1, -1]]])[0]
    by_node = [plan.present.view(-1, 2)[plan.rank] for plan in (*alone, together)]
    assert torch.equal(torch.cat(by_node[:2]), by_node[2])
    moved = together.to("cpu")
    assert torch.equal(moved.present, together.present)
