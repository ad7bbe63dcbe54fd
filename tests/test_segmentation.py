"""Segmentation of street scenes, shown on scenes of a few pixels."""

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.grid.baselines import fit_pixels
from structnet.plugins.grid.tasks.segmentation import places, windows
from structnet.plugins.scenes.files import FILE

SWEEPS = sn.topologies.create("multidirectional")


def arrays(**changed):
    """Four training, two validation and two test scenes of 3 x 4 pixels; the class is the red."""
    random, made = np.random.default_rng(0), {}
    for part, count in (("train", 4), ("val", 2), ("test", 2)):
        labels = random.integers(12, size=(count, 3, 4)).astype(np.uint8)
        images = random.integers(256, size=(count, 3, 4, 3)).astype(np.uint8)
        images[..., 0] = 20 * labels
        made |= {f"{part}_images": images, f"{part}_labels": labels}
    return {**made, **changed}


@pytest.fixture
def root(tmp_path):
    np.savez(tmp_path / FILE, **arrays())
    return tmp_path


def create(root, **options):
    task = sn.tasks.create("segmentation", root=str(root), **options)
    return task, task.keep(task.load(SWEEPS))


def test_a_sample_has_a_class_a_pixel_and_none_where_void_is(root):
    _, splits = create(root)
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 4, "validation": 2, "test": 2
    }  # fmt: skip
    labels = arrays()["test_labels"][1].ravel().astype(int)
    sample = splits["test"][1]
    assert sample.structure == (3, 4)
    assert np.array_equal(sample.y, np.where(labels == 11, sn.IGNORE, labels))
    assert (sample.y == sn.IGNORE).any()
    image = arrays()["test_images"][1].reshape(-1, 3)
    assert np.allclose(sample.x[:, :3], image / 127.5 - 1) and sample.x.dtype == np.float32


def measure(task, output, batch):
    metrics = task.metrics()
    for name, (scores, target) in task.measured(output, batch).items():
        metrics[name].update(scores, target)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_figures_are_those_of_their_definitions_void_left_out(root):
    task, splits = create(root)
    batch = collate(splits["train"], SWEEPS)
    torch.manual_seed(0)
    predicted = torch.where(torch.rand(len(batch.y)) < 0.5, batch.y, batch.y.roll(1)).clamp(min=0)
    output = torch.nn.functional.one_hot(predicted, 11).float()
    known = batch.y != sn.IGNORE
    y, predicted = batch.y[known], predicted[known]
    ious = [
        ((y == c) & (predicted == c)).sum() / ((y == c) | (predicted == c)).sum()
        for c in range(11)
        if ((y == c) | (predicted == c)).any()
    ]
    expected = {
        "accuracy": (y == predicted).float().mean().item(),
        "mean_iou": torch.stack(ious).mean().item(),
    }
    assert measure(task, output, batch) == pytest.approx(expected)
    noisy = output.clone()
    noisy[~known] = torch.randn(11)
    assert measure(task, noisy, batch) == pytest.approx(expected)
    assert torch.equal(task.loss(noisy, batch), task.loss(output, batch))
    assert (task.monitor, task.mode, task.readout(SWEEPS)) == ("mean_iou", "max", "every")


def test_a_window_is_the_pixels_around_in_their_order():
    image = np.arange(24.0).reshape(2, 4, 3)
    assert np.array_equal(windows(image, 1), image.reshape(8, 3))
    seen = windows(image, 3).reshape(2, 4, 3, 3, 3)
    assert np.array_equal(seen[0, 1, 1:], image[:, :3])
    # Outside, the border goes on.
    assert np.array_equal(seen[0, 0, 0, 0], image[0, 0])
    assert np.array_equal(seen[1, 3, 2, 2], image[1, 3])
    assert np.array_equal(seen[..., 1, 1, :], image)


def test_a_pixel_knows_its_place():
    assert places((2, 3)).tolist() == [[-1, -1], [-1, 0], [-1, 1], [1, -1], [1, 0], [1, 1]]
    assert places((1, 1)).tolist() == [[0, 0]]


