"""The model of docs/graphs-many-processes.md: what the page says of it, and what can be counted."""

import re
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import ROOT

import structnet as sn

# The scripts import each other.
sys.path.insert(0, str(ROOT / "docs" / "graphs_many_processes"))
import closures
import model
import picture
import split

PAGE = (ROOT / "docs" / "graphs-many-processes.md").read_text()


def test_the_page_has_what_the_model_prints():
    for line in (*model.crossovers(), *model.steps()):
        assert line in PAGE


def test_the_page_has_what_closures_prints_of_drawn_graphs():
    for reach, edges in closures.drawn().items():
        assert closures.growth(f"drawn, reach {reach or 'anywhere'}", edges) in PAGE
        for ranks in (2, 10, 100):
            assert closures.repeated(reach, ranks, edges) in PAGE


def test_what_was_predicted_of_two_processes_is_the_models():
    rows = re.findall(
        r"^\| ([\d,]+) \| (\d+) \| (\w+) \| [\d.]+; ([\d.]+) \|(.*;.*)\|$", PAGE, re.M
    )
    assert len(rows) == 6
    for nodes, levels, reach, ratio, steps in rows:
        reach = None if reach == "anywhere" else int(reach)
        graph = model.Graph(int(nodes.replace(",", "")), int(levels), reach=reach)
        assert float(ratio) == pytest.approx(model.repeats(graph, 2), abs=0.005)
        expected = [
            model.data_parallel_s(model.HERE, graph, 1),
            model.data_parallel_s(model.HERE, graph, 2),
            model.target_parallel_s(model.HERE, graph, 2),
            model.level_parallel_s(model.HERE_SPLIT, graph, 2),
        ]
        shown = [float(each) / 1e3 for each in re.findall(r"; ([\d.]+)", steps)]
        assert shown == pytest.approx(expected, rel=0.005)


def test_one_rank_neither_repeats_nor_sends():
    for reach in (8, None):
        graph = model.Graph(1e6, 100, reach=reach)
        assert model.repeats(graph, 1) == pytest.approx(1)
        assert model.exchange_s(model.CORE, graph, 1) == model.received(graph, 1) == 0
        assert model.reduce_s(model.CORE, 1) == 0


@pytest.mark.parametrize("ranks", [2, 10, 100])
def test_a_reach_repeats_no_more_than_the_model_has_and_no_reach_just_as_much(ranks):
    for reach, edges in closures.drawn().items():
        *_, counted, expected = map(
            str.strip, closures.repeated(reach, ranks, edges).split("|")[:-1]
        )
        counted, expected = float(counted), float(expected)
        assert counted <= expected * 1.005
        if reach is None:
            assert counted == pytest.approx(expected, rel=0.005)


@pytest.mark.parametrize("ranks", [2, 5])
def test_what_a_rank_receives_of_a_drawn_graph_is_counted(ranks):
    random = np.random.default_rng(0)
    for reach in (10, None):
        levels = split.split(split.draw(1000, 30, reach, random), 1, ranks)
        counted = np.mean([sum(level.receives) for level in levels[1:]])
        graph = model.Graph(30_000, 30, reach=reach)
        expected = model.received(graph, ranks)
        assert counted <= expected * 1.01
        # Of the places within reach on both sides, a node reads three: about half are read.
        assert counted == pytest.approx(expected if reach is None else 0.48 * expected, rel=0.1)


def test_the_cut_of_a_reach_is_counted():
    before = split.draw(1000, 30, 20, np.random.default_rng(0))
    crosses = before // 100 != (np.arange(1000) // 100)[:, None]
    expected = model.cut(model.Graph(30_000, 30, reach=20), 10)
    assert crosses.mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("ranks", [2, 64, 1000])
@pytest.mark.parametrize("reach", [100, None])
def test_levels_of_the_least_width_take_as_long_on_one_rank(ranks, reach):
    width = model.least_width(model.CORE, model.Graph(1e9, 100, reach=reach), ranks)
    # The model splits a level into no less than a node a rank; levels - 1 are exchanged.
    graph = model.Graph(width * 10**6, 10**6, reach=reach)
    apart = model.level_parallel_s(model.CORE, graph, ranks) - model.reduce_s(model.CORE, ranks)
    alone = model.data_parallel_s(model.CORE, graph, 1)
    if width >= ranks:
        assert apart == pytest.approx(alone, rel=1e-4)
    wider = model.Graph(2 * width * 10**6, 10**6, reach=reach)
    assert model.level_parallel_s(model.CORE, wider, ranks) < model.data_parallel_s(
        model.CORE, wider, 1
    )


