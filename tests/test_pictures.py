"""Tasks on images, shown on scikit-learn's digits."""

import math

import numpy as np
import pytest
import torch

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.grid.baselines import fit_classifiers, fit_densities, neighbours
from structnet.plugins.grid.tasks.binary import binarised
from structnet.plugins.grid.tasks.pictures import Classes, Small, Split

DIAGONAL = sn.topologies.create("diagonal")


def create(**options):
    """The task and its splits."""
    task = sn.tasks.create("digits", **options)
    return task, task.keep(task.load(DIAGONAL))


def test_splits_are_all_of_the_digits_once():
    from sklearn.datasets import load_digits

    _, splits = create()
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 1257, "validation": 180, "test": 360
    }  # fmt: skip
    found = sorted(sample.y.tobytes() for some in splits.values() for sample in some)
    images = load_digits().images.reshape(-1, 64).astype(np.int64)
    assert found == sorted(image.tobytes() for image in images)
    again = create()[1]
    for one, other in zip(splits["test"], again["test"], strict=True):
        assert np.array_equal(one.y, other.y)


def test_a_sample_is_an_image_pixel_by_pixel_as_input_and_target():
    task, splits = create()
    sample = splits["train"][3]
    assert sample.structure == (8, 8) and sample.num_nodes == 64
    assert sample.x.shape == sample.y.shape == (64, 1)
    assert (sample.x.dtype, sample.y.dtype) == (np.float32, np.int64)
    assert np.allclose(sample.x, sample.y / 8 - 1)
    assert torch.equal(task.encode(torch.from_numpy(sample.y)), torch.from_numpy(sample.x))
    batch = collate(splits["train"][:5], DIAGONAL)
    assert batch.x.shape == batch.y.shape == (320, 1)
    assert batch.shapes == ((8, 8),) * 5 and batch.condition is None


def test_a_picture_has_all_of_the_greys():
    task, splits = create()
    values = torch.from_numpy(splits["test"][0].y).view(8, 8, 1)
    picture = task.picture(values)
    assert picture.shape == (8, 8, 1) and picture.dtype == np.uint8
    assert np.array_equal(picture, np.rint(values.numpy() * 255 / 16))
    assert create(binarise="threshold")[0].picture(torch.ones(1, 1, 1, dtype=torch.long)) == 255


def measure(task, output, batch):
    metrics = task.metrics()
    for name, (scores, target) in task.measured(output, batch).items():
        metrics[name].update(scores, target)
    return {name: float(metric.compute()) for name, metric in metrics.items()}


def test_nats_are_per_image_bits_and_the_loss_per_dimension():
    task, splits = create()
    batch = collate(splits["test"][:4], DIAGONAL)
    uniform = torch.zeros(batch.num_nodes, task.num_outputs)
    assert measure(task, uniform, batch) == pytest.approx(
        {"nats_per_image": 64 * math.log(17), "bits_per_dim": math.log2(17)}
    )
    assert task.loss(uniform, batch).item() == pytest.approx(math.log(17))
    sure = 100 * torch.nn.functional.one_hot(batch.y[:, 0], 17).float()
    assert measure(task, sure, batch) == {"nats_per_image": 0, "bits_per_dim": 0}
    assert (task.monitor, task.mode) == ("nats_per_image", "min")
    with pytest.raises(ValueError, match="readout=every"):
        task.loss(uniform[:4], batch)


def test_bits_per_dimension_of_images_of_several_sizes_count_every_dimension_alike():
    task = sn.tasks.create("digits")
    tall, wide = (
        sn.Sample(shape, np.zeros((math.prod(shape), 1), np.float32),
                  np.zeros((math.prod(shape), 1), np.int64))
        for shape in ((4, 2), (1, 2))
    )  # fmt: skip
    batch = collate([tall, wide], DIAGONAL)
    output = torch.zeros(10, 17)
    # The second image's pixels cost nothing.
    output[8:, 0] = 100
    assert measure(task, output, batch) == pytest.approx(
        {"nats_per_image": 8 * math.log(17) / 2, "bits_per_dim": 0.8 * math.log2(17)}
    )


def test_what_an_output_may_see_is_the_likelihoods():
    for name, outputs in (("softmax", 17), ("logistics", 30), (None, 17)):
        task = sn.tasks.create("digits", likelihood=name)
        assert task.num_outputs == len(task.sees) == outputs
    assert sn.tasks.create("digits", binarise="static").num_outputs == 1
    assert sn.tasks.create("digits", goal="class").sees is None


def test_classes_are_told_from_the_whole_image():
    task, splits = create(goal="class")
    batch = collate(splits["test"][:6], DIAGONAL)
    assert batch.y.shape == (6,) and task.num_outputs == 10
    assert (task.monitor, task.mode, task.readout(DIAGONAL)) == ("accuracy", "max", "mean")
    assert not task.scores_nodes(DIAGONAL)
    right = torch.nn.functional.one_hot(batch.y, 10).float()
    assert measure(task, right, batch) == {"accuracy": 1}
    assert task.loss(100 * right, batch).item() == 0


def test_a_condition_is_the_class_or_the_small_image():
    task, splits = create(condition="class")
    labels = create(goal="class")[1]["test"]
    assert task.condition == Classes(10)
    batch = collate(splits["test"][:9], DIAGONAL)
    assert batch.condition.tolist() == [sample.y for sample in labels[:9]]
    task, splits = create(condition="small", factor=4)
    assert task.condition == Small(1, 4)
    batch = collate(splits["test"][:3], DIAGONAL)
    assert batch.condition.shape == (3, 2, 2, 1)
    assert torch.equal(batch.condition, batch.x.view(3, 8, 8, 1)[:, ::4, ::4])


