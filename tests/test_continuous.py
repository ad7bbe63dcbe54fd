"""Continuous batching gives the numbers of a net on a batch, whenever samples arrive."""

import numpy as np
import pytest
import torch
from conftest import SEEDS, STRUCTURES, every_cell, every_kind, every_topology, randomise
from hypothesis import given, settings
from hypothesis import strategies as st

import structnet as sn
from structnet.data.batch import Sample, collate
from structnet.nn.sizes import Sizes
from structnet.serving.continuous import Continuous, why_not
from structnet.serving.cut import cut_plan, sample_heights

INPUT, CLASSES, EDGE = 3, 4, 2


def net_of(topology, cell="lstm", readout="root", hidden_size=3, edge_size=None, **options):
    name, given = cell if isinstance(cell, tuple) else (cell, {})
    sizes = Sizes(None, INPUT, CLASSES, edge_size=edge_size)
    make = lambda *of: sn.cells.create(name, *of, **given)  # noqa: E731
    # Topologies with an initial state per node take one layer.
    options.setdefault("num_layers", 1 if topology.num_initial is None else 2)
    net = sn.nets.create(
        "stack", sizes, topology, make, readout, hidden_size=hidden_size, **options
    )
    return randomise(net.double().eval())


def samples_of(topology, structures, seed, edge_size=None):
    draw = np.random.default_rng(seed)
    found = []
    for structure in structures:
        plan = topology.plan([structure])[0]
        edge_x = None if edge_size is None else draw.normal(size=(plan.num_edges, edge_size))
        x = draw.normal(size=(plan.num_nodes, INPUT))
        found.append(Sample(structure, x, 0, edge_x=edge_x))
    return found


def served(net, topology, samples, arrivals):
    """The outputs of samples that arrive before the turns given, each by itself."""
    engine, found, turn = Continuous(net, topology, rows=2), {}, 0
    while len(found) < len(samples):
        if some := [i for i, at in enumerate(arrivals) if at == turn]:
            engine.admit([samples[i] for i in some], some)
        for part in engine.turn():
            rows = scores = engine.scores(part)
            if len(scores) != len(part.members):
                rows = scores.split(part.batch.ptr.diff().tolist())
            found.update(zip(part.members, rows, strict=True))
        turn += 1
    assert engine.num_nodes == 0 and not engine.parts
    return [found[i] for i in range(len(samples))]


def assert_served(net, topology, samples, arrivals):
    batch = collate(samples, topology)
    with torch.no_grad():
        expected = net(batch)
    found = served(net, topology, samples, arrivals)
    found = torch.cat([one.reshape(-1, CLASSES) for one in found])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def check_drawn(net, topology, examples, edge_size=None):
    """Compare on drawn structures, which arrive at drawn turns."""

    @settings(max_examples=examples)
    @given(st.lists(STRUCTURES[topology.takes](topology), min_size=2, max_size=5), SEEDS)
    def check(structures, seed):
        samples = samples_of(topology, structures, seed, edge_size)
        arrivals = np.random.default_rng(seed).integers(0, 5, len(samples))
        assert_served(net, topology, samples, arrivals)

    check()


ALL = [
    pytest.param(sn.topologies.create(name, **options), id=name)
    for name, options in (("bichain", {}), ("tree", {}), ("graph", {"direction": "both"}))
]


@pytest.mark.parametrize("topology", ALL)
@every_cell
def test_every_cell_is_the_net_on_a_batch(topology, cell):
    try:
        net = net_of(topology, cell)
    except ValueError as error:
        pytest.skip(str(error)[:80])
    check_drawn(net, topology, examples=2)


@every_topology
def test_every_topology_is_the_net_on_a_batch(topology):
    check_drawn(net_of(topology), topology, examples=3)


STACKS = [
    {"skip": "residual"},
    {"skip": "highway"},
    {"skip": "dense"},
    {"skip": "input"},
    {"num_layers": 3},
    {"zoneout": 0.2},
    {"after": "gcn", "before": "sage"},
    {"readout": "every"},
    {"readout": "attention"},
    {"readout": "mean"},
    {"executor": "reference"},
]


