"""Heads: adaptive and sampled softmax against the full one, and weights that are shared."""

import math

import pytest
import torch
from torch.nn import functional as F

import structnet as sn

WORDS = sn.Vocabulary({f"w{i}": 1000 - 7 * i for i in range(39)})
SIZES = sn.Sizes(WORDS, None, len(WORDS))


def net_of(head="softmax", readout="every", topology="chain", **options):
    torch.manual_seed(0)
    given = {"dropout": 0.0, "word_dropout": 0.0, "embedding_size": 6, "hidden_size": 5}
    return sn.nets.create("stack", SIZES, topology, "lstm", readout, head, **(given | options))


def batch_of(*texts):
    samples = []
    for ids in texts:
        x = torch.tensor(ids)
        tokens = sn.Tokens(x.numpy(), torch.arange(len(x) + 1).numpy())
        samples.append(sn.Sample(len(x), tokens, x.roll(-1).numpy()))
    return sn.collate(samples, sn.topologies.create("chain"))


BATCH = batch_of([1, 5, 9], [39, 0, 2, 2, 17], [3])


@pytest.mark.parametrize("name", sn.heads.names())
def test_the_cross_entropy_is_that_of_the_probabilities(name):
    head = sn.heads.create(name, 16, SIZES, **({"samples": 5} if name == "sampled" else {})).eval()
    h, y = torch.randn(4, 16), torch.tensor([0, 39, 3, 12])
    output = head(h)
    if isinstance(output, torch.Tensor):
        logs, own = output.log_softmax(1), F.cross_entropy(output, y, reduction="none")
    else:
        logs, own = output.log_probs(), output.cross_entropy(y)
        assert len(output) == 4
        torch.testing.assert_close(output[1:3].log_probs(), logs[1:3])
    assert logs.shape == (4, 40)
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(4))
    torch.testing.assert_close(own, -logs[torch.arange(4), y])


@pytest.mark.parametrize("name", sn.heads.names())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_head_in_mixed_precision_is_close_to_itself_in_full(name, dtype):
    torch.manual_seed(0)
    head = sn.heads.create(name, 16, SIZES, **({"samples": 5} if name == "sampled" else {}))
    h, y = torch.randn(4, 16).to(dtype).requires_grad_(), torch.tensor([0, 39, 3, 12])

    def losses(head, h):
        output = head(h)
        if isinstance(output, torch.Tensor):
            return F.cross_entropy(output, y, reduction="none")
        torch.manual_seed(1)
        return output.cross_entropy(y)

    whole = losses(head, h.float())
    with torch.autocast("cpu", torch.bfloat16):
        mixed = losses(head, h)
        assert not isinstance(output := head(h), sn.Scores) or output.log_probs().isfinite().all()
    torch.testing.assert_close(mixed.float(), whole, rtol=0.05, atol=0.05)
    mixed.float().mean().backward()
    assert h.grad is not None and h.grad.isfinite().all()


def test_the_adaptive_softmax_puts_frequent_words_first_in_whatever_order_they_come():
    rising = sn.Vocabulary(dict(reversed(WORDS.counts.items())))
    torch.manual_seed(0)
    falling = sn.heads.create("adaptive", 16, SIZES)
    torch.manual_seed(0)
    other = sn.heads.create("adaptive", 16, sn.Sizes(rising, None, len(rising)))
    h = torch.randn(3, 16)
    logs, others = falling(h).log_probs(), other(h).log_probs()
    torch.testing.assert_close(others[:, 0], logs[:, 0])
    torch.testing.assert_close(others[:, 1:].flip(1), logs[:, 1:])


def test_sampled_gradients_are_those_of_the_full_softmax_on_average():
    torch.manual_seed(0)
    head = sn.heads.create("sampled", 3, sn.Sizes(None, None, 8), samples=7).double()
    h, y = torch.randn(2, 3, dtype=torch.float64), torch.tensor([1, 6])
    head.eval()
    F.cross_entropy(head(h), y, reduction="sum").backward()
    wanted, head.weight.grad = head.weight.grad, None
    head.train()
    head.samples = 20_000
    head(h).cross_entropy(y).sum().backward()
    torch.testing.assert_close(head.weight.grad, wanted, rtol=0.05, atol=0.02)


@pytest.mark.parametrize("cutoffs", ["", "a", "5,3", "40", "0,3"])
def test_wrong_cutoffs_are_named(cutoffs):
    with pytest.raises(ValueError, match=r"cutoffs.*40 classes"):
        sn.heads.create("adaptive", 7, SIZES, cutoffs=cutoffs)


