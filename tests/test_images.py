"""Files of images: MNIST, CIFAR-10 and folders, whole and damaged."""

import gzip
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import structnet as sn
from structnet.data.batch import collate
from structnet.plugins.grid.tasks.pictures import Classes

DIAGONAL = sn.topologies.create("diagonal")
DATA = Path(os.environ.get("STRUCTNET_DATA", "nowhere"))
RECORD = 3073


def load(name, **options):
    return sn.tasks.create(name, **options).load(DIAGONAL)


# MNIST


def idx(array, kind=8):
    head = bytes((0, 0, kind, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def mnist(tmp_path):
    """Six training and two test images of 2 x 3 pixels, half of the files under gzip."""
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("t10k", 2)):
        images, labels = random.integers(256, size=(count, 2, 3)), np.arange(count)
        packed = gzip.compress(idx(images))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(packed)
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path


def test_idx_files_are_read_packed_and_plain(mnist):
    splits = load("mnist", root=str(mnist), binarise=None)
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 5, "validation": 1, "test": 2
    }  # fmt: skip
    expected = np.random.default_rng(0).integers(256, size=(6, 2, 3))
    for sample, image in zip([*splits["train"], *splits["validation"]], expected, strict=True):
        assert sample.structure == (2, 3)
        assert np.array_equal(sample.y[:, 0], image.ravel())
    labels = load("mnist", root=str(mnist), goal="class")
    assert [sample.y for sample in labels["train"]] == [0, 1, 2, 3, 4]


def test_mnist_is_black_and_white_unless_told_otherwise(mnist):
    task = sn.tasks.create("mnist", root=str(mnist))
    assert (task.levels, task.num_outputs, task.monitor) == (2, 1, "nats_per_image")
    for how in ("static", "threshold", "dynamic"):
        splits = load("mnist", root=str(mnist), binarise=how)
        assert {0, 1} == {int(v) for sample in splits["train"] for v in sample.y[:, 0]}
    assert sn.tasks.create("mnist", binarise=None, likelihood="logistics").num_outputs == 30


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (IMAGES, lambda data: data[:-1], r"6 x 2 x 3 values, 52 bytes expected, got 51.*cut off"),
        (IMAGES, lambda data: data + b"x", r"52 bytes expected, got 53.*longer"),
        (IMAGES, lambda data: data[:9], "ends in its header, after 9 of 16 bytes"),
        (IMAGES, lambda data: b"", "begins with nothing, expected 00000803"),
        (IMAGES, lambda data: b"\0\0\x0d\3" + data[4:], "begins with 00000d03, expected 00000803"),
        (IMAGES, lambda data: idx(np.zeros(6)), "begins with 00000801, expected 00000803"),
        (IMAGES, lambda data: idx(np.zeros((0, 2, 3))), "holds no images: it is of 0 x 2 x 3"),
        (IMAGES, lambda data: idx(np.zeros((6, 0, 3))), "holds no images: it is of 6 x 0 x 3"),
        (LABELS, lambda data: idx(np.arange(5)), "has 6 images, .*labels-idx1-ubyte has 5 labels"),
        (LABELS, lambda data: idx(np.arange(6) + 7), "label 10 of image 3 is out of range.*0 to 9"),
    ],
)
def test_a_damaged_idx_file_is_named_with_what_was_expected(mnist, name, damage, message):
    packed = mnist / f"{IMAGES}.gz"
    if name == IMAGES:
        packed.unlink()
        data = idx(np.random.default_rng(0).integers(256, size=(6, 2, 3)))
    else:
        data = (mnist / name).read_bytes()
    (mnist / name).write_bytes(damage(data))
    with pytest.raises(ValueError, match=message) as caught:
        load("mnist", root=str(mnist))
    assert str(mnist / name) in str(caught.value)


def test_sizes_in_a_head_that_no_memory_could_hold_are_only_counted(mnist):
    (mnist / f"{IMAGES}.gz").unlink()
    (mnist / IMAGES).write_bytes(b"\0\0\x08\3" + b"\xff" * 12 + b"x")
    with pytest.raises(ValueError, match="bytes expected, got 17: it is cut off"):
        load("mnist", root=str(mnist))


