"""Continuous batching gives the numbers of a net on a batch, whenever samples arrive."""

import numpy as np
import pytest
import torch
from conftest import SEEDS, STRUCTURES, create_cells, every_kind, pairs, randomise
from hypothesis import given, settings
from hypothesis import strategies as st

import structnet as sn
from structnet.data.batch import Sample, collate
from structnet.nn.sizes import Sizes
from structnet.serving.continuous import Continuous, why_not

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
        for part, scores in engine.turn():
            rows = scores
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


@pairs("cell", create_cells())
def test_every_cell_on_every_topology_is_the_net_on_a_batch(topology, cell):
    try:
        net = net_of(topology, cell)
    except ValueError as error:
        pytest.skip(str(error)[:80])

    @settings(max_examples=4)
    @given(st.lists(STRUCTURES[topology.takes](topology), min_size=1, max_size=5), SEEDS)
    def check(structures, seed):
        samples = samples_of(topology, structures, seed)
        arrivals = np.random.default_rng(seed).integers(0, 6, len(samples))
        assert_served(net, topology, samples, arrivals)

    check()


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

    @settings(max_examples=3)
    @given(st.lists(STRUCTURES[topology.takes](topology), min_size=1, max_size=5), SEEDS)
    def check(structures, seed):
        arrivals = np.random.default_rng(seed).integers(0, 5, len(structures))
        assert_served(net, topology, samples_of(topology, structures, seed), arrivals)

    check()