def test_a_cluster_has_at_least_one_feature():
    with pytest.raises(ValueError, match="16 features, got 15"):
        sn.heads.create("adaptive", 15, SIZES)


def test_heads_for_large_vocabularies_refuse_few_classes():
    few = sn.Sizes(None, None, 9)
    with pytest.raises(ValueError, match="head=softmax"):
        sn.heads.create("adaptive", 7, few)
    with pytest.raises(ValueError, match="head=softmax"):
        sn.heads.create("sampled", 7, few)


@pytest.mark.parametrize("hidden", [5, 6])
@pytest.mark.parametrize("head", ["softmax", "sampled"])
def test_tied_weights_are_one_parameter_with_the_gradients_of_both_uses(head, hidden):
    options = {"samples": 5} if head == "sampled" else {}
    make = lambda size, sizes: sn.heads.create(head, size, sizes, **options)  # noqa: E731
    net = net_of(make, tied=True, hidden_size=hidden).double()
    names = [name for name, _ in net.named_parameters()]
    assert "head.weight" not in names and set(net.state_dict()) == set(names)
    assert ("head.map.weight" in names) == (hidden != 6)
    net.eval()
    F.cross_entropy(net(BATCH), BATCH.y).backward()
    total = net.input.weight.grad.clone()
    net.zero_grad()
    apart = net.head.source[0].weight.detach().clone().requires_grad_()
    h = net.readout(net.stack(net.input(BATCH.x), BATCH.plans), BATCH)
    F.cross_entropy(F.linear(net.head.map(h), apart, net.head.bias), BATCH.y).backward()
    torch.testing.assert_close(net.input.weight.grad + apart.grad, total)


def test_a_tied_net_is_reset_to_a_new_one():
    torch.manual_seed(3)
    net = net_of(tied=True)
    torch.manual_seed(0)
    net.reset_parameters()
    for (name, one), other in zip(net.named_parameters(), net_of(tied=True).parameters()):  # noqa: B905
        torch.testing.assert_close(one, other, msg=name)


def test_sharing_weights_is_for_tokens_that_are_predicted():
    with pytest.raises(ValueError, match="head=sampled or softmax"):
        net_of("adaptive", tied=True)
    with pytest.raises(ValueError, match="40 tokens with 3 classes"):
        sn.nets.create("stack", sn.Sizes(WORDS, None, 3), "chain", "gru", "root", tied=True)
    with pytest.raises(ValueError, match="learned embeddings"):
        net_of(tied=True, input="onehot")


def test_onehot_input_is_an_embedding_with_the_identity():
    net = net_of(input="onehot")
    x = net.input(BATCH.x)
    assert torch.equal(x, torch.eye(40)[BATCH.x.ids])


def test_losses_of_tasks_take_scores():
    class Words(sn.Task):
        structures = ("sequence",)
        load = None

    task: sn.Task = object.__new__(
        type("T", (Words,), {"load": lambda *_: {}, "classes": range(40)})
    )
    output = sn.heads.create("adaptive", 16, SIZES)(torch.randn(4, 16))
    y = torch.tensor([3, sn.IGNORE, 0, 39])
    known = torch.tensor([0, 2, 3])
    wanted = -output.log_probs()[known, y[known]].mean()
    torch.testing.assert_close(task.cross_entropy(output, y), wanted)
    assert task.cross_entropy(output, torch.full((4,), sn.IGNORE)) == 0


def test_activation_regularisation_is_its_definition():
    net = net_of(ar=2.0, tar=3.0, output_dropout=0.5)
    h = []
    net.stack.layers[-1].register_forward_hook(lambda *given: h.append(given[-1]))
    dropped = []
    net.readout.register_forward_hook(lambda _, given, out: dropped.append(given[0]))
    net.train()(BATCH)
    (h,), (dropped,) = h, dropped
    steps = [1, 2, 4, 5, 6, 7]
    change = torch.stack([h[i] - h[i - 1] for i in steps]).square().mean()
    torch.testing.assert_close(net.penalty, 2 * dropped.square().mean() + 3 * change)
    assert math.isclose((dropped == 0).float().mean(), 0.5, abs_tol=0.35)


def test_variational_dropout_drops_the_same_features_at_all_steps():
    net = net_of(variational=True, dropout=0.5, hidden_size=50)
    found = []
    net.readout.register_forward_hook(lambda _, given, out: found.append(given[0]))
    net.train()(BATCH)
    zero = [part == 0 for part in found[0].split([3, 5, 1])]
    for part in zero:
        assert (part == part[0]).all() and 0 < part[0].float().mean() < 1
    assert not torch.equal(zero[0][0], zero[1][0])
