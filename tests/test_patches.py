"""Patches of images as nodes: task.patch."""

import json

import numpy as np
import pytest
import torch
from commands import SMALL, call
from PIL import Image

import structnet as sn

DIAGONAL = sn.topologies.create("diagonal")
CLASS = {"goal": "class"}


def loaded(name="digits", **options):
    task = sn.tasks.create(name, **CLASS, **options)
    return task, task.keep(task.load(DIAGONAL))


def write_images(folder, height=4, width=6, channels=3, count=8):
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        pixels = random.integers(0, 256, (height, width, channels), np.uint8)
        Image.fromarray(pixels if channels == 3 else pixels[..., 0]).save(path)
    return folder


@pytest.mark.parametrize("channels", [1, 3])
def test_the_features_of_a_patch_are_its_pixels_in_row_order(tmp_path, channels):
    root = write_images(tmp_path / "images", channels=channels)
    whole, pixels = loaded("images", root=str(root), channels=channels)
    task, patches = loaded("images", root=str(root), channels=channels, patch=2)
    assert (whole.input_size, task.input_size) == (channels, 4 * channels)
    for one, other in zip(pixels["train"], patches["train"], strict=True):
        assert one.structure == (4, 6) and other.structure == (2, 3) and one.y == other.y
        image = one.x.reshape(4, 6, channels)
        for node, features in enumerate(other.x):
            down, right = 2 * (node // 3), 2 * (node % 3)
            expected = [image[down + i, right + j] for i in range(2) for j in range(2)]
            assert np.array_equal(features, np.concatenate(expected))


def test_patches_are_of_what_size_leaves():
    task, splits = loaded(size=4, averaged=True, patch=2)
    assert splits["test"][0].structure == (2, 2) and splits["test"][0].x.shape == (4, 4)
    _, drawn = loaded(binarise="dynamic", patch=4)
    assert set(np.unique(drawn["train"][0].x)) <= {-1, 1} and drawn["train"][0].x.shape == (4, 16)
    # A patch for every pixel is a node for every pixel.
    for one, other in zip(loaded(patch=1)[1]["test"], loaded()[1]["test"], strict=True):
        assert one.structure == other.structure and np.array_equal(one.x, other.x)
    assert task.baselines()["logistic regression"]["accuracy"] > 0.5


@pytest.mark.parametrize("topology", ["row", "diagonal", "bidiagonal", "multidirectional", "renet"])
def test_every_grid_takes_patches(topology):
    topology = sn.topologies.create(topology)
    task, splits = loaded(patch=2)
    net = sn.Net(sn.Sizes(None, task.input_size, 10), topology, "lstm", "mean", hidden_size=3)
    batch = sn.collate([splits["train"][i] for i in range(3)], topology)
    assert batch.num_nodes == 3 * 16 and net(batch).shape == (3, 10)
    assert torch.isfinite(task.loss(net(batch), batch))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goal": "pixels", "patch": 2}, r"'patch' is for task\.goal=class: .* leave it out"),
        ({"goal": "class", "patch": 0}, "'patch' is at least 1, got 0"),
    ],
)
def test_a_patch_that_is_none_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sn.tasks.create("digits", **options)


def test_a_patch_that_does_not_divide_names_the_file_and_the_way_out(tmp_path):
    message = r"'patch' divides .* 3 does not divide 8 x 8; task\.size=N task\.averaged=true"
    with pytest.raises(ValueError, match=message):
        loaded(patch=3)[1]["test"][0]
    root = write_images(tmp_path / "images")
    write_images(root, height=5, count=1)
    with pytest.raises(ValueError, match=r"a.0\.png: option 'patch' divides .* 2 .* 5 x 6; task"):
        loaded("images", root=str(root), patch=2)
    loaded("images", root=str(root), patch=2, size=4, averaged=True)


def test_a_run_on_patches_predicts_files(tmp_path):
    run, root = tmp_path / "run", write_images(tmp_path / "new", 8, 8, channels=1, count=3)
    words = ("experiment=digits_class", "task.patch=2", "task.train_size=64", *SMALL)
    words = (*(one for one in words if "batch_nodes" not in one), "trainer.max_epochs=1")
    status, out, err = call("train", *words, "net.executor=auto", f"run={run}")
    assert status == 0, err
    assert "logistic regression" in out
    said = json.loads(call("predict", f"run={run}", f"path={root}", "--json").out)
    assert len(said) == 3 and all(one["class"] in "0123456789" for one in said)
    write_images(root, 7, 8, channels=1, count=1)
    status, out, err = call("predict", f"run={run}", f"path={root}", "--json")
    assert status == 0 and len(json.loads(out)) == 2
    assert "0.png: option 'patch' divides" in err and "7 x 8" in err
    status, _, err = call("predict", f"run={run}", f"path={root / 'a' / '0.png'}")
    assert status != 0 and "0.png: option 'patch' divides" in err