def test_a_window_widens_the_input(root):
    task, splits = create(root, window=5)
    assert task.input_size == splits["test"][0].x.shape[1] == 77
    for window in (0, 2):
        with pytest.raises(ValueError, match=f"'window' is an odd number from 1 on, got {window}"):
            sn.tasks.create("segmentation", window=window)


def test_rare_classes_count_for_more_in_a_balanced_loss(tmp_path):
    labels = np.array([[[0, 0, 0, 0], [0, 0, 1, 1], [2, 11, 11, 11]]] * 4, np.uint8)
    np.savez(tmp_path / FILE, **arrays(train_labels=labels))
    losses = {}
    for balance in (0, 0.5, 1):
        task, splits = create(tmp_path, balance=balance)
        batch = collate(splits["train"][:1], SWEEPS)
        torch.manual_seed(0)
        each = torch.nn.functional.cross_entropy(
            output := torch.randn(12, 11), batch.y.clamp(min=0), reduction="none"
        )
        weight = (1 / torch.tensor([24.0, 8.0, 4.0])) ** balance
        weight = (weight[batch.y.clamp(min=0)]) * (batch.y != sn.IGNORE)
        losses[balance] = task.loss(output, batch).item()
        assert losses[balance] == pytest.approx(((weight * each).sum() / weight.sum()).item())
    assert len(set(losses.values())) == 3
    with pytest.raises(ValueError, match="'balance' is at least 0, got -1"):
        sn.tasks.create("segmentation", balance=-1)


def test_a_readout_without_a_score_a_pixel_is_refused(root):
    task, splits = create(root)
    batch = collate(splits["test"], SWEEPS)
    with pytest.raises(ValueError, match="readout=every"):
        task.loss(torch.randn(batch.num_samples, 11), batch)


def test_baselines_know_the_place_and_the_pixel(root):
    random = np.random.default_rng(0)
    images = []
    for _ in range(30):
        y = random.integers(3, size=12)
        y[0] = 2
        images.append(((3, 4), y[:, None] + 0.1 * random.random((12, 1)), y))
    found = fit_pixels(images, images[:2], sn.IGNORE)
    assert (found["place"].view(2, 12)[:, 0] == 2).all()
    assert np.array_equal(found["pixel"], np.concatenate([y for _, _, y in images[:2]]))
    task, _ = create(root)
    assert {"place", "pixel"} == set(task.baselines())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val_labels": np.zeros((2, 3, 5), np.uint8)},
         r"val_images is uint8 of shape .* and val_labels uint8 of \(2, 3, 5\), expected"),
        ({"test_labels": np.full((2, 3, 4), 11, np.uint8)}, "test_labels has no pixel with a cl"),
        ({"test_images": np.zeros((2, 3, 4, 3))}, r"test_images is float64 of shape"),
        ({"test_labels": np.full((2, 3, 4), 12, np.uint8)}, "test_labels has the value 12, expec"),
        ({"test_images": np.zeros((2, 3, 4), np.uint8)}, r"test_images is uint8 .*\(N, h, w, 3\)"),
        ({"train_images": np.zeros((0, 3, 4, 3), np.uint8),
          "train_labels": np.zeros((0, 3, 4), np.uint8)}, "train_images is uint8 of shape"),
        ({"train_images": np.array([None])}, r"is not a valid \.npz file"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_named_with_the_file(tmp_path, changed, message):
    np.savez(tmp_path / FILE, **arrays(**changed))
    with pytest.raises(ValueError, match=message) as caught:
        create(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)


def test_a_damaged_file_or_a_missing_array_is_named(root):
    path = root / FILE
    whole = path.read_bytes()
    for data in (b"", b"no zip", whole[:-100], whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"camvid_80x60\.npz is not a valid \.npz file"):
            create(root)
    some = arrays()
    del some["val_labels"]
    np.savez(path, **some)
    with pytest.raises(ValueError, match=r"npz has no array 'val_labels', expected train_images"):
        create(root)
    with pytest.raises(FileNotFoundError, match=r"camvid_80x60\.npz.*task\.root="):
        create(root / "nothing")
