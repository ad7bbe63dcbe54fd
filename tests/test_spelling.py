"""Characters of words: how tokens are spelled, and the input layers that read them."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import structnet as sn
from structnet.data.node_loader import _part
from structnet.nn.characters import WINDOW, Characters, chains

KNOWN = sn.Vocabulary({"a": 3, "été": 2})
# Nodes with two tokens, one and none; words that are unknown, and one without characters.
WORDS = [("a", "été"), ("zebra",), (), ("", "a", "日本")]
FLAT = [word for bag in WORDS for word in bag]
CHAIN, BICHAIN = map(sn.topologies.create, ("chain", "bichain"))


def spelled(words=WORDS):
    return KNOWN.tokens(words, [word for bag in words for word in bag])


def batch_of(*samples):
    given = [sn.Sample(len(x), x, np.int64(0)) for x in samples]
    return sn.collate(given, CHAIN)


def test_a_token_is_the_bytes_of_its_text_between_two_that_text_does_not_have():
    tokens = spelled()
    found = np.split(tokens.spelling.ids, tokens.spelling.ptr[1:-1])
    assert [bytes(one) for one in found] == [b"\xfe" + word.encode() + b"\xff" for word in FLAT]
    assert KNOWN.tokens(WORDS).spelling is None
    with pytest.raises(ValueError, match="2 words are spelled for 1 tokens"):
        KNOWN.tokens([("a",)], ["a", "b"])


def test_spelling_stays_with_its_tokens_in_batches_and_parts():
    x = batch_of(spelled(), spelled([("b",)])).x
    whole = spelled([*WORDS, ("b",)])
    assert x.spelling.ids.tolist() == whole.spelling.ids.tolist()
    assert x.spelling.ptr.tolist() == whole.spelling.ptr.tolist()
    moved = x.map(lambda tensor: tensor + 1).spelling
    assert moved.ptr.tolist() == (whole.spelling.ptr + 1).tolist()
    part = _part(whole, np.array([3, 1]))
    assert part.spelling.ids.tobytes() == spelled([WORDS[3], WORDS[1]]).spelling.ids.tobytes()
    # Where some samples have no spelling there is none to read.
    assert batch_of(spelled(), KNOWN.tokens([("a",)])).x.spelling is None


def test_words_are_chains_as_the_topology_plans_them():
    ptr = np.array([0, 3, 4, 9])
    for plan, expected in zip(chains(ptr), BICHAIN.plan([3, 1, 5]), strict=True):
        assert (plan.levels, plan.steps) == (expected.levels, expected.steps)
        assert plan.num_initial == expected.num_initial
        for name in ("order", "rank", "rows", "sinks", "ptr"):
            assert torch.equal(getattr(plan, name), getattr(expected, name)), name


def layer_of(reader, size=6):
    torch.manual_seed(0)
    return Characters(reader, size).double()


def convolved(layer, word):
    """A word by itself, by torch's convolution."""
    x = layer.embedding(torch.tensor(list(b"\xfe" + word.encode() + b"\xff")))
    filters = layer.reader.filters
    weight = filters.weight.unflatten(1, (WINDOW, -1)).transpose(1, 2)
    return F.conv1d(x.T[None], weight, filters.bias, padding=WINDOW // 2)[0].relu().amax(1)


def read(layer, word):
    """A word by itself, byte by byte in both directions."""
    ids = torch.tensor(list(b"\xfe" + word.encode() + b"\xff"))
    x, recurrence = layer.embedding(ids), layer.reader.layer
    h = recurrence(x, BICHAIN.plan([len(ids)]), executor="reference")
    forward, backward = h.chunk(2, dim=1)
    return torch.cat([forward[-1], backward[0]])


@pytest.mark.parametrize(("reader", "definition"), [("cnn", convolved), ("lstm", read)])
def test_a_node_is_the_sum_of_its_tokens_each_read_by_itself(reader, definition):
    layer = layer_of(reader)
    found = layer(batch_of(spelled()).x)
    none = torch.zeros(layer.size, dtype=torch.float64)
    expected = torch.stack([sum((definition(layer, word) for word in bag), none) for bag in WORDS])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    weights, probe = list(layer.parameters()), torch.randn_like(found)
    for a, b in zip(
        torch.autograd.grad((found * probe).sum(), weights),
        torch.autograd.grad((expected * probe).sum(), weights),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("reader", ["cnn", "lstm"])
def test_nothing_is_read_of_no_tokens(reader):
    layer = layer_of(reader)
    assert layer(batch_of(spelled([(), ()])).x).tolist() == [[0.0] * 6] * 2


def net_of(reader, sizes=None, **options):
    torch.manual_seed(1)
    sizes = sizes or sn.Sizes(KNOWN, None, 3)
    options = {"embedding_size": 4, "character_size": 6, "hidden_size": 5, **options}
    return sn.nets.create("stack", sizes, "chain", "gru", "every", characters=reader, **options)


@pytest.mark.parametrize("reader", ["cnn", "lstm"])
def test_a_net_tells_unknown_words_apart_by_how_they_are_spelled(reader):
    net = net_of(reader).eval()
    one, other, again = (net(batch_of(spelled([(word,)]))) for word in ("abc", "abd", "abc"))
    assert torch.equal(one, again) and not torch.allclose(one, other)
    bare = net_of(None, character_size=None).eval()
    assert torch.equal(*(bare(batch_of(spelled([(word,)]))) for word in ("abc", "abd")))
    # Beside their embeddings.
    x = batch_of(spelled()).x
    words, letters = net.input.layers
    assert torch.equal(net.input(x), torch.cat([words(x), letters(x)], dim=1))


@pytest.mark.parametrize("reader", ["cnn", "lstm"])
def test_a_net_that_reads_characters_is_as_new_when_it_is_reset(reader):
    net, fresh = net_of(reader), net_of(reader)
    with torch.no_grad():
        for weight in net.parameters():
            weight.add_(1)
    torch.manual_seed(1)
    net.reset_parameters()
    for a, b in zip(net.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a, b)


def test_tied_embeddings_are_those_of_words():
    sizes = sn.Sizes(KNOWN, None, len(KNOWN))
    net = net_of("cnn", sizes, tied=True)
    assert net.head.rows is net.input.layers[0].weight


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: net_of("cnn", sn.Sizes(None, 3, 2)), "characters are those of tokens"),
        (lambda: net_of("lstm", character_size=5), "'character_size'.* even.*got 5"),
        (lambda: net_of("cnn", character_size=0), "'character_size' is at least 1.*got 0"),
        (lambda: net_of(None), "'character_size' is 6, and nothing reads characters"),
        (lambda: net_of("rnn"), "characters"),
        (lambda: net_of("cnn")(batch_of(KNOWN.tokens([("a",)]))), r"spelling=\.\.\."),
        (lambda: net_of("cnn").stepper().push([1]), r"net\.characters reads how words"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