def test_at_the_most_levels_targets_and_split_levels_take_as_long():
    machine = replace(model.CORE, latency_s=1e-3)
    graph = model.Graph(1e9, 100, reach=50)
    levels = model.most_levels(machine, graph, 10)
    assert levels > 10
    for factor in (0.5, 2.0):
        depth = round(factor * levels)
        graph = model.Graph(1e6 * depth, depth, reach=50)
        target = model.target_parallel_s(machine, graph, 10)
        assert (target < model.level_parallel_s(machine, graph, 10)) == (factor < 1)


def test_a_loader_holds_what_the_model_has_of_edges_and_nodes():
    edges = split.edges_of(split.draw(100, 10, None, np.random.default_rng(0)))
    loader = sn.node_loader(
        edges, np.zeros((1000, 1)), np.zeros(1000), sn.topologies.create("graph")
    )
    held = [*vars(loader.graph).values(), *vars(loader.reads).values()]
    count = np.shape(edges.index)[1]
    expected = model.LOADED_EDGE * count + model.LOADED_NODE * edges.num_nodes
    assert sum(array.nbytes for array in held) == expected


class Threads:
    """An all-to-all between threads, one a rank, in place of torch.distributed's."""

    def __init__(self, ranks):
        self.ranks, self.rows = ranks, {}
        self.barrier, self.of = threading.Barrier(ranks), threading.local()

    def all_to_all_single(self, out, rows, receives, sends):
        self.rows[self.of.rank] = rows.split(sends)
        self.barrier.wait(60)
        out.copy_(torch.cat([self.rows[other][self.of.rank] for other in range(self.ranks)]))
        assert [len(self.rows[other][self.of.rank]) for other in range(self.ranks)] == receives
        self.barrier.wait(60)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("reach", [2, None])
def test_split_levels_give_the_states_and_gradients_of_one_layer(monkeypatch, ranks, reach):
    width, depth = 16, 5
    before = split.draw(width, depth, reach, np.random.default_rng(0))
    layer = sn.Recurrence("graph", "gru", 3, 4, dtype=torch.float64)
    x, to = (torch.randn(depth, width, size, dtype=torch.float64) for size in (3, 4))
    whole = layer(x.flatten(0, 1), layer.topology.plan([split.edges_of(before)])).view(to.shape)
    weights = [weight for weight in layer.parameters() if weight.numel()]
    expected = torch.autograd.grad((whole * to).sum(), weights)
    threads, found = Threads(ranks), {}
    monkeypatch.setattr(split, "dist", threads)

    def work(rank):
        threads.of.rank, block = rank, slice(rank * width // ranks, (rank + 1) * width // ranks)
        shares = split.split(before, rank, ranks)
        h = split.sweep(layer, x[:, block].flatten(0, 1), shares).view(depth, -1, 4)
        assert torch.allclose(h, whole[:, block], rtol=0, atol=1e-12)
        found[rank] = torch.autograd.grad((h * to[:, block]).sum(), weights)

    workers = [threading.Thread(target=work, args=(rank,)) for rank in range(ranks)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == ranks
    for index, grad in enumerate(expected):
        total = torch.stack([found[rank][index] for rank in found]).sum(0)
        assert torch.allclose(total, grad, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("machine", "nodes", "levels", "reach", "way"),
    [
        ("core", 1e5, 10_000, 100, 0),
        ("core", 1e9, 5, 100, 1),
        ("accelerator", 1e5, 5, None, 2),
        ("core", 1e9, 1000, None, 3),
    ],
)
def test_the_map_shows_what_takes_least(machine, nodes, levels, reach, way):
    graph = model.Graph(nodes, levels, reach=reach)
    assert picture.best(model.MACHINES[machine], graph) == way
