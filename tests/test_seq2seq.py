"""Encoder and decoder: samples of several structures, attention, writing, and generated tasks."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import call, refused
from conftest import every_topology, randomise
from test_decoding import Table
from torch.nn import functional as F

import structnet as sn
from structnet.plugins.sequence.generation.beams import beam_search, search_between
from structnet.plugins.sequence.language.sampling import mixed
from structnet.plugins.sequence.tasks.transduce import ranges
from structnet.plugins.sequence.translation.attention import Attention

CHAIN = sn.topologies.create("chain")
WORDS = sn.Vocabulary({"a": 3, "b": 2, "c": 1})
# The sizes of sources and targets.
SIZES = [(3, 2), (1, 4), (5, 1), (2, 4)]
CLASSES = 6


def tokens(ids):
    return sn.Tokens(np.asarray(ids, np.int64), np.arange(len(ids) + 1))


def sample(structure, nodes, steps, draw):
    x, y = draw.integers(0, 4, nodes), draw.integers(0, CLASSES, (2, steps))
    target = sn.Sample(steps, tokens(y[0]), y[1], topology=CHAIN)
    return sn.Sample(structure, tokens(x), sn.IGNORE, parts=(target,))


def samples(sizes=SIZES):
    draw = np.random.default_rng(0)
    return [sample(nodes, nodes, steps, draw) for nodes, steps in sizes]


def build(topology="bichain", cell="gru", readout="root", head="softmax", **options):
    torch.manual_seed(0)
    sizes = sn.Sizes(WORDS, None, CLASSES, parts=("target",))
    on = sn.topologies.create(topology) if isinstance(topology, str) else topology
    sized = {"hidden_size": 4, "embedding_size": 3} | options
    score = functools.partial(sn.heads.create, head)
    net = sn.nets.create("seq2seq", sizes, on, cell, readout, score, **sized)
    return randomise(net.double()).eval(), on


# Samples of several structures


def test_parts_are_batches_of_their_own():
    some = samples()
    batch = sn.collate(some, sn.topologies.create("bichain"))
    (target,) = batch.parts
    assert len(batch.plans) == 2 and len(target.plans) == 1
    assert target.ptr.diff().tolist() == [2, 4, 1, 4] and batch.ptr.diff().tolist() == [3, 1, 5, 2]
    expected = torch.from_numpy(np.concatenate([one.parts[0].y for one in some]))
    assert torch.equal(target.y, expected)
    assert batch.total_nodes == sum(one.total_nodes for one in some) == 11 + 11
    moved = batch.in_one_piece()
    assert torch.equal(moved.parts[0].y, expected)
    storages = {one.untyped_storage().data_ptr() for one in (moved.x.ids, moved.parts[0].x.ids)}
    assert len(storages) == 1
    doubled = batch.map(lambda tensor: tensor * 2)
    assert torch.equal(doubled.parts[0].y, 2 * expected)


def test_a_part_without_a_topology_is_planned_by_the_batchs():
    trees = [np.array([[1, 2], [-1, -1], [-1, -1]]), np.array([[-1, -1]])]
    tree = sn.topologies.create("tree")
    one, other = (sn.Sample(some, tokens([0] * len(some)), 0) for some in trees)
    pair = sn.Sample(trees[0], one.x, 0, parts=(other, one))
    batch = sn.collate([pair, pair], tree)
    assert [part.num_nodes for part in batch.parts] == [2, 6]
    assert torch.equal(batch.parts[1].plans[0].order, batch.plans[0].order)


def test_samples_with_different_parts_are_refused():
    some = samples()
    alone = sn.Sample(2, tokens([0, 0]), 0)
    with pytest.raises(ValueError, match=r"have \[0, 1\] parts: give all as many"):
        sn.collate([*some, alone], CHAIN)
    wrong = sn.Sample(3, tokens([0, 0]), 0)
    with pytest.raises(ValueError, match="input for 2 nodes, its structure has 3"):
        sn.collate([sn.Sample(2, tokens([0, 0]), 0, parts=(wrong,))], CHAIN)


def test_batches_are_cut_by_the_nodes_of_all_parts():
    some = samples([(2, 8), (8, 2), (5, 5)])
    batches = [*sn.loader(some, CHAIN, batch_nodes=20)]
    assert sorted(batch.total_nodes for batch in batches) == [10, 20]


def test_nets_that_read_no_parts_refuse_them():
    sizes = sn.Sizes(WORDS, None, CLASSES, parts=("target",))
    with pytest.raises(ValueError, match=r"further structures, \['target'\], .* 'seq2seq'"):
        sn.Net(sizes, CHAIN, "gru", "root")
    net = sn.Net(sn.Sizes(WORDS, None, 2), CHAIN, "gru", "root")
    with pytest.raises(ValueError, match="1 further structures in `parts`"):
        net(sn.collate(samples(), CHAIN))
    with pytest.raises(ValueError, match="take a task that does, such as task=translation"):
        sn.nets.create("seq2seq", sn.Sizes(WORDS, None, 2), CHAIN, "gru", "root", None)


# Attention


def by_definition(attention, steps, states):
    """The means (T, V) of one source's states (S, V), node by node, and the weights (H, T, S)."""
    heads = attention.heads
    rows, every = [], []
    for step in steps:
        query = attention.query(step).view(heads, -1)
        means, shares = [], []
        for head in range(heads):
            scores = []
            for state in states:
                key = attention.key(state).view(heads, -1)[head]
                if attention.kind == "dot":
                    scores.append(query[head] @ key)
                else:
                    scores.append(attention.direction[head] @ (query[head] + key).tanh())
            share = torch.stack(scores).softmax(0)
            values = torch.stack([attention.value(state).view(heads, -1)[head] for state in states])
            means.append(share @ values)
            shares.append(share)
        rows.append(torch.cat(means))
        every.append(torch.stack(shares))
    return torch.stack(rows), torch.stack(every, 1)


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("kind", ["dot", "additive"])
def test_attention_is_its_definition_and_so_are_its_gradients(kind, heads):
    torch.manual_seed(0)
    attention = Attention(4, 6, kind, heads).double()
    sizes = [3, 1, 4]
    ptr = torch.tensor([0, *np.cumsum(sizes)])
    states = torch.randn(8, 6, dtype=torch.float64, requires_grad=True)
    steps = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    means, weights = attention(steps, attention.remember(states, ptr))
    parts = [
        by_definition(attention, some, part)
        for some, part in zip(steps, states.split(sizes), strict=True)
    ]
    expected = torch.stack([one for one, _ in parts])
    torch.testing.assert_close(means, expected, rtol=0, atol=1e-12)
    for found, (_, wanted), size in zip(weights, parts, sizes, strict=True):
        torch.testing.assert_close(found[..., :size], wanted, rtol=0, atol=1e-12)
        assert (found[..., size:] == 0).all()
    inputs = [states, steps, *attention.parameters()]
    other = torch.randn_like(means)
    for found, wanted in zip(
        torch.autograd.grad((means * other).sum(), inputs),
        torch.autograd.grad((expected * other).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_heads_divide_the_sizes():
    with pytest.raises(ValueError, match=r"'heads' divides .* decoder's states, 4, .* 6, got 4"):
        Attention(4, 6, "dot", 4)


# The net

WAYS = [
    {"condition": "state", "attention": "none"},
    {"condition": "input", "attention": "none"},
    {"condition": "both", "attention": "dot"},
    {"condition": "none", "attention": "additive", "heads": 2},
    {"condition": "state", "attention": "dot", "input_feeding": True},
    {"condition": "input", "attention": "additive", "input_feeding": True, "num_layers": 2},
]


def plain(net, one, topology):
    """The scores of one sample's steps, step by step as the papers write it."""
    batch = sn.collate([one], topology)
    decoder, states = net.decoder, net.encoder.states(sn.collate([bare(one)], topology))
    vector = net.encoder.readout(states, batch)
    layers = decoder.net.layers
    if decoder.starts is None:
        held = [
            [torch.zeros(1, n).double() for n in layer.cells[0].state_sizes] for layer in layers
        ]
    else:
        held = [start(vector) for start in decoder.starts]
    fed, outputs = torch.zeros(1, decoder.size).double(), []
    for token in one.parts[0].x.ids:
        h = decoder.embedding.weight[[token]]
        h = torch.cat([h, *[vector] * decoder.joins, *[fed] * decoder.input_feeding], 1)
        for at, layer in enumerate(layers):
            plans = CHAIN.plan([1])
            h, held[at] = layer(h, plans, initial=held[at], return_states="final")
        if decoder.attention is not None:
            mean, _ = by_definition(decoder.attention, h, states)
            h = fed = decoder.combine(torch.cat([h, mean], 1)).tanh()
        outputs.append(net.head(h))
    return torch.cat(outputs)


def bare(one):
    return sn.Sample(one.structure, one.x, one.y)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_scores_and_gradients_are_those_of_the_definition(way):
    net, topology = build(**way)
    some = samples()
    found = net(sn.collate(some, topology))
    expected = torch.cat([plain(net, one, topology) for one in some])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    torch.manual_seed(1)
    other = torch.randn_like(found)
    weights = [one for one in net.parameters() if one.requires_grad]
    for one, two in zip(
        torch.autograd.grad((found * other).sum(), weights, allow_unused=True),
        torch.autograd.grad((expected * other).sum(), weights, allow_unused=True),
        strict=True,
    ):
        assert (one is None) == (two is None)
        if one is not None:
            torch.testing.assert_close(one, two, rtol=0, atol=1e-9)


@pytest.mark.parametrize("cell", ["lstm", "slstm", "ssm"])
@pytest.mark.parametrize("way", WAYS[2:5], ids=lambda way: "-".join(map(str, way.values())))
def test_a_target_step_by_step_is_the_whole_target(way, cell):
    net, topology = build(cell=cell, **way)
    batch = sn.collate(samples(), topology)
    (target,) = batch.parts
    whole = net(batch).split(target.ptr.diff().tolist())
    stepper = net.train().stepper(batch)
    assert net.training
    rows = list(range(len(whole)))
    for step in range(4):
        going = [at for at, row in enumerate(rows) if len(whole[row]) > step]
        stepper.keep(going)
        rows = [rows[at] for at in going]
        scores = stepper.push([int(target.x.ids[target.ptr[row] + step]) for row in rows])
        for found, row in zip(scores, rows, strict=True):
            torch.testing.assert_close(found, whole[row][step], rtol=0, atol=1e-9)
    again = net.stepper(batch)
    again.load_state(stepper.state())
    assert torch.equal(again.push([0] * len(rows)), stepper.push([0] * len(rows)))


# Two structures by what a topology takes: the smallest one, and another.
GRAPH = [[0, 1, 0], [1, 2, 2]]
STRUCTURES = {
    "sequence": (1, 3),
    "tree": (np.array([[-1, -1]]), np.array([[1, 2], [-1, -1], [3, -1], [-1, -1]])),
    "grid": ((1, 1), (2, 3)),
    "graph": (sn.Edges(np.zeros((2, 0), int), 1), sn.Edges(np.array(GRAPH), 3)),
    "undirected": (
        sn.Edges(np.zeros((2, 0), int), 1, np.zeros(1)),
        sn.Edges(np.array([GRAPH[0] + GRAPH[1], GRAPH[1] + GRAPH[0]]), 3, np.arange(3.0)),
    ),
    "dag": ([[]], [[], [0], [0, 1]]),
}


@every_topology
def test_any_topology_encodes(topology):
    def nodes(structure):
        return topology.plan([structure])[0].num_nodes

    small, larger = STRUCTURES[topology.takes]
    draw = np.random.default_rng(0)
    some = [sample(small, nodes(small), 3, draw), sample(larger, nodes(larger), 2, draw)]
    net, _ = build(topology, cell="lstm", attention="dot")
    batch = sn.collate(some, topology)
    found = net(batch)
    assert found.shape == (5, CLASSES)
    alone = torch.cat([net(sn.collate([one], topology)) for one in some])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-10)
    rows = torch.autograd.grad(found.square().sum(), net.encoder.input.weight)[0].abs().sum(1)
    assert (rows[batch.x.ids] > 0).all()


def test_weights_of_attention_are_told_for_every_sample():
    net, topology = build(heads=2, input_feeding=True)
    other, _ = build(heads=2, input_feeding=False)
    for one in (net, other):
        weights = one.weights(sn.collate(samples(), topology))
        assert [tuple(some.shape) for some in weights] == [(steps, nodes) for nodes, steps in SIZES]
        for some in weights:
            torch.testing.assert_close(some.sum(1), torch.ones(len(some)).double())
    net, _ = build(attention="none")
    with pytest.raises(ValueError, match="the net has no attention"):
        net.weights(sn.collate(samples(), topology))


def test_dropout_is_for_training_and_the_head_may_share_the_embedding():
    net, topology = build(tied=True, dropout=0.5, embedding_size=5)
    batch = sn.collate(samples(), topology)
    assert torch.equal(net(batch), net(batch))
    net.train()
    assert not torch.equal(net(batch), net(batch))
    assert net.head.rows is net.decoder.embedding.weight


MISTAKES = [
    ({"condition": "none", "attention": "none"}, "tells the decoder nothing of the source"),
    ({"attention": "none", "heads": 2}, "net.heads=2 are heads of attention"),
    ({"attention": "none", "input_feeding": True}, "take net.attention=additive"),
    (
        {"input_feeding": True, "weight_drop": 0.1},
        "net.weight_drop draws once for a whole sequence",
    ),
    ({"input_feeding": True, "skip": "dense"}, "take another net.skip"),
    ({"head": "crf"}, "scores all nodes of a sample at once"),
    ({"encoder_size": 0}, "'encoder_size' is at least 1, got 0"),
    ({"condition": "begin"}, "option 'condition' is"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES, ids=[one for _, one in MISTAKES])
def test_options_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_a_stepper_needs_sources():
    net, topology = build()
    with pytest.raises(ValueError, match=r"starts from sources, an sn\.Batch, got 2"):
        net.stepper(2)
    with pytest.raises(ValueError, match="these samples have 0 parts"):
        net(sn.collate([bare(one) for one in samples()], topology))


# Writing


class Counted(Table):
    """A table of rows that differ, which tells how many were pushed at every step."""

    def __init__(self, *some, **options):
        super().__init__(*some, **options)
        self.pushed, self.batch = [], len(self.rows)
        self.rows = [(row,) for row in range(self.batch)]

    def push(self, x):
        self.pushed.append(len(x))
        return super().push(x)


@pytest.mark.parametrize("beams", [1, 3])
def test_rows_are_dropped_where_nothing_goes_on(beams):
    table = Counted(5, batch=4)
    end = 2
    search_between(table, 1, end, beams=beams, length=12, penalty=0)
    assert table.pushed[0] == 4 and max(table.pushed) <= 4 * beams
    assert len({*table.pushed[1:]}) > 1 and table.pushed[-1] < 4 * beams


def test_an_eager_search_ends_with_the_first_texts_that_are_complete():
    judge = lambda tokens: "end" if tokens[-1] == 0 else "on"  # noqa: E731
    found = {}
    for eager in (True, False):
        table = Counted(4, batch=1, seed=3)
        (found[eager],) = beam_search(
            table, table.push(torch.tensor([1])), beams=2, length=9, penalty=4.0, judge=judge,
            eager=eager,
        )  # fmt: skip
        if eager:
            steps = len(table.pushed)
    assert steps < len(table.pushed)
    assert found[False][0].score >= found[True][0].score


def test_a_share_of_the_tokens_that_are_read_is_drawn_whatever_the_lengths():
    net, topology = build()
    batch = sn.collate(samples([(1, 1), (2, 40), (3, 90)]), topology)
    (target,) = batch.parts
    with torch.no_grad():
        net.head.weight.zero_()
        net.head.bias.fill_(-50).index_fill_(0, torch.tensor([5]), 50.0)
    first = target.ptr[:-1]
    rest = torch.ones(len(target.x.ids), dtype=torch.bool).index_fill(0, first, False)
    for share in (0.0, 0.5, 1.0):
        made = mixed(net.stepper(batch), target, share)
        assert torch.equal(made.x.ids[first], target.x.ids[first]) and made.y is target.y
        changed = (made.x.ids != target.x.ids)[rest].double().mean().item()
        given = (target.x.ids[rest] != 5).double().mean().item()
        assert changed == pytest.approx(share * given, abs=0.15 if share == 0.5 else 1e-9)


# Tasks


def test_ranges_of_lengths():
    assert ranges(10, 2) == [(1, 5), (6, 10), (11, 15), (16, 20)]
    assert ranges(3, 2) == [(1, 2), (3, 3), (4, 5), (6, 6)]
    assert ranges(1, 3) == [(1, 1), (2, 2), (3, 3)]


FUNCTIONS = {"reverse": lambda text: text[::-1], "sort": sorted, "copy": list}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_targets_are_the_function_of_the_source_by_length(name):
    task = sn.tasks.create(name, symbols=3, longest=4, times=2, train_size=60)
    splits = task.keep(task.load(CHAIN))
    assert task.kinds == ["1-2", "3-4", "5-6", "7-8"] and len(task.classes) == 3 + 3
    for split, most in (("train", 4), ("validation", 4), ("test", 8)):
        assert max(one.structure for one in splits[split]) <= most
        for one in splits[split]:
            text = [words for (words,) in task.vocabulary.words(one.x)]
            (target,) = one.parts
            assert [task.classes[i] for i in target.y] == [*FUNCTIONS[name](text), "<eos>"]
            assert [task.classes[i] for i in target.x.ids] == ["<bos>", *FUNCTIONS[name](text)]
            if split != "train":
                assert task.kinds[one.kind] == task.kinds[(len(text) - 1) // 2]
    figures = task.baselines()["the string as it is"]
    assert set(figures) == {"exact", *task.kinds} and (figures["exact"] == 1) == (name == "copy")


def test_label_smoothing_is_torchs():
    task = sn.tasks.create("copy", symbols=3, smoothing=0.2)
    y = torch.tensor([1, 0, sn.IGNORE, 3])
    scores = torch.randn(4, 6)
    batch = sn.collate(samples([(2, 4)]), CHAIN)
    (target,) = batch.parts
    target = target.__class__(target.x, target.plans, target.ptr, y, target.kind)
    batch = batch.__class__(batch.x, batch.plans, batch.ptr, batch.y, batch.kind, parts=(target,))
    expected = F.cross_entropy(scores, y, label_smoothing=0.2, ignore_index=sn.IGNORE)
    torch.testing.assert_close(task.loss(scores, batch), expected)


WORDS_OF_TRAINING = (
    "train", "task=reverse", "task.symbols=3", "task.longest=3", "net=seq2seq", "cell=gru",
    "topology=bichain", "trainer.num_workers=0", "trainer.accelerator=cpu",
    "trainer.batch_size=32", "trainer.illustrate=null",
)  # fmt: skip


@pytest.mark.slow
def test_reverse_is_trained_predicted_and_measured_by_length(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("task.train_size=600", "net.hidden_size=24", "net.embedding_size=8", "net.dropout=0",
               "trainer.max_epochs=6", "trainer.learning_rate=0.02", "task.smoothing=0.1",
               "task.scheduled=linear", "run=run")  # fmt: skip
    result = call(*WORDS_OF_TRAINING, *options)
    assert result.status == 0, result.err
    metrics = json.loads(Path("run/metrics.json").read_text())
    test = metrics["test"]
    assert {"exact", "1-2", "3", "4-5", "6"} <= set(test)
    assert test["1-2"] > 0.7 > metrics["baselines"]["the string as it is"]["exact"]
    result = call("predict", "run=run", "text=a b", "text=c", "--json")
    assert result.status == 0, result.err
    said = json.loads(result.out)
    assert [one["class"] for one in said] == ["b a", "c"] and said[1]["probability"] > 0.3
    assert "'z', expected letters of 'abc'" in refused("predict", "run=run", "text=az")
    assert "no symbols" in refused("predict", "run=run", "text= ")
    assert call("test", "run=run", "task.times=3").status == 0


def test_options_out_of_range_are_named():
    refusals = {
        ("drawn", 2.0): "'drawn' is from 0 to 1, got 2", ("beam", 0): "'beam' is at least 1",
        ("symbols", 27): "'symbols' is from 2 to 26", ("times", 0): "'times' is from 1",
        ("longest", 0): "'longest' is from 1", ("smoothing", 1.5): "'smoothing' is from 0 to 1",
        ("drawn", 0.5): "task.scheduled=none draws none",
    }  # fmt: skip
    for (name, value), message in refusals.items():
        with pytest.raises(ValueError, match=message):
            sn.tasks.create("reverse", **{name: value})


def test_nets_and_tasks_that_do_not_go_together_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [word for word in WORDS_OF_TRAINING if word != "net=seq2seq"]
    assert "one of ['captioner'" in refused(*words, "net=stack", "run=run")
    words = ("train", "net=seq2seq", "topology=chain", "run=run")
    assert "take a task that does" in refused(*words, "task=xml")
    assert not Path("run").exists()