@pytest.mark.parametrize("damage", [lambda data: data[:-5], lambda data: b"no gzip" + data])
def test_a_damaged_gzip_file_is_named(mnist, damage):
    path = mnist / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        ValueError, match=r"train-images-idx3-ubyte\.gz is not a complete gzip file"
    ):
        load("mnist", root=str(mnist))


def test_too_few_images_for_a_validation_split_are_refused(mnist):
    for what, array in (("images-idx3", np.zeros((5, 2, 3))), ("labels-idx1", np.zeros(5))):
        for suffix in ("", ".gz"):
            (mnist / f"train-{what}-ubyte{suffix}").unlink(missing_ok=True)
        (mnist / f"train-{what}-ubyte").write_bytes(idx(array))
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte has 5 images.*at least 6"):
        load("mnist", root=str(mnist))


def test_missing_files_are_asked_for(mnist, monkeypatch):
    (mnist / LABELS).unlink()
    with pytest.raises(FileNotFoundError, match=r"no train-labels-idx1-ubyte\.gz in .*task\.root="):
        load("mnist", root=str(mnist))
    monkeypatch.delenv("STRUCTNET_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"no folder is given for .*t10k-labels.*mnist/"):
        load("mnist")


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="STRUCTNET_DATA names no mnist/")
def test_the_real_mnist():
    splits = load("mnist", binarise="threshold")
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [50000, 10000, 10000]
    assert splits["test"][0].structure == (28, 28)
    labels = load("mnist", goal="class")
    assert [int(labels["train"][i].y) for i in range(5)] == [5, 0, 4, 1, 9]


# CIFAR-10


def record(label, seed):
    """An image as the format has it: label, then red, green and blue."""
    image = np.random.default_rng(seed).integers(256, size=(32, 32, 3), dtype=np.uint8)
    return bytes([label]) + image.transpose(2, 0, 1).tobytes(), image


@pytest.fixture
def cifar(tmp_path):
    """Five training files of two images each, and a test image."""
    for number in range(1, 6):
        data = b"".join(record(label, 10 * number + label)[0] for label in (0, 9))
        (tmp_path / f"data_batch_{number}.bin").write_bytes(data)
    (tmp_path / "test_batch.bin.gz").write_bytes(gzip.compress(record(3, 0)[0]))
    return tmp_path


def test_cifar_images_are_read_as_pixels_of_three_channels(cifar):
    task = sn.tasks.create("cifar10", root=str(cifar))
    splits = task.load(DIAGONAL)
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 9, "validation": 1, "test": 1
    }  # fmt: skip
    assert np.array_equal(splits["test"][0].y, record(3, 0)[1].reshape(-1, 3))
    assert np.array_equal(splits["train"][1].y, record(9, 19)[1].reshape(-1, 3))
    assert np.array_equal(splits["validation"][0].y, record(9, 59)[1].reshape(-1, 3))
    assert (task.num_outputs, task.monitor, task.mode) == (768, "bits_per_dim", "min")
    labels = load("cifar10", root=str(cifar), goal="class")
    assert [sample.y for sample in labels["train"]] == [0, 9, 0, 9, 0, 9, 0, 9, 0]


def test_a_subset_is_taken_where_the_whole_is_not(tmp_path, monkeypatch):
    (tmp_path / "cifar10_subset").mkdir()
    for name in ("data_batch_first4000", "test_batch_first1000"):
        (tmp_path / "cifar10_subset" / f"{name}.bin").write_bytes(record(1, 1)[0] * 10)
    monkeypatch.setenv("STRUCTNET_DATA", str(tmp_path))
    with pytest.warns(sn.DataWarning, match="only a part of CIFAR-10: .*cifar10_subset"):
        assert len(load("cifar10")["train"]) == 9
    monkeypatch.setenv("STRUCTNET_DATA", str(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match=r"no data_batch_1\.bin, .*test_batch\.bin in"):
        load("cifar10")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is of 0 bytes, expected a multiple of 3073"),
        (record(1, 1)[0][:-1], "is of 3072 bytes, expected a multiple of 3073"),
        (
            record(1, 1)[0] + record(10, 1)[0],
            "label 10 of image 1 is out of range, expected 0 to 9",
        ),
    ],
)
def test_a_damaged_cifar_file_is_named(cifar, data, message):
    (cifar / "data_batch_2.bin").write_bytes(data)
    with pytest.raises(ValueError, match=rf"data_batch_2\.bin.*{message}"):
        load("cifar10", root=str(cifar))