@pytest.mark.parametrize("options", STACKS, ids=str)
@every_kind
def test_every_kind_of_stack_is_the_net_on_a_batch(topology, options):
    try:
        net = net_of(topology, **options)
    except (ValueError, NotImplementedError) as error:
        pytest.skip(str(error)[:80])
    if why_not(net) is not None:
        assert topology.num_initial is None
        return

    check_drawn(net, topology, examples=2)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_features_of_edges_are_read(num_layers):
    topology = sn.topologies.create("any_dag")
    net = net_of(topology, edge_size=EDGE, num_layers=num_layers)
    check_drawn(net, topology, examples=5, edge_size=EDGE)


def test_directions_that_read_those_before_run_after_them():
    topology = sn.topologies.create("tree", direction="in_turn")
    check_drawn(net_of(topology), topology, examples=5)


def test_samples_without_nodes_are_done_at_once():
    topology = sn.topologies.create("any_dag")
    samples = samples_of(topology, [[[], [0]], [], [[]], []], seed=0)
    assert_served(net_of(topology), topology, samples, [0, 0, 1, 2])


def test_short_samples_leave_before_long_ones_that_came_first():
    topology = sn.topologies.create("chain")
    engine = Continuous(net_of(topology, num_layers=1), topology)
    engine.admit(samples_of(topology, [9], seed=0), ["long"])
    order = [part.members for part in engine.turn()]
    engine.admit(samples_of(topology, [2, 4], seed=1), ["short", "middle"])
    turns = 0
    while engine.parts:
        turns += 1
        order += [(turns, *part.members) for part in engine.turn()]
    assert order == [(2, "short"), (4, "middle"), (8, "long")]


def test_all_that_is_ready_is_one_call_of_the_cell():
    topology = sn.topologies.create("chain")
    net, sizes = net_of(topology, num_layers=1), []
    net.layers[0].cells[0].register_forward_hook(
        lambda cell, given, out: sizes.append(len(given[0]))
    )
    engine = Continuous(net, topology)
    engine.admit(samples_of(topology, [3, 3], seed=0), "ab")
    engine.turn()
    engine.admit(samples_of(topology, [3], seed=1), "c")
    engine.turn()
    engine.turn()
    # Nodes that read nothing are a call of their own, without products.
    assert sorted(sizes) == [1, 2, 2, 3]


def test_what_does_not_fit_changes_nothing():
    topology = sn.topologies.create("chain")
    engine = Continuous(net_of(topology), topology)
    good = samples_of(topology, [2], seed=0)
    with pytest.raises(ValueError, match="input for 2 nodes"):
        engine.admit([Sample(3, good[0].x, 0)], ["bad"])
    assert not engine.parts and engine.num_nodes == 0


def test_nets_that_are_not_batched_continuously_say_why():
    tree = sn.topologies.create("tree", direction="both")
    assert "apart" in str(why_not(net_of(tree, apart=True)))
    graph = sn.topologies.create("ordered_graph")
    assert "layers start from" in str(why_not(net_of(graph, num_layers=2)))
    assert why_not(net_of(graph, num_layers=1)) is None
    assert "not made of a stack" in str(why_not(torch.nn.Linear(1, 1)))


@every_topology
def test_a_cut_plan_is_the_plan_of_the_samples(topology):
    @settings(max_examples=3)
    @given(st.lists(STRUCTURES[topology.takes](topology), min_size=2, max_size=5), SEEDS)
    def check(structures, seed):
        chosen = np.random.default_rng(seed).permutation(len(structures))[:2]
        chosen.sort()
        wanted = topology.plan([structures[i] for i in chosen])
        for whole, plan in zip(topology.plan(structures), wanted, strict=True):
            found = cut_plan(whole, chosen)
            assert sample_heights(found).max() == len(plan.levels) - 1
            assert found.levels == plan.levels and found.steps == plan.steps
            for name in ("order", "rank", "sinks", "ptr"):
                assert torch.equal(getattr(found, name), getattr(plan, name)), name
            before = plan.rows - plan.first_row
            assert torch.equal(found.rows, (before + 1).where(before >= 0, 0))
            present = found.counts is None or plan.counts is None
            assert present or torch.equal(found.counts, plan.counts)

    check()
