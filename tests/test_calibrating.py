"""Temperature scaling: the temperature, and what a run does with it."""

import json
import math
import random

import pytest
import torch
from commands import SMALL, call, logged
from safetensors.torch import load_file
from torch import nn

import structnet as sn
from structnet.training.calibrating import MOST, Calibration


def collected(*batches):
    found = Calibration()
    for scores, target in batches:
        found.update(scores, target)
    return found.temperature()


def drawn(count, classes, seed=0):
    """Scores and targets that are drawn from their probabilities."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randn(count, classes, generator=draw, dtype=torch.float64) * 2
    return scores, torch.multinomial(scores.softmax(1), 1, generator=draw)[:, 0]


@pytest.mark.parametrize(("factor", "classes"), [(3.0, 2), (0.25, 5), (1.0, 3)])
def test_scores_multiplied_by_a_number_have_that_temperature(factor, classes):
    scores, target = drawn(5000, classes)
    assert collected((factor * scores, target)) == pytest.approx(factor, rel=0.08)


def test_the_temperature_has_the_smallest_cross_entropy():
    scores, target = drawn(50, 3)
    scores = 5 * scores.float()
    best = collected((scores[:1], target[:1]), (scores[1:], target[1:]))

    def loss(temperature):
        return float(nn.functional.cross_entropy(scores.double() / temperature, target))

    assert all(loss(best) <= loss(best * factor) for factor in (0.5, 0.999, 1.001, 2))
    log = torch.zeros((), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([log], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        search.zero_grad()
        found = nn.functional.cross_entropy(scores.double() / log.exp(), target)
        found.backward()
        return found

    search.step(closure)
    assert best == pytest.approx(math.exp(float(log.detach())), rel=1e-4)


def test_targets_without_a_score_are_left_out():
    scores, target = drawn(40, 3)
    more = torch.cat([scores, 100 * scores[:2]])
    unknown = torch.tensor([sn.IGNORE, 3])
    assert collected((more, torch.cat([target, unknown]))) == collected((scores, target))


@pytest.mark.parametrize(
    "batches",
    [
        (),
        ((torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)),),
        # All are right, so that the largest probabilities are best, and all are wrong.
        ((torch.eye(4), torch.arange(4)),),
        ((torch.eye(4), torch.arange(4).roll(1)),),
        ((torch.zeros(4, 3), torch.zeros(4, dtype=torch.long)),),
        # Numbers, and classes without scores.
        ((torch.ones(4, 1), torch.ones(4)),),
        ((torch.arange(4), torch.arange(4)),),
    ],
)
def test_where_no_temperature_is_best_there_is_none(batches):
    assert collected(*batches) is None


def test_a_temperature_beyond_the_range_is_none():
    scores, target = drawn(2000, 3)
    assert collected((2 * MOST * scores, target)) is None


@pytest.mark.parametrize("name", ["softmax", "sampled"])
def test_dividing_the_named_weights_divides_the_scores(name):
    options = {"samples": 2} if name == "sampled" else {}
    head = sn.heads.create(name, 5, sizes_of(4), **options).double().eval()
    h = torch.randn(7, 5, dtype=torch.float64)
    before = head(h)
    for weight in head.linear:
        getattr(head, weight).data.div_(3)
    torch.testing.assert_close(head(h), before / 3)


def sizes_of(classes, **given):
    from structnet.nn.sizes import Sizes

    return Sizes(None, 5, classes, **given)


@pytest.mark.parametrize("name", ["crf", "adaptive"])
def test_other_heads_name_no_weights(name):
    options = {"cutoffs": "2"} if name == "adaptive" else {}
    assert sn.heads.create(name, 5, sizes_of(4), **options).linear == ()


def test_weights_of_an_embedding_are_not_divided():
    embedding = nn.Embedding(4, 5)
    assert sn.heads.create("softmax", 5, sizes_of(4, embedding=embedding)).linear == ()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on code of which three lines in ten are the other way round, and what it printed."""
    folder, draw = tmp_path_factory.mktemp("calibrated"), random.Random(0)
    for number in range(12):
        pairs = (
            (f"low_{draw.choice('abcdef')}", f"high_{draw.choice('abcdef')}") for _ in range(15)
        )
        lines = (" - ".join(pair if draw.random() < 0.7 else pair[::-1]) for pair in pairs)
        (folder / f"part_{number}.py").write_text("\n".join(lines))
    directory = folder / "run"
    status, out, err = call("train", f"task.root={folder}", *SMALL, f"run={directory}",
                            "trainer.learning_rate=0.03", "trainer.max_epochs=8")  # fmt: skip
    assert (status, err) == (0, "")
    return directory, out


def test_a_run_divides_the_scores_of_its_best_weights_and_nothing_else(trained):
    directory, out = trained
    figures = json.loads((directory / "metrics.json").read_text())
    temperature = figures["train"]["temperature"]
    assert f"probabilities calibrated: temperature {temperature:.3f}" in out
    weights = load_file(directory / "model.safetensors")
    best = sn.Run.open(directory).read_checkpoint("best.ckpt")["state_dict"]
    assert {f"net.{name}" for name in weights} == best.keys()
    for name, value in weights.items():
        is_divided = name in ("head.weight", "head.bias")
        torch.testing.assert_close(value, best[f"net.{name}"] / (temperature if is_divided else 1))
    # As validated before the scores were divided.
    scores = [score for _, score in logged(directory, "validation/accuracy")]
    assert figures["validation"]["accuracy"] == pytest.approx(max(scores))


def test_a_saved_run_gives_the_probabilities_it_was_tested_with(trained):
    from structnet.training.samples import load_samples
    from structnet.training.trainer import evaluate

    directory, _ = trained
    run = sn.Run.open(directory)
    net = run.load_net()
    splits = load_samples(run)
    saved = json.loads((directory / "metrics.json").read_text())
    for split in ("validation", "test"):
        assert evaluate(run, net, splits[split]) == pytest.approx(saved[split], abs=1e-6)
    # What is fitted again to scores that are divided is 1.
    again = Calibration()
    for batch in run.task.loader(splits["validation"], run.topology, batch_nodes=512):
        again.update(*run.task.measured(net(batch), batch)["accuracy"])
    assert again.temperature() == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("left_out", ["monitor", "head"])
def test_what_is_not_calibrated_is_not_measured_again(left_out):
    from types import SimpleNamespace

    from structnet.training.fit import _calibrate

    monitor = "perplexity" if left_out == "monitor" else "accuracy"
    head = sn.heads.create("crf" if left_out == "head" else "softmax", 5, sizes_of(4))
    module = SimpleNamespace(task=SimpleNamespace(monitor=monitor), net=SimpleNamespace(head=head))
    assert _calibrate(None, module, None) == {}  # pyright: ignore[reportArgumentType]
