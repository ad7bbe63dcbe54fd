"""Rivers, beside what the equations of their routing give."""

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.graph.basin import Basin, draw_basin, draw_inflow

GRAPH = sn.topologies.create("graph")
SMALL = {"basins": 8, "sources": 4, "hours": 3, "window": 6}


def create(topology=GRAPH, **options):
    task = sn.tasks.create("river", **(SMALL | options))
    return task, task.keep(task.load(topology))


def stepped(basin, inflow):
    """The discharge, hour by hour and reach by reach, in the units of inflow times area."""
    flow = np.zeros_like(inflow)
    for t in range(inflow.shape[1]):
        for reach in reversed(range(len(flow))):
            upstream = np.flatnonzero(basin.below == reach)
            into = inflow[reach, t] * basin.area[reach] + flow[upstream, t].sum()
            a = np.exp(-1 / basin.storage[reach])
            before = flow[reach, t - 1] if t else into
            flow[reach, t] = a * before + (1 - a) * into
    return flow


def test_a_reach_is_a_linear_reservoir():
    random = np.random.default_rng(0)
    basin = draw_basin(5, random)
    inflow = random.random((9, 20))
    expected = stepped(basin, inflow) / basin.drained[:, None]
    assert np.allclose(basin.route(inflow), expected)


def test_no_water_is_lost():
    random = np.random.default_rng(1)
    basin = draw_basin(6, random)
    inflow = np.zeros((11, 2000))
    inflow[:, 1:20] = random.random((11, 19))
    out = basin.route(inflow)[0].sum() * basin.area.sum()
    assert out == pytest.approx((inflow * basin.area[:, None]).sum())


def test_what_drains_is_added_up_downstream():
    basin = Basin(np.array([-1, 0, 0, 1]), np.ones(4), np.ones(4), np.array([1.0, 2, 3, 4]))
    assert basin.drained.tolist() == [10, 6, 3, 4]
    upstream = basin.upstream(np.array([[10.0], [0], [0], [5]]))
    assert upstream[:, 0].tolist() == [3, 20 / 6, 0, 5]


def test_networks_are_drawn_as_often_as_each_other():
    random, seen = np.random.default_rng(0), []
    for _ in range(600):
        below = draw_basin(4, random).below
        assert len(below) == 7 and below[0] == -1 and (below[1:] < np.arange(1, 7)).all()
        count = np.bincount(below[1:], minlength=7)
        assert set(count.tolist()) == {0, 2}
        children = np.flatnonzero(below == 0)
        seen.append((count[children] > 0).all())
    # Of the five networks of four sources one has a fork on either side (Shreve 1966).
    assert abs(np.mean(seen) - 1 / 5) < 0.05


def test_storms_come_and_the_rivers_never_fall_dry():
    random = np.random.default_rng(0)
    inflow = draw_inflow(draw_basin(5, random), 400, random)
    assert inflow.shape == (9, 400)
    assert inflow.min() > 0 and inflow.max() > 10 * np.median(inflow)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_a_sample_is_a_basin_at_an_hour(noise):
    task, splits = create(noise=noise)
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 24, "validation": 3, "test": 3
    }  # fmt: skip
    record, sample = task.loaded.source["test"][0], splits["test"][1]
    hour, basin = record.hours[1], record.basin
    assert sample.x.shape == (7, task.input_size) and sample.x.dtype == np.float32
    assert np.allclose(sample.x[:, :6], record.inflow[:, hour - 5 : hour + 1])
    below = np.append(basin.drained, basin.drained[0])[basin.below]
    expected = [np.log(basin.length), np.log(basin.slope), basin.area / basin.drained,
                basin.drained / below]  # fmt: skip
    assert np.allclose(sample.x[:, 6:], np.stack(expected, axis=1), atol=1e-6)
    assert sample.x[0, -1] == 1 and sample.y.dtype == np.float32
    assert np.allclose(sample.y, record.measured[:, hour])
    error = np.log(record.measured / record.discharge)
    assert error.std() == pytest.approx(noise, rel=0.05)


def test_water_flows_down_graph_and_tree_alike():
    torch.manual_seed(0)
    layer = sn.Recurrence(GRAPH, "lstm", input_size=10, hidden_size=4)
    outputs = []
    for topology in (GRAPH, sn.topologies.create("tree", arity=None)):
        _, splits = create(topology)
        batch = collate(splits["test"], topology)
        outputs.append(layer(batch.x, batch.plans))
    assert torch.allclose(*outputs, atol=1e-6)
    tree = sn.topologies.create("tree")
    _, splits = create(tree, sources=1)
    assert splits["test"][0].structure.tolist() == [[-1, -1]]
    with pytest.raises(ValueError, match="trees of arity 2 or null"):
        sn.tasks.create("river").check(sn.topologies.create("tree", arity=3))


def test_the_efficiency_is_that_of_nash_and_sutcliffe():
    task, splits = create()
    batch = collate(splits["test"], GRAPH)
    output = torch.randn(batch.num_nodes, 1)
    metric = task.metrics()["nse"]
    metric.update(*task.measured(output, batch)["nse"])
    simulated, y = task.values(output), batch.y
    expected = 1 - (y - simulated).square().sum() / (y - y.mean()).square().sum()
    assert metric.compute().item() == pytest.approx(expected.item(), rel=1e-4)
    assert (task.monitor, task.mode, task.readout(GRAPH)) == ("nse", "max", "every")


def test_the_routing_is_the_best_there_is():
    task, _ = create(basins=40, hours=10)
    found = task.baselines()
    assert set(found) == {"own inflow", "inflow upstream", *task.bounds}
    assert found["own inflow"]["nse"] < found["inflow upstream"]["nse"] < found["routing"]["nse"]
    assert 0.98 < found["routing"]["nse"] < 1
    exact, _ = create(noise=0.0)
    assert exact.baselines()["routing"]["nse"] == pytest.approx(1)


def test_rivers_are_the_same_every_time():
    (_, one), (_, other) = create(), create()
    for split in one:
        for a, b in zip(one[split], other[split], strict=True):
            assert np.array_equal(a.x, b.x) and np.array_equal(a.y, b.y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"basins": 0}, "'basins' is at least 1, got 0"),
        ({"window": 0}, "'window' is at least 1, got 0"),
        ({"hours": 501}, "'hours' is at most 500, got 501"),
        ({"noise": -0.1}, "'noise' is at least 0, got -0.1"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create("river", **options)