# Folders


@pytest.fixture
def folder(tmp_path):
    """Eight coloured images of several sizes in two folders."""
    random = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / ("cats", "dogs")[number % 2] / f"{number}.{('png', 'JPG')[number // 4]}"
        path.parent.mkdir(exist_ok=True)
        size = (2 + number % 3, 4, 3)
        Image.fromarray(random.integers(256, size=size, dtype=np.uint8)).save(path)
    return tmp_path


def test_images_of_different_sizes_are_in_one_batch(folder):
    task = sn.tasks.create("images", root=str(folder))
    splits = task.load(DIAGONAL)
    assert sorted(map(len, splits.values())) == [1, 1, 6]
    batch = collate(splits["train"], DIAGONAL)
    assert len(set(batch.shapes)) > 1 and batch.x.shape == (batch.num_nodes, 3)
    first = next(s for some in splits.values() for s in some if s.structure == (2, 4))
    assert first.y.shape == (8, 3)
    output = torch.zeros(batch.num_nodes, task.num_outputs)
    assert float(task.measured(output, batch)["bits_per_dim"][0][0]) == pytest.approx(8)


def test_pixels_of_a_png_are_what_was_saved(folder):
    image = np.random.default_rng(0).integers(256, size=(2, 4, 3), dtype=np.uint8)
    samples = [s for some in load("images", root=str(folder)).values() for s in some]
    assert any(np.array_equal(s.y, image.reshape(-1, 3)) for s in samples)


def test_the_split_is_the_seeds(folder):
    def test_split(seed):
        return load("images", root=str(folder), seed=seed)["test"][0].y.tobytes()

    assert test_split(3) == test_split(3)
    assert len({test_split(seed) for seed in range(9)}) > 1


