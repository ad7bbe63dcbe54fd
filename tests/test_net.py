"""A net is an input layer, recurrences, a readout and a head."""

import functools
import inspect

import numpy as np
import pytest
import torch
from conftest import assert_same, randomise
from test_readouts import NAMES

import structnet as sn
from structnet.registry.meanings import meanings
from structnet.registry.signature import known_options

BAGS = [[[1, 2], [], [3]], [[1]]]
WORDS = sn.Vocabulary({"a": 9, "b": 4, "c": 1, "d": 1})
VOCABULARY = sn.Sizes(vocabulary=WORDS, input_size=None, num_outputs=4)
FEATURES = sn.Sizes(vocabulary=None, input_size=3, num_outputs=4)


def batch_of(topology, tokens=True):
    def tokens_of(bags):
        ids = np.array([word for bag in bags for word in bag], np.int64)
        return sn.Tokens(ids, np.cumsum([0, *map(len, bags)]))

    rng = np.random.default_rng(0)
    samples = [
        sn.Sample(len(bags), tokens_of(bags) if tokens else rng.normal(size=(len(bags), 3)), 0)
        for bags in BAGS
    ]
    return sn.collate(samples, topology)


def net_of(sizes, topology="bichain", cell="lstm", readout="last", **options):
    topology = sn.topologies.create(topology)
    cell = functools.partial(sn.cells.create, cell)
    readout = functools.partial(sn.readouts.create, readout)
    net = sn.nets.create(
        "stack", sizes, topology, cell, readout, hidden_size=2, embedding_size=3, **options
    )
    return randomise(net.double()).eval(), topology


@pytest.mark.parametrize("readout", NAMES)
@pytest.mark.parametrize("cell", sn.cells.names())
def test_a_net_gives_a_row_a_sample_or_a_node(cell, readout):
    net, topology = net_of(VOCABULARY, cell=cell, readout=readout)
    rows = (4 if net.readout.per_node else 2) * (2 if readout == "directions" else 1)
    assert net(batch_of(topology)).shape == (rows, 4)


def test_a_net_is_its_parts_one_after_the_other():
    net, topology = net_of(FEATURES, num_layers=2, readout="mean")
    batch = batch_of(topology, tokens=False)
    h = batch.x
    assert len(net.layers) == 2
    for layer in net.layers:
        h = layer(h, batch.plans)
    expected = torch.stack([part.mean(0) for part in h.split([3, 1])])
    expected = expected @ net.head.weight.T + net.head.bias
    assert_same(net(batch).detach(), expected.detach())


def test_a_node_enters_as_the_sum_of_its_tokens_embeddings():
    net, topology = net_of(VOCABULARY)
    rows = net.input.weight
    found = net.input(batch_of(topology).x)
    expected = torch.stack([rows[1] + rows[2], torch.zeros_like(rows[0]), rows[3], rows[1]])
    assert_same(found.detach(), expected.detach())


def test_word_dropout_makes_rare_words_unknown_more_often_and_only_in_training():
    net, topology = net_of(VOCABULARY, word_dropout=3.0)
    tokens, rows = batch_of(topology).x, net.input.weight.detach()
    whole = net.input(tokens)
    assert net.input(tokens).equal(whole)
    net.train()
    torch.manual_seed(0)
    # The last node holds word 1 alone, seen 9 times; the third word 3 alone, seen once.
    nodes = torch.stack([net.input(tokens).detach() for _ in range(4000)])
    for node, word, count in ((3, 1, 9), (2, 3, 1)):
        unknown = (nodes[:, node] == rows[0]).all(1)
        assert ((nodes[:, node] == rows[word]).all(1) | unknown).all()
        assert unknown.double().mean().item() == pytest.approx(3 / (3 + count), abs=0.03)


def test_dropout_acts_in_training_only():
    net, topology = net_of(VOCABULARY, dropout=0.5, num_layers=2)
    batch = batch_of(topology)
    assert net(batch).equal(net(batch))
    net.train()
    assert not net(batch).equal(net(batch))


def test_a_net_runs_on_the_executor_it_is_given():
    batched, topology = net_of(VOCABULARY, num_layers=2)
    reference, _ = net_of(VOCABULARY, num_layers=2, executor="reference")
    reference.load_state_dict(batched.state_dict())
    batch = batch_of(topology)
    losses = [net(batch).square().sum() for net in (batched, reference)]
    for loss in losses:
        loss.backward()
    assert_same(*(loss.detach() for loss in losses))
    for found, expected in zip(batched.parameters(), reference.parameters(), strict=True):
        assert_same(found.grad, expected.grad)