def test_small_images_are_the_condition_of_large_ones():
    _, small = create(size=2)
    _, large = create(condition="small", factor=4)
    for one, other in zip(small["test"], large["test"], strict=True):
        assert one.structure == (2, 2)
        assert np.array_equal(one.x, other.condition.reshape(4, 1))


@pytest.mark.parametrize("how", ["static", "threshold", "dynamic"])
def test_binary_images_are_as_bright_as_grey_ones(how):
    grey, black = create()[1], create(binarise=how)[1]
    for split in ("train", "test"):
        target = np.stack([sample.y for sample in black[split]])
        level = np.stack([sample.y for sample in grey[split]])
        assert set(np.unique(target)) == {0, 1}
        assert (target[level == 0] == 0).all() and (target[level == 16] == 1).all()
        if how == "threshold":
            assert np.array_equal(target, level > 8)
        else:
            assert target[level == 4].mean() == pytest.approx(0.25, abs=0.07)


def test_only_dynamic_training_images_change():
    for how, changes in (("static", False), ("dynamic", True)):
        (_, one), (_, other) = create(binarise=how), create(binarise=how)
        same = {
            split: all(
                np.array_equal(a.y, b.y) for a, b in zip(one[split], other[split], strict=True)
            )
            for split in ("train", "test")
        }
        assert same == {"train": not changes, "test": True}
        assert np.array_equal(one["train"][0].y, one["train"][0].y) is not changes
    splits = create(binarise="dynamic")[1]
    drawn = []
    for _ in range(2):
        torch.manual_seed(5)
        drawn.append(splits["train"][0].y)
    assert np.array_equal(*drawn)


def test_train_size_takes_the_first():
    _, few = create(train_size=7)
    _, all_of_them = create()
    assert len(few["train"]) == 7 and len(few["test"]) == 360
    assert np.array_equal(few["train"][6].y, all_of_them["train"][6].y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "words"}, "'goal' is 'pixels' or 'class', got 'words'"),
        ({"condition": "colour"}, "'condition' is 'class' or .*got 'colour'"),
        ({"goal": "class", "condition": "class"}, "are for task.goal=pixels"),
        ({"factor": 1}, "'factor' is at least 2, got 1"),
        ({"size": 0}, "'size' is at least 1, got 0"),
        ({"train_size": 0}, "'train_size' is at least 1, got 0"),
        ({"binarise": "often"}, "'binarise' is 'static' or .*got 'often'"),
        ({"likelihood": "bernoulli"}, "2 levels, these have 17"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create("digits", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, "'size' divides .* 3 does not divide 8 x 8"),
        ({"size": 16}, "16 does not divide 8 x 8"),
        ({"condition": "small", "factor": 3}, "'factor' divides .* 3 does not divide 8 x 8"),
        ({"condition": "small", "factor": 16}, "'factor' divides .* 16 does not divide 8 x 8"),
    ],
)
def test_a_size_that_does_not_divide_the_image_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)[1]["test"][0]


# Baselines


def test_counts_of_independent_pixels_are_their_entropy_where_there_are_many_of_them():
    random = np.random.default_rng(0)
    share = np.array([[0.1, 0.5], [0.9, 0.3]])
    train, test = (
        [(random.random((2, 2)) < share)[..., None].astype(np.uint8) for _ in range(count)]
        for count in (5000, 2000)
    )
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share)).sum()
    found = fit_densities(train, test, 2)
    assert found["independent"]["nats_per_image"] == pytest.approx(entropy, abs=0.05)
    assert found["independent"]["bits_per_dim"] * 4 * math.log(2) == pytest.approx(
        found["independent"]["nats_per_image"]
    )


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_counts_are_distributions_over_all_values_of_a_pixel_given_those_before(levels):
    random = np.random.default_rng(0)
    train = [random.integers(levels, size=(3, 4, 1)).astype(np.uint8) for _ in range(9)]
    total = dict.fromkeys(("independent", "neighbours"), 0.0)
    for value in range(levels):
        for name, figures in fit_densities(train, [np.full((1, 1, 1), value)], levels).items():
            total[name] += math.exp(-figures["nats_per_image"])
    assert total == pytest.approx(dict.fromkeys(total, 1))
    # A context is the same whatever follows.
    image = train[0]
    before, _ = neighbours(image, levels)
    image[1:] = 0
    assert np.array_equal(before[:4], neighbours(image, levels)[0][:4])


def test_neighbours_tell_more_of_real_digits_than_a_pixel_alone():
    for options in ({}, {"binarise": "static"}):
        task, _ = create(**options)
        found = task.baselines()
        assert found["neighbours"]["nats_per_image"] < 64 * math.log(task.levels)
        assert found["independent"]["nats_per_image"] < 64 * math.log(task.levels)


def test_images_of_several_sizes_have_baselines_too():
    images = [np.full((2, 2, 1), 3, np.uint8), np.full((1, 3, 1), 3, np.uint8)]
    assert fit_densities(images, images, 17)["independent"]["bits_per_dim"] < 1
    assert list(fit_classifiers((images, [0, 1]), (images, [0, 0]))) == ["majority"]


def test_classifiers_are_measured_on_the_test_split():
    found = create(goal="class")[0].baselines()
    assert 0.05 < found["majority"]["accuracy"] < 0.15
    assert 0.93 < found["logistic regression"]["accuracy"] < 1


def test_binarising_leaves_labels_and_none_leaves_all():
    split = Split(np.zeros((2, 1, 1, 1), np.uint8), [4, 5])
    assert binarised({"train": split}, 17, "static")["train"].labels == [4, 5]
    assert binarised({"train": split}, 17, None)["train"] is split