def test_classes_are_the_folders(folder):
    task = sn.tasks.create("images", root=str(folder), goal="class")
    splits = task.load(DIAGONAL)
    assert task.classes == ["cats", "dogs"] and task.num_outputs == 2
    assert sorted(int(s.y) for some in splits.values() for s in some) == [0] * 4 + [1] * 4
    assert sn.tasks.create("images", root=str(folder), condition="class").condition == Classes(2)
    (folder / "0.png").write_bytes((folder / "cats" / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"0\.png has no class"):
        load("images", root=str(folder), goal="class")
    assert load("images", root=str(folder))


@pytest.fixture
def split_folder(tmp_path):
    """Folders of splits with folders of classes below; an image's value is its number."""
    for number in range(12):
        part, name = ("train", "train", "test")[number % 3], ("a", "b")[number // 6]
        path = tmp_path / part / name / f"{number}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.new("L", (2, 2), number).save(path)
    return tmp_path


def values(splits):
    return {name: sorted(int(255 * (s.x[0, 0] + 1) / 2 + 0.5) for s in some)
            for name, some in splits.items()}  # fmt: skip


def test_folders_that_are_named_like_splits_are_the_splits(split_folder):
    task = sn.tasks.create("images", root=str(split_folder), goal="class", channels=1)
    splits = task.load(DIAGONAL)
    assert task.classes == ["a", "b"]
    found = values(splits)
    # Without a folder for validation it is a tenth of the training images.
    assert found["test"] == [2, 5, 8, 11] and len(found["validation"]) == 1
    assert sorted(found["train"] + found["validation"]) == [0, 1, 3, 4, 6, 7, 9, 10]
    assert [int(s.y) for s in splits["test"]] == [0, 0, 1, 1]
    (split_folder / "train" / "a").rename(split_folder / "val")
    assert values(load("images", root=str(split_folder), channels=1))["validation"] == [0, 1, 3, 4]
    (split_folder / "more").mkdir()
    Image.new("L", (2, 2)).save(split_folder / "more" / "x.png")
    task = sn.tasks.create("images", root=str(split_folder), goal="class", channels=1)
    assert task.classes == ["more", "test", "train", "val"]


def test_a_table_tells_classes_and_splits(split_folder):
    table = split_folder / "labels.csv"
    rows = [f"{path.relative_to(split_folder)},{'uneven' if int(path.stem) % 2 else 'even'}"
            for path in sorted(split_folder.rglob("*.png"))]  # fmt: skip
    table.write_text("\n".join(["File,Label", *rows]))
    task = sn.tasks.create("images", root=str(split_folder), goal="class", channels=1)
    splits = task.load(DIAGONAL)
    assert task.classes == ["even", "uneven"] and sorted(map(len, splits.values())) == [1, 1, 10]
    for some in splits.values():
        assert all(int(s.y) == int(255 * (s.x[0, 0] + 1) / 2 + 0.5) % 2 for s in some)
    parts = ("train", "valid", "test", "train")
    given = [f"{row},{parts[number % 4]}" for number, row in enumerate(rows[:8])]
    table.write_text("\n".join(["file,label,split", *given]))
    splits = load("images", root=str(split_folder), goal="class", channels=1)
    assert {name: len(some) for name, some in splits.items()} == {
        "train": 4, "validation": 2, "test": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"labels\.csv, line 1: its columns are \[\]; write file,label"),
        ("name,label\n", r"line 1: its columns are \['name', 'label'\]"),
        ("file,label\n", r"labels\.csv has no rows"),
        ("file,label\ntrain/a/0.png\n", r"line 2: 1 values for the columns"),
        ("file,label\ntrain/a/0.png,\n", r"line 2: train/a/0\.png has no label"),
        ("file,label\nnone.png,a\n", r"line 2: there is no image 'none\.png' below"),
        ("file,label\n../secret.png,a\n", r"there is no image '\.\./secret\.png' below"),
        ("file,label\n/etc/passwd,a\n", r"there is no image '/etc/passwd' below"),
        ("file,label\ntrain/a/0.png,a\ntrain/a/0.png,b\n", r"line 3: .* is there twice"),
        ("file,label,split\ntrain/a/0.png,a,other\n", r"line 2: split 'other' is none of train"),
        ("file,label\n\"a", r"line 2: not a row of comma-separated values"),
        ("file,label,split\ntrain/a/0.png,a,dev\ntrain/a/1.png,a,test\ntrain/a/3.png,a,test",
         r"has no images of train"),
        ("file,split\ntrain/a/0.png,train\ntest/a/2.png,test\ntrain/a/1.png,train\n",
         r"2\.png has no class: every image must be in one of the folders .* labels\.csv"),
    ],
)  # fmt: skip
def test_a_table_that_can_not_be_used_is_named_with_its_line(split_folder, text, message):
    (split_folder.parent / "secret.png").write_bytes(b"")
    (split_folder / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load("images", root=str(split_folder), goal="class", channels=1)


def test_sizes_are_averaged_where_told(folder, tmp_path_factory):
    splits = load("images", root=str(folder), size=2, averaged=True)
    assert {s.structure for some in splits.values() for s in some} == {(2, 2)}
    flat = tmp_path_factory.mktemp("flat")
    board = np.indices((8, 8)).sum(0) % 2 * 200
    for number in range(3):
        Image.fromarray(board.astype(np.uint8)).save(flat / f"{number}.png")
    every = load("images", root=str(flat), size=2, channels=1)["train"][0]
    mean = load("images", root=str(flat), size=2, averaged=True, channels=1)["train"][0]
    assert every.y.tolist() == [[0]] * 4 and all(abs(one - 100) < 8 for (one,) in mean.y.tolist())
    with pytest.raises(ValueError, match=r"'averaged' is of task\.size: set task\.size=N"):
        load("images", root=str(flat), averaged=True)


def test_black_and_white_images_are_predicted_as_two_levels(tmp_path):
    random = np.random.default_rng(0)
    for number in range(4):
        bits = random.integers(2, size=(3, 3), dtype=np.uint8) * 255
        Image.fromarray(bits).convert("1").save(tmp_path / f"{number}.png")
    options = {"root": str(tmp_path), "channels": 1}
    with pytest.warns(sn.DataWarning, match=r"black and white: task\.likelihood=bernoulli"):
        load("images", **options)
    task = sn.tasks.create("images", likelihood="bernoulli", **options)
    samples = [s for some in task.load(DIAGONAL).values() for s in some]
    assert task.num_outputs == 1 and {int(one) for s in samples for one in s.y.ravel()} == {0, 1}
    Image.new("L", (3, 3), 7).save(tmp_path / "grey.png")
    with pytest.raises(ValueError, match=r"grey\.png has the value 7: task\.likelihood=bernoulli"):
        task = sn.tasks.create("images", likelihood="bernoulli", **options)
        task.load(DIAGONAL)


@pytest.mark.filterwarnings("ignore:all images below .* are black and white")
def test_modes_that_mean_grey_or_coloured_are_taken(tmp_path):
    grey = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8))
    for number, image in enumerate((grey, grey.convert("1"), grey)):
        image.save(tmp_path / f"{number}.png")
    splits = load("images", root=str(tmp_path), channels=1)
    assert all(s.y[:, 0].tolist() == [0, 255, 255, 0] for some in splits.values() for s in some)
    for number in range(3):
        grey.convert("RGB").quantize(4).save(tmp_path / f"{number}.png")
    assert all(s.y.shape == (4, 3) for s in load("images", root=str(tmp_path))["train"])


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ("L", r"mode L \(3 x 3, uint8\), expected RGB.*set task\.channels=1 if all are like it"),
        ("RGBA", "mode RGBA .* expected RGB: task.channels=3 of 8 bits; convert it"),
        ("I;16", "mode I;16 .*uint16.* expected RGB"),
    ],
)
def test_an_image_of_other_channels_is_named(folder, mode, message):
    if mode == "I;16":
        Image.fromarray(np.full((3, 3), 60_000, np.uint16)).save(folder / "odd.png")
    else:
        Image.new(mode, (3, 3)).save(folder / "odd.png")
    with pytest.raises(ValueError, match=rf"odd\.png has {message}"):
        load("images", root=str(folder))


