"""The loss of targets of which some, or all, are unknown."""

import numpy as np
import pytest
import torch
from torch import nn

import structnet as sn

EDGES = sn.Edges([[0], [1]], 2)


class Classes(sn.Task):
    structures, classes, input_size = ("graph",), ("a", "b", "c"), 3

    def load(self, topology):
        return {}


class Numbers(sn.Regression):
    structures, input_size = ("graph",), 3

    def load(self, topology):
        return {}


def batch(*targets, dtype=np.int64):
    topology = sn.topologies.create("graph")
    x = np.zeros((2, 3), np.float32)
    return sn.collate([sn.Sample(EDGES, x, np.array(y, dtype)) for y in targets], topology)


def segmentation():
    task = sn.tasks.create("segmentation", balance=0.5)
    task.weights = torch.arange(1.0, 1 + len(task.classes))
    return task


def regression():
    task = Numbers()
    task.standardise([0.0, 2.0])
    return task


UNKNOWN = [
    (Classes(), 3, np.int64, sn.IGNORE),
    (sn.tasks.create("sst"), 5, np.int64, sn.IGNORE),
    (segmentation(), 11, np.int64, sn.IGNORE),
    (regression(), 1, np.float32, np.nan),
]


@pytest.mark.parametrize(("task", "outputs", "dtype", "unknown"), UNKNOWN)
def test_a_batch_without_a_known_target_has_no_loss_and_no_gradient(task, outputs, dtype, unknown):
    output = torch.randn(4, outputs, requires_grad=True)
    loss = task.loss(output, batch([unknown] * 2, [unknown] * 2, dtype=dtype))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(output.grad, torch.zeros_like(output))


@pytest.mark.parametrize(("task", "outputs", "dtype", "unknown"), UNKNOWN[:3])
def test_unknown_targets_change_no_mean_over_the_known_ones(task, outputs, dtype, unknown):
    output = torch.randn(4, outputs, dtype=torch.float64, requires_grad=True)
    y = [1, unknown, unknown, 2]
    loss = task.loss(output, batch(y[:2], y[2:], dtype=dtype))
    weights = task.weights.double() if hasattr(task, "weights") else None
    expected = nn.functional.cross_entropy(output[[0, 3]], torch.tensor([1, 2]), weights)
    torch.testing.assert_close(loss, expected, rtol=1e-14, atol=0)
    grads = [torch.autograd.grad(one, output, retain_graph=True)[0] for one in (loss, expected)]
    torch.testing.assert_close(*grads, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize(("task", "outputs", "dtype", "unknown"), UNKNOWN)
def test_parts_have_the_loss_of_all_by_their_numbers_of_known_targets(
    task, outputs, dtype, unknown
):
    output = torch.randn(6, outputs, dtype=torch.float64)
    samples = [[1, unknown], [unknown, unknown], [2, 0]]
    whole = batch(*samples, dtype=dtype)
    parts = []
    for some in (slice(0, 1), slice(1, 2), slice(2, 3)):
        part, mine = batch(*samples[some], dtype=dtype), output[2 * some.start : 2 * some.stop]
        parts.append((task.loss(mine, part), task.num_targets(mine, part)))
    assert parts[1][1] == 0 < parts[0][1]
    total = task.num_targets(output, whole)
    weighted = sum(loss * count for loss, count in parts) / total
    torch.testing.assert_close(weighted, task.loss(output, whole), rtol=1e-12, atol=0)
