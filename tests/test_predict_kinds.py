"""Predictions for files of every kind of task: of samples, of nodes, or why there are none."""

import re
from pathlib import Path

import numpy as np
import pytest
from commands import call, refused
from PIL import Image

SMALL = ("net.hidden_size=4", "trainer.num_workers=0", "trainer.accelerator=cpu", "debug=steps",
         "run=out")  # fmt: skip


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(folder, *names, size=(8, 8), mode="L"):
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    for name in names:
        shape = size if mode == "L" else (*size, 3)
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(folder / name)


def test_an_image_has_a_class_and_where_it_is(place):
    draw(place / "new", "a.png", "b.png", size=(6, 5))
    words = ("task=digits", "task.goal=class", "topology=diagonal")
    assert call("train", *words, *SMALL).status == 0
    status, out, err = call("predict", "run=out", "path=new")
    assert (status, err) == (0, "")
    line = r"new/{}.png:1: 6 x 5 pixels \(\d, [01]\.\d{{3}}\)"
    assert re.fullmatch("\n".join(map(line.format, "ab")) + "\n", out)
    assert len(call("predict", "run=out", "path=new/b.png").out.splitlines()) == 1
    assert "no file or folder 'nowhere'" in refused("predict", "run=out", "path=nowhere")
    draw(place / "new", "c.png", mode="RGB")
    assert "new/c.png has mode RGB" in refused("predict", "run=out", "path=new/c.png")


def test_a_folder_of_images_is_predicted_without_the_one_that_was_learned_from(place):
    for label in ("round", "square"):
        draw(place / "mine" / label, *(f"{number}.png" for number in range(5)))
    words = ("task=images", "task.root=mine", "task.goal=class", "task.channels=1")
    status, _, err = call("train", *words, "topology=diagonal", *SMALL)
    assert status == 0, err
    (place / "mine").rename("moved")
    status, out, err = call("predict", "run=out", "path=moved/round")
    assert status == 0, err
    assert all(re.search(r"\((round|square), ", line) for line in out.splitlines())
    # Tested on other images with the classes that the net knows.
    status, out, err = call("test", "run=out", "task.root=moved")
    assert status == 0, err
    Path("moved/square").rename("moved/oval")
    assert "'oval' is none of the classes" in refused("test", "run=out", "task.root=moved")


def test_a_net_that_draws_images_says_so(place):
    words = ("task=digits", "task.train_size=16", "topology=diagonal", "net=pixelrnn",
             "net.num_layers=1", "net.first_kernel=3")  # fmt: skip
    status, out, err = call("train", *words, *SMALL)
    assert status == 0, err
    assert "structnet predict" not in out
    message = refused("predict", "run=out", "path=new")
    assert "draws images" in message and "structnet generate" in message


def test_every_pixel_of_a_street_scene_is_told(place):
    scenes = {f"{part}_{what}": np.zeros((2, 3, 4, 3)[: 4 if what == "images" else 3], np.uint8)
              for part in ("train", "val", "test") for what in ("images", "labels")}  # fmt: skip
    np.savez(place / "camvid_80x60.npz", **scenes)
    draw(place / "new", "a.png", size=(2, 3), mode="RGB")
    words = ("task=segmentation", f"task.root={place}", "topology=diagonal")
    status, _, err = call("train", *words, *SMALL)
    assert status == 0, err
    lines = call("predict", "run=out", "path=new/a.png").out.splitlines()
    assert len(lines) == 6
    assert re.fullmatch(r"new/a.png:1: node 5 \(1, 2\) \(\w+, [01]\.\d{3}\)", lines[5])


def test_the_next_character_is_told_after_every_one(place):
    words = ("task=arithmetic", "task.digits=1", "task.train_size=20", "topology=chain",
             "net.embedding_size=4")  # fmt: skip
    assert call("train", *words, *SMALL).status == 0
    (place / "sums.txt").write_text("1+2=\n")
    lines = call("predict", "run=out", "path=sums.txt").out.splitlines()
    assert [line.rsplit(" (", 1)[0] for line in lines] == [
        f"sums.txt:1: node {number} {one}" for number, one in enumerate("1+2=")
    ]
    (place / "sums.txt").write_text("1+2=\n1*2\n")
    assert "sums.txt, line 2: unknown character '*', known are" in refused(
        "predict", "run=out", "path=sums.txt"
    )


def test_tasks_without_files_say_what_shows_their_samples(place):
    words = ("task=river", "task.basins=8", "task.sources=3", "task.hours=4", "task.window=4")
    status, _, err = call("train", *words, "topology=tree", *SMALL)
    assert status == 0, err
    message = refused("predict", "run=out", "path=x")
    assert "draws its basins itself" in message and "structnet draw run=DIR" in message


def test_graphs_of_another_folder_of_a_dataset_are_told(place):
    write_graphs(place / "one", 12)
    write_graphs(place / "two", 3)
    words = ("task=pyg", "task.dataset=TUDataset", "task.dataset_name=SMALL", "task.root=one")
    status, _, err = call("train", *words, "topology=ordered_graph", *SMALL)
    assert status == 0, err
    status, out, err = call("predict", "run=out", "path=two")
    assert status == 0, err
    assert re.fullmatch(
        r"(two:\d: graph \d, 2 nodes \(([01]), [01]\.\d{3}, given (\2|\d ✗)\)\n){3}", out
    )


def write_graphs(root, count):
    """Graphs of two nodes in the text format of TU Dortmund."""
    folder = root / "SMALL" / "raw"
    folder.mkdir(parents=True)
    pairs = [f"{a}, {b}" for n in range(count) for a, b in ((2 * n + 1, 2 * n + 2),
                                                            (2 * n + 2, 2 * n + 1))]  # fmt: skip
    files = {
        "A": pairs,
        "graph_indicator": [str(1 + node // 2) for node in range(2 * count)],
        "graph_labels": [str(graph % 2) for graph in range(count)],
        "node_labels": [str(node % 2) for node in range(2 * count)],
    }
    for name, lines in files.items():
        (folder / f"SMALL_{name}.txt").write_text("\n".join(lines) + "\n")


def test_code_of_which_nothing_can_be_read_is_a_mistake(place):
    from commands import trained

    (place / "bad.py").write_text("def (:\n")
    status, out, err = call("predict", f"run={trained()}", "path=bad.py")
    assert status == 2 and out == ""
    assert "none of 1 files can be read" in err
