"""Superpixels of scenes of a few pixels, and how they are scored on pixels."""

import sys

import networkx as nx
import numpy as np
import pytest
import torch

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.scenes.files import FILE
from structnet.plugins.scenes.regions import (
    FEATURES,
    adjacency,
    count_labels,
    describe,
    superpixels,
)

REGIONS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [3, 3, 2, 1]])


def arrays():
    """Scenes of 12 x 16 pixels: four patches, each of its class's colour; one has no class."""
    random, made = np.random.default_rng(0), {}
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        labels = random.integers(11, size=(count, 2, 2)).repeat(6, 1).repeat(8, 2)
        images = np.stack([20 * labels, 250 - 20 * labels, 100 + 0 * labels], axis=-1)
        labels[:, 6:, 8:] = 11
        made |= {f"{part}_images": images.astype(np.uint8), f"{part}_labels": labels.astype("u1")}
    return made


@pytest.fixture
def root(tmp_path):
    np.savez(tmp_path / FILE, **arrays())
    return tmp_path


@pytest.fixture
def topology():
    return sn.topologies.create("ordered_graph", order="score")


def create(root, topology, **options):
    pytest.importorskip("skimage")
    task = sn.tasks.create("superpixels", root=str(root), superpixels=12, **options)
    return task, task.keep(task.load(topology))


def measure(task, output, batch):
    metrics = task.metrics()
    for name, (scores, target) in task.measured(output, batch).items():
        metrics[name].update(scores, target)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_superpixels_next_to_each_other_share_a_side():
    found = {tuple(edge) for edge in adjacency(REGIONS).T.tolist()}
    one_way = {(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)}
    assert found == one_way | {(v, u) for u, v in one_way}
    assert adjacency(np.zeros((2, 3), np.int64)).shape == (2, 0)


def test_features_are_those_of_their_definitions():
    image = np.random.default_rng(0).integers(256, size=(3, 4, 3)).astype(np.uint8)
    found = describe(image, REGIONS)
    assert found.shape == (4, FEATURES) and found.dtype == np.float32
    for region in range(4):
        inside = region == REGIONS
        colours = image[inside] / 127.5 - 1
        rows, columns = np.nonzero(inside)
        place = np.stack([rows - 1, (2 * columns - 3) / 3], axis=1)
        nearest = np.rint(np.array([0.1, 0.9]) * (len(colours) - 1)).astype(int)
        ends = np.sort(colours, axis=0)[nearest]
        expected = [colours.mean(0), colours.std(0), *ends, place.mean(0), np.ptp(place, axis=0),
                    [np.log(inside.sum() / 3)]]  # fmt: skip
        assert np.allclose(found[region], np.concatenate(expected), atol=1e-6)


def test_labels_are_counted_and_void_is_not():
    labels = np.array([[0, 1, 2, 2], [0, 11, 5, 2], [11, 11, 5, 3]], np.uint8)
    counts = count_labels(labels, REGIONS, 11)
    assert counts.sum() == 9 and counts.shape == (4, 11)
    assert counts[0, [0, 1]].tolist() == [2, 1]
    assert counts[1, [2, 3]].tolist() == [3, 1]
    assert counts[2, 5] == 2 and not counts[3].any()


def test_every_pixel_has_a_superpixel_and_each_is_connected():
    pytest.importorskip("skimage")
    image = arrays()["train_images"][0]
    found = superpixels(image, 12, 10.0)
    assert np.array_equal(found, superpixels(image, 12, 10.0))
    assert found.shape == image.shape[:2]
    assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
    grid = nx.grid_2d_graph(*found.shape)
    same = nx.Graph((u, v) for u, v in grid.edges if found[u] == found[v])
    same.add_nodes_from(grid)
    assert nx.number_connected_components(same) == found.max() + 1


def test_without_scikit_image_the_way_to_install_it_is_said(root, topology, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.segmentation", None)
    task = sn.tasks.create("superpixels", root=str(root))
    with pytest.raises(ModuleNotFoundError, match="pip install scikit-image"):
        task.load(topology)


def test_figures_are_those_of_the_pixels(root, topology):
    task, splits = create(root, topology)
    batch = collate(splits["test"], topology)
    output = torch.randn(batch.num_nodes, 11)
    predicted, true = [], []
    for counts, scores in zip(batch.y, output, strict=True):
        for label, count in enumerate(counts.tolist()):
            predicted += [int(scores.argmax())] * count
            true += [label] * count
    predicted, true = np.array(predicted), np.array(true)
    assert len(true) == (arrays()["test_labels"] < 11).sum()
    ious = [((predicted == c) & (true == c)).sum() / ((predicted == c) | (true == c)).sum()
            for c in range(11) if ((predicted == c) | (true == c)).any()]  # fmt: skip
    expected = {"accuracy": (predicted == true).mean(), "mean_iou": np.mean(ious)}
    assert measure(task, output, batch) == pytest.approx(expected)
    assert (task.monitor, task.mode, task.readout(topology)) == ("mean_iou", "max", "every")


def test_the_loss_counts_pixels(root, topology):
    for balance in (0.0, 0.5):
        task, splits = create(root, topology, balance=balance)
        batch = collate(splits["train"], topology)
        output = torch.randn(batch.num_nodes, 11)
        total = torch.stack([torch.from_numpy(s.y).sum(0) for s in splits["train"]]).sum(0)
        weight = total.clamp(min=1).float() ** -balance
        each = -output.log_softmax(1) * batch.y * weight
        expected = each.sum() / (batch.y * weight).sum()
        assert task.loss(output, batch).item() == pytest.approx(expected.item(), rel=1e-5)
    with pytest.raises(ValueError, match="readout=every"):
        task.loss(torch.randn(2, 11), batch)


def test_the_score_is_the_confidence_of_the_regression(root, topology):
    _, splits = create(root, topology)
    for sample in splits["test"]:
        score = sample.structure.score
        assert score.shape == (len(sample.x),)
        assert (score >= 1 / 11).all() and (score <= 1).all()
    # Plans for it are made, and every superpixel is in one.
    (plan,) = collate(splits["test"], topology).plans
    assert plan.num_nodes == sum(len(sample.x) for sample in splits["test"])


def test_baselines_are_measured_on_pixels(root, topology):
    task, _ = create(root, topology)
    found = task.baselines()
    assert set(found) == {"logistic", "boosted", "upper bound"}
    for figures in found.values():
        assert set(figures) == {"accuracy", "mean_iou"}
        assert figures["accuracy"] <= found["upper bound"]["accuracy"] <= 1


def test_labels_of_a_single_class_are_refused_with_the_way_out(tmp_path, topology):
    same = {name: 0 * one if "labels" in name else one for name, one in arrays().items()}
    np.savez(tmp_path / FILE, **same)
    with pytest.raises(ValueError, match=r"of 1 classes, expected 2 or more; .*task\.superpixels"):
        create(tmp_path, topology).load(topology)


@pytest.mark.parametrize(
    ("option", "value", "limit"),
    [("superpixels", 0, "at least 1"), ("compactness", 0.0, "above 0"), ("balance", -1.0, "at l")],
)
def test_options_out_of_range_are_refused(option, value, limit):
    with pytest.raises(ValueError, match=f"'{option}' is {limit}.*got {value}"):
        sn.tasks.create("superpixels", **{option: value})
