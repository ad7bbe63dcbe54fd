"""Nets and components from Python: by name, and what is missing or not read is said by name."""

from functools import partial

import numpy as np
import pytest
import torch
from conftest import assert_same

import structnet as sn

SIZES = sn.Sizes(None, 3, 2)
SMALL = {"hidden_size": 4, "dropout": 0.0}


def batch(topology, **more):
    samples = [
        sn.Sample([[1, -1], [-1, -1]], np.ones((2, 3), np.float32), 1, **more) for _ in range(2)
    ]
    return sn.collate(samples, topology)


def test_a_net_takes_names_as_a_recurrence_does():
    net = sn.Net(SIZES, "tree", "lstm", "root", **SMALL)
    topology = sn.topologies.create("tree")
    made = partial(sn.cells.create, "lstm"), partial(sn.readouts.create, "root")
    other = sn.Net(SIZES, topology, *made, **SMALL)
    other.load_state_dict(net.state_dict())
    assert_same(net(batch(topology)), other(batch(topology)))
    for names, message in (
        (("treee", "lstm", "root"), "no topology 'treee'.*did you mean 'tree'"),
        (("tree", "lstmm", "root"), "no cell 'lstmm'.*did you mean 'lstm'"),
        (("tree", "lstm", "rooot"), "no readout 'rooot'.*did you mean 'root'"),
    ):
        with pytest.raises(KeyError, match=message):
            sn.Net(SIZES, *names)


@pytest.mark.parametrize(
    ("wired", "options", "message"),
    [
        ((), {}, r"\(input_size, hidden_size, arity\); input_size, hidden_size, arity are miss"),
        ((3, 4), {}, "arity is missing"),
        ((), {"input_size": 3}, "cell 'lstm' takes the arguments"),
        ((3, 4, 1), {"peep": True}, "no option 'peep'"),
    ],
)
def test_a_cell_says_which_sizes_are_missing(wired, options, message):
    with pytest.raises(ValueError, match=message):
        sn.cells.create("lstm", *wired, **options)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        (sn.Sizes(None, 3, 2, condition=("a", "b")), r"a condition, \('a', 'b'\), .* 'pixelrnn'"),
    ],
)
def test_a_net_refuses_what_it_would_not_read_of_a_task(sizes, message):
    with pytest.raises(ValueError, match=message):
        sn.Net(sizes, "tree", "lstm", "root")


def test_a_net_refuses_what_it_would_not_read_of_a_batch():
    net = sn.Net(SIZES, "tree", "lstm", "root", **SMALL)
    with pytest.raises(
        ValueError, match="samples have a condition, and the task does not say its size"
    ):
        net(batch(net.layers[0].topology, condition=1))
    index, x = np.array([[0], [1]]), np.ones((2, 3), np.float32)
    sample = sn.Sample(sn.Edges(index, 2), x, 1, edge_x=np.ones((1, 2), np.float32))
    for edges in (True, False):
        net = sn.Net(SIZES, "graph", "lstm", "root", edges=edges, **SMALL)
        given = sn.collate([sample], net.layers[0].topology)
        if edges:
            with pytest.raises(ValueError, match=r"edge_x of 2 features.*net.edges=false"):
                net(given)
        else:
            assert torch.isfinite(net(given)).all()