@pytest.mark.parametrize("cut", [0, 10, 60])
def test_an_unreadable_image_is_named(folder, cut):
    path = folder / "cats" / "0.png"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"0\.png is no PNG or JPEG file that can be read"):
        load("images", root=str(folder))


def test_another_kind_of_file_under_a_name_of_ours_is_refused(folder):
    Image.new("RGB", (2, 2)).save(folder / "odd.png", format="BMP")
    with pytest.raises(ValueError, match=r"odd\.png is no PNG or JPEG"):
        load("images", root=str(folder))


def test_sizes_that_options_do_not_go_with_are_named(folder):
    with pytest.raises(ValueError, match=r"2\.png: option 'size' divides.* 4 x 4|3 x 4"):
        load("images", root=str(folder), size=2)
    with pytest.raises(ValueError, match=r"condition=small takes images of one size"):
        load("images", root=str(folder), condition="small")


def test_colours_of_16_bits_are_refused(folder):
    rows = b"".join(b"\0" + bytes(range(12)) for _ in range(2))

    def chunk(kind, data):
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    (folder / "wide.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    with pytest.raises(ValueError, match=r"wide\.png has 16 bits per channel, expected 8"):
        load("images", root=str(folder), channels=3)


def test_a_photograph_stands_upright_and_hidden_folders_are_passed_over(tmp_path):
    from PIL import Image

    turned = Image.Exif()
    turned[0x0112] = 6
    for number in range(3):
        Image.new("RGB", (8, 4)).save(tmp_path / f"{number}.jpg", exif=turned)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "broken.png").write_bytes(b"nothing")
    splits = load("images", root=str(tmp_path), channels=3)
    assert [one.structure for some in splits.values() for one in some] == [(8, 4)] * 3


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"set task\.root=FOLDER"):
        load("images")
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*nothing \(task\.root\)"):
        load("images", root=str(tmp_path / "nothing"))
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=r"no images \(\.png, \.jpg, \.jpeg\) below"):
        load("images", root=str(tmp_path))
    Image.new("RGB", (2, 2)).save(tmp_path / "one.png")
    with pytest.raises(ValueError, match=r"1 images below .* need at least one each"):
        load("images", root=str(tmp_path))
    with pytest.raises(ValueError, match=r"'channels' is 1 or 3, got 2"):
        sn.tasks.create("images", channels=2)
