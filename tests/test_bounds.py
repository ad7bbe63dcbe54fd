"""Numbers that no machine has the time or the memory for are refused before anything is made."""

import pytest
from commands import refused, trained_on_pixels

import structnet as sn

HUGE = 10**9
OPTIONS = [
    ("arithmetic", "train_size", 10**12),
    ("arithmetic", "distractors", HUGE),
    ("arithmetic", "digits", HUGE),
    ("xml", "train_size", HUGE),
    ("xml", "iterations", HUGE),
    ("xml", "name_length", HUGE),
    ("river", "basins", HUGE),
    ("river", "sources", HUGE),
    ("river", "window", 10**11),
    ("river", "hours", HUGE),
]


@pytest.mark.parametrize(("task", "option", "value"), OPTIONS)
def test_a_task_that_draws_its_data_is_bounded(task, option, value):
    with pytest.raises(ValueError, match=f"{option}|machine's memory"):
        sn.tasks.create(task, **{option: value})


def test_mixtures_and_dimensions_are_bounded():
    with pytest.raises(ValueError, match="'mixtures' is at most"):
        sn.tasks.create("digits", likelihood="logistics", mixtures=HUGE)
    for name in ("row", "diagonal", "multidirectional", "renet"):
        with pytest.raises(ValueError, match="'dims' is at most 8, got 1000000000"):
            sn.topologies.create(name, dims=HUGE)


@pytest.mark.parametrize("net", ["pixelrnn", "pixelcnn"])
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("first_kernel", 10**9 + 1),
        ("kernel", 10**9 + 1),
        ("hidden_size", HUGE),
        ("head_size", HUGE),
        ("num_layers", HUGE),
    ],
)
def test_nets_of_pixels_are_bounded(tmp_path, net, option, value):
    message = refused("train", "task=digits", "topology=diagonal", f"net={net}",
                      f"net.{option}={value}", f"run={tmp_path / 'run'}")  # fmt: skip
    assert f"'{option}' is at most" in message


@pytest.mark.parametrize(
    "words",
    [
        ["n=1000000000"],
        ["n=1", "height=100000", "width=100000"],
        ["n=1", "height=1000000000000", "width=1"],
    ],
)
def test_a_sheet_of_images_is_bounded(tmp_path, words):
    out = tmp_path / "x.png"
    message = refused("generate", f"run={trained_on_pixels()}", f"out={out}", *words)
    assert "pixels" in message and not out.exists()


@pytest.mark.parametrize(
    "words",
    [
        ["topology=diagonal", "height=1000000", "width=1000000"],
        ["topology=chain", "length=100000000000"],
        ["topology=tree", "leaves=1000000000"],
        ["topology=graph", "nodes=1000000000"],
        ["topology=ordered_graph", "nodes=1000000000"],
    ],
)
def test_a_picture_of_a_structure_is_bounded(tmp_path, words):
    message = refused("draw", *words, f"out={tmp_path / 'x.png'}")
    assert "a picture shows at most 1000 nodes" in message


def test_threads_are_bounded():
    message = refused("bench", "topology=chain", "size=3", "repeats=1", "threads=1000000")
    assert "threads must be at most" in message
