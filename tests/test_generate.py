"""`structnet generate`, and the pictures that a run of images makes as it trains."""

import numpy as np
import pytest
import torch
from commands import PIXELS, call, files_below, opened, refused, trained

from structnet.plugins.grid.pixel.generation import _parts, blank, draw, sheet


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of one epoch: plain, of classes, of small images, and conditioned on these."""
    folder = tmp_path_factory.mktemp("runs")
    variants = {
        "plain": ("trainer.max_epochs=2",),
        "class": ("task.condition=class",),
        "stage": ("task.size=4",),
        "small": ("task.condition=small",),
    }
    for name, words in variants.items():
        status, out, err = call("train", *PIXELS, *words, f"run={folder / name}")
        assert status == 0, err
        assert f"structnet generate run={folder / name} out=samples.png" in out
    return folder


def opened_picture(path):
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_a_run_shows_what_it_has_learned_after_every_epoch(runs):
    samples = {name for name in files_below(runs / "plain") if name.startswith("samples/")}
    assert samples == {f"samples/{kind}-00{epoch}.png" for kind in ("samples", "completions")
                       for epoch in (1, 2)}  # fmt: skip
    # 8 x 8 images of 56 pixels and gaps of 2.
    assert opened_picture(runs / "plain/samples/samples-001.png").shape == (466, 466, 3)
    assert opened_picture(runs / "plain/samples/completions-001.png").shape == (466, 350, 3)
    assert (runs / "plain/curve.png").is_file()


def test_pictures_are_drawn_as_often_as_the_trainer_says(tmp_path):
    words = (*PIXELS, "trainer.max_epochs=3", f"run={tmp_path / 'run'}")
    status, _, err = call("train", *words, "trainer.illustrate=2")
    assert status == 0, err
    assert {path.name for path in (tmp_path / "run/samples").iterdir()} == {
        "samples-002.png", "completions-002.png"
    }  # fmt: skip


def test_pictures_change_nothing_of_training(tmp_path, runs):
    words = (*PIXELS, "trainer.max_epochs=2", "trainer.illustrate=null", f"run={tmp_path / 'run'}")
    assert call("train", *words).status == 0
    assert not (tmp_path / "run/samples").exists()
    weights = [folder / "model.safetensors" for folder in (tmp_path / "run", runs / "plain")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("run", "words", "shape"),
    [
        ("plain", ["n=5"], (3 * 58 + 2, 2 * 58 + 2)),
        ("plain", ["n=4", "height=4", "width=7"], (2 * 34 + 2, 2 * 58 + 2)),
        ("plain", ["complete=3"], (3 * 58 + 2, 6 * 58 + 2)),
        ("class", ["n=20"], (2 * 58 + 2, 10 * 58 + 2)),
        ("class", ["n=3", "class=7"], (58 + 2, 10 * 58 + 2)),
        ("small", ["n=4"], (2 * 58 + 2, 2 * 58 + 2)),
        ("small", ["n=4", "small=STAGE"], (2 * 58 + 2, 2 * 58 + 2)),
        ("stage", ["n=1"], (60, 60)),
    ],
)
def test_generate_draws_a_sheet(runs, tmp_path, run, words, shape):
    words = [word.replace("STAGE", str(runs / "stage")) for word in words]
    out = tmp_path / "new.png"
    status, told, err = call("generate", f"run={runs / run}", *words, f"out={out}")
    assert status == 0, err
    assert told == f"picture: {out}\n"
    assert opened_picture(out).shape == (*shape, 3)
    assert files_below(tmp_path) == {"new.png"}


def test_numbers_may_have_exponents(runs, tmp_path):
    status, _, err = call("generate", f"run={runs / 'plain'}", "n=1", "temperature=1e-3",
                          f"out={tmp_path / 'a.png'}")  # fmt: skip
    assert status == 0, err


def test_a_seed_and_a_temperature_decide_what_is_drawn(runs, tmp_path):
    def drawn(*words):
        assert call("generate", f"run={runs / 'plain'}", "n=4", *words, f"out={tmp_path / 'a.png'}")
        return opened_picture(tmp_path / "a.png").tobytes()

    first = drawn("seed=3")
    assert first == drawn("seed=3") != drawn("seed=4")
    assert drawn("temperature=0.00001", "seed=3") == drawn("temperature=0.00001", "seed=4") != first


def test_the_upper_half_is_kept_and_everything_else_is_drawn(runs):
    run = opened(runs / "plain")
    net, samples = run.load_net(), run.task.load(run.topology)["test"][:5]
    images = draw(run.task, net, run.topology, samples, given_rows=0.5)
    for image, one in zip(images, samples, strict=True):
        original = torch.from_numpy(one.y).view(8, 8, 1)
        assert torch.equal(image[:4], original[:4]) and not torch.equal(image[4:], original[4:])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["n=0"], "n is at least 1, got 0"),
        (["complete=0"], "complete is at least 1, got 0"),
        (["n=many"], "takes int, got 'many'"),
        (["temperature=0"], "temperature is above 0, got 0"),
        (["class=3"], "task.condition=class"),
        (["small=x"], "task.condition=small"),
        (["colour=3"], "no option 'colour'"),
        (["temprature=2"], "did you mean 'temperature'"),
        (["height=0"], "got \\(0, 8\\)"),
        (["out=a.jpg"], "out must be a .png file, got a.jpg"),
        (["out=/proc/a.png", "n=1"], "cannot write /proc/a.png"),
        (["complete=2", "class=3"], "complete=... is of test images: leave out class"),
        (["complete=99999"], "complete is at most 360"),
        (["out=nowhere/a.png"], "no folder nowhere"),
    ],
)
def test_generate_says_what_is_wrong_with_a_word(runs, words, message, tmp_path, monkeypatch):
    import re

    monkeypatch.chdir(tmp_path)
    assert re.search(message, refused("generate", f"run={runs / 'plain'}", *words))
    assert not list(tmp_path.iterdir())


def test_generate_refuses_an_unknown_class_and_runs_that_do_not_fit(runs):
    assert "no class '11' among" in refused("generate", f"run={runs / 'class'}", "class=11")
    assert "no run in" in refused("generate", f"run={runs / 'small'}", "small=nowhere")
    for other in ("plain", "small"):
        message = refused("generate", f"run={runs / 'small'}", f"small={runs / other}")
        assert "4 x 4 pixels" in message and "task.size=4" in message
    assert "run=... is missing" in refused("generate", "n=3")
    assert "no run in" in refused("generate", "run=nowhere")
    assert "nothing to generate" in refused("generate", f"run={trained()}")


def test_a_net_that_draws_no_pixels_is_named(runs):
    run = opened(runs / "plain")
    with pytest.raises(ValueError, match="Linear does not draw pixels: train with net=pixelrnn"):
        draw(run.task, torch.nn.Linear(1, 1), run.topology, [blank((2, 2), 1)])


def test_images_of_different_sizes_share_a_sheet():
    tiles = [np.zeros((3, 5, 1), np.uint8), np.full((4, 2, 3), 255, np.uint8)]
    image = np.asarray(sheet(tiles, columns=2))
    assert image.shape == (4 * 11 + 4, 2 * 57 + 2, 3)
    assert (image[2:35, 2:57] == 0).all() and (image[2:46, 59:81] == 255).all()


def test_many_images_are_drawn_some_at_a_time(monkeypatch):
    from structnet.plugins.grid.pixel import generation

    monkeypatch.setattr(generation, "MOST_NODES", 10)
    samples = [blank((2, width), 1) for width in (1, 2, 3, 9, 1, 1)]
    assert [len(part) for part in _parts(samples)] == [2, 1, 1, 2]
    assert sum(len(part) for part in _parts(samples)) == 6