def test_two_nets_of_one_seed_learn_alike():
    def losses():
        torch.manual_seed(7)
        net, topology = net_of(VOCABULARY, dropout=0.1, word_dropout=0.1)
        net.train()
        batch, optimizer = batch_of(topology), torch.optim.AdamW(net.parameters(), 0.05)
        found = []
        for _ in range(20):
            loss = torch.nn.functional.cross_entropy(net(batch), torch.tensor([0, 3]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    first = losses()
    assert first == losses()
    assert first[-1] < 0.5 * first[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "'num_layers' is at least 1, got 0"),
        ({"dropout": 1.0}, "'dropout' is from 0 to below 1, got 1.0"),
        ({"word_dropout": -0.1}, "'word_dropout' is at least 0, got -0.1"),
        ({"executor": "btched"}, "no executor 'btched' .*did you mean 'batched'"),
        ({"layers": 2}, "no option 'layers' of net 'stack' .*did you mean 'num_layers'"),
        ({"dropout": "a lot"}, "option 'dropout' of net 'stack' takes float, got 'a lot'"),
    ],
)
def test_a_bad_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        net_of(VOCABULARY, **options)


def test_options_of_layers_are_arguments_of_a_net():
    with pytest.raises(TypeError, match=r"Net has no argument 'zonout' .*did you mean 'zoneout'"):
        sn.Net(FEATURES, "tree", "lstm", "root", zonout=0.1)
    with pytest.raises(ValueError, match=r"Net: option 'save' is .* mean 'windows'"):
        sn.Net(FEATURES, "tree", "lstm", "root", save="window")
    net = sn.Net(FEATURES, "tree", "lstm", "root", zoneout=0.1, save="gates")
    assert net.layers[0].noise.zoneout == 0.1
    assert inspect.signature(sn.Net).parameters["truncate"].default is None


def test_a_task_without_inputs_is_refused():
    with pytest.raises(ValueError, match="neither"):
        net_of(sn.Sizes(None, None, 2))


def test_embedding_dropout_drops_a_word_everywhere_in_a_batch():
    net, topology = net_of(VOCABULARY, word_dropout=0.0, embedding_dropout=0.4)
    tokens, rows = batch_of(topology).x, net.input.weight.detach()
    net.train()
    torch.manual_seed(0)
    found = torch.stack([net.input(tokens).detach() for _ in range(2000)])
    # Word 1 is in the first node, beside word 2, and alone in the last.
    alone = found[:, 3] / rows[1]
    kept = alone[:, 0] != 0
    assert kept.double().mean().item() == pytest.approx(0.6, abs=0.04)
    assert_same(alone[kept], torch.full_like(alone[kept], 1 / 0.6), 1e-6)
    rest = (found[:, 0] - found[:, 3]) / rows[2]
    assert set(rest.round(decimals=4).unique().tolist()) == {0.0, 1.6667}


@pytest.mark.parametrize(
    "options",
    [
        {"recurrent_dropout": 0.3},
        {"zoneout": 0.3},
        {"weight_drop": 0.3},
        {"truncate": 1},
        {"skip": "dense", "num_layers": 2},
    ],
    ids=str,
)
def test_options_reach_the_layers(options):
    torch.manual_seed(0)
    net, topology = net_of(VOCABULARY, dropout=0.0, word_dropout=0.0, **options)
    plain, _ = net_of(VOCABULARY, dropout=0.0, word_dropout=0.0)
    batch = batch_of(topology)
    grads = []
    for one in (net, plain):
        one.train()
        one(batch).square().sum().backward()
        grads.append(one.head.weight.grad if "truncate" not in options else one.input.weight.grad)
    assert grads[0].shape != grads[1].shape or not torch.allclose(*grads)


def test_a_task_that_predicts_its_input_is_not_for_a_net_that_shows_it():
    sizes = sn.Sizes(vocabulary=None, input_size=1, num_outputs=2, sees=(0, 0))
    with pytest.raises(ValueError, match="which net 'stack' would show: take a net that hides it"):
        net_of(sizes)


def test_a_net_derived_from_stack_has_its_options(monkeypatch):
    for kept in ("_components", "_owners"):
        monkeypatch.setattr(sn.nets, kept, dict(getattr(sn.nets, kept)))

    @sn.nets.register("derived_from_stack")
    class Derived(sn.Net):
        """A net of one's own.

        Arguments:
            shift: is added to the scores.
        """

        def __init__(self, *wired, shift: float = 0.0, dropout: float = 0.1, **options):
            super().__init__(*wired, dropout=dropout, **options)
            self.shift = shift

        def forward(self, batch):
            return super().forward(batch) + self.shift

    own, stack = (known_options(sn.nets[name], name) for name in ("derived_from_stack", "stack"))
    assert own.keys() - stack.keys() == {"shift"} and stack.keys() <= own.keys()
    assert own["dropout"][1] == 0.1 and own["zoneout"] == stack["zoneout"]
    assert {"shift", "num_layers", "zoneout"} <= meanings(Derived).keys()
    wired = FEATURES, "tree", "lstm", "root", "softmax"
    net = sn.nets.create("derived_from_stack", *wired, shift=1.0, num_layers=2, zoneout=0.2)
    assert len(net.layers) == 2 and net.layers[0].noise.zoneout == 0.2
    with pytest.raises(ValueError, match="no option 'layers' of net 'derived_from_stack'"):
        sn.nets.create("derived_from_stack", *wired, layers=2)
