"""Scenes as trees of regions: their segments, what is counted, and what is shown."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from commands import SMALL, call, opened, refused
from PIL import Image
from test_superpixels import arrays

import structnet as sn
from structnet.plugins.files.images import read_coloured
from structnet.plugins.scenes.files import FILE
from structnet.plugins.tree.nets.parser import Parser
from structnet.plugins.tree.parsing.beam import Wanted
from structnet.plugins.tree.parsing.gold import Gold
from structnet.plugins.tree.parsing.segments import (
    given_segments,
    right_merges,
    segment_of,
    ward_merges,
)

# Six regions in a row, of classes 1 1 0 ? 0 0.
ROW = np.array([[0, 1, 2, 3, 4, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0, 1, 2, 3, 4]])
COUNTS = np.array([[0, 3], [1, 2], [5, 0], [0, 0], [1, 0], [2, 1]])


def image(edges, counts, x=None):
    """A sample of regions."""
    features = np.zeros((len(counts), 2), np.float32) if x is None else np.float32(x)
    parts = (given_segments(edges, counts),)
    return sn.Sample(sn.Edges(edges, len(counts)), features, counts, parts=parts)


def gold_of(sample):
    tree = sn.collate(sample.parts, sample.parts[0].topology)
    return Gold.of(tree, np.array([0, sample.num_nodes]))


def below(children, n):
    """The leaves of every node of a tree with n leaves, as sets."""
    found = [{leaf} for leaf in range(n)]
    for left, right in children:
        found.append(found[left] | found[right])
    return found


def test_what_is_connected_of_one_class_is_a_segment():
    gold = gold_of(image(ROW, COUNTS))
    assert gold.leaf_labels.tolist() == [2, 2, 1, sn.IGNORE, 1, 1]
    found = {
        (*np.flatnonzero(gold.covers[:, at]).tolist(),): int(gold.labels[0, at])
        for at in range(gold.covers.shape[1])
    }
    # The image has several segments; those of one region are its leaves.
    assert found == {(0, 1): 2, (4, 5): 1, (0, 1, 2, 3, 4, 5): 0}


@pytest.mark.parametrize(("n", "labels"), [(1, []), (3, [1])])
def test_an_image_may_be_one_region_or_one_segment(n, labels):
    edges = np.array([[0, 1, 1, 2], [1, 0, 2, 1]])[:, : 2 * (n - 1)]
    (tree,) = image(edges, np.array([[4, 0]] * n)).parts
    assert tree.y.tolist() == [1] * n + labels


def trees(n, draw):
    """A tree over n regions, as what its merges are of."""
    open_, found = list(range(n)), []
    while len(open_) > 1:
        at = sorted(draw.choice(len(open_), 2, replace=False).tolist())
        found.append([open_[at[0]], open_.pop(at[1])])
        open_[at[0]] = n + len(found) - 1
    return np.array(found)


def test_merges_that_join_a_part_of_a_segment_with_others_are_wrong():
    draw, sample = np.random.default_rng(0), image(ROW, COUNTS)
    segments, seen = [{0, 1}, {2}, {3}, {4, 5}], set()
    for _ in range(30):
        children = trees(6, draw)
        right = right_merges(gold_of(sample), children).tolist()
        for leaves, said in zip(below(children, 6)[6:], right, strict=True):
            parts = [one for one in segments if one & leaves and not one <= leaves]
            seen.add(said)
            assert said == (not parts or leaves <= parts[0])
    assert seen == {True, False}


def test_similar_regions_are_merged_first():
    close = [[0.0, 0], [0.1, 0], [3, 0], [9, 0], [6, 0], [6.1, 0]]
    assert ward_merges([image(ROW, COUNTS, close)]) == 1
    # 0 with nothing but 1, which is closer to 2: one of five merges is wrong.
    assert ward_merges([image(ROW, COUNTS, [[0, 0], [2.9, 0], *close[2:]])]) == 0.8
    assert np.isnan(ward_merges([]))


def parsed(children, scores):
    """A tree of one sample, with scores of its nodes."""
    n = len(scores) - len(children)
    both = np.concatenate([np.full((n, 2), -1), np.array(children, int).reshape(-1, 2)])
    return SimpleNamespace(children=both, scores=torch.tensor(scores), ptr=np.array([0, len(both)]))


def test_the_segment_is_the_uppermost_node_that_is_one():
    several, one, two = [1.0, 0, 0], [0.0, 1, 0], [0.0, 0, 1]
    found: Any = parsed([[0, 1], [4, 2], [5, 3]], [one, one, several, two, two, one, several])
    assert segment_of(found).tolist() == [5, 5, 5, 3, 5, 5, 6]
    # A node in a segment is a part of it, even if it is said to have several.
    found = parsed([[0, 1], [3, 2]], [one, one, one, several, two])
    assert segment_of(found).tolist() == [4] * 5
    found = parsed([], [several])
    assert segment_of(found).tolist() == [0]


@pytest.fixture
def made(tmp_path):
    """A task on scenes of a few pixels, its samples, and a net in float64."""
    pytest.importorskip("skimage")
    np.savez(tmp_path / FILE, **arrays())
    task = sn.tasks.create("scene_parsing", root=str(tmp_path), superpixels=12, weight=3.0)
    topology = sn.topologies.create("ordered_graph")
    splits = task.keep(task.load(topology))
    torch.manual_seed(0)
    sizes = sn.Sizes(None, task.input_size, task.num_outputs, parts=task.parts)
    net = Parser(
        sizes, topology, "lstm", "every", sn.heads["softmax"],
        hidden_size=4, context=False, leaf_size=5,
    ).double()  # fmt: skip
    samples: Any = [*splits["train"], *splits["test"]]
    batch = sn.collate(samples, topology)
    return task, net, replace(batch, x=batch.x.double())


def test_the_loss_has_every_superpixels_class_and_every_merges(made):
    task, net, batch = made
    net.train()
    output = net(batch)
    n = batch.num_nodes
    alone = -(output.scores[:n, 1:].log_softmax(1) * batch.y).sum() / batch.y.sum()
    known = output.around[n:] != sn.IGNORE
    scores = output.scores[n:][known].log_softmax(1)
    merged = -scores[torch.arange(len(scores)), output.around[n:][known]].mean()
    expected = output.violations.mean() + 3 * (alone + merged)
    assert task.loss(output, batch).item() == pytest.approx(expected.item(), rel=1e-9)


def test_a_merge_within_a_segment_has_its_class_and_others_have_several(made):
    _, net, batch = made
    seen: set[int] = set()
    net.train()
    with torch.no_grad():
        states, ptr = net.leaves(batch), batch.ptr.numpy()
        gold = Gold.of(batch.parts[0], ptr)
        output = net(batch)
        nodes = net._nodes(states, batch, gold)
        # The same search again, to know which leaves the nodes have.
        count = batch.num_samples
        margins = np.repeat([net.margin, -np.inf], count)
        found = net._search(nodes, batch, Wanted(np.tile(np.arange(count), 2), margins))
    leaves = below(np.stack([nodes["left"], nodes["right"]], 1)[batch.num_nodes :], batch.num_nodes)
    used = np.unique(np.concatenate(found))
    segment = dict(enumerate(component_of(batch)))
    for node, said in zip(used.tolist(), output.around[batch.num_nodes :].tolist(), strict=True):
        inside = {segment[leaf] for leaf in leaves[node]}
        first = min(leaves[node])
        expected = 0 if len(inside) > 1 else gold.leaf_labels[first]
        seen.add(said)
        assert said == expected
    assert 0 in seen and len(seen) > 2


def component_of(batch):
    """The segment of every superpixel of a batch, by networkx."""
    y = np.where(batch.y.any(1), batch.y.argmax(1), -1)
    arrows = batch.plans[0].arrows.numpy()
    pairs = arrows[:, arrows[0] < batch.num_nodes].T.tolist()
    graph = nx.Graph((a, b) for a, b in pairs if y[a] == y[b])
    graph.add_nodes_from(range(batch.num_nodes))
    found = np.zeros(batch.num_nodes, int)
    for number, nodes in enumerate(nx.connected_components(graph)):
        found[list(nodes)] = number
    return found


def test_figures_are_those_of_pixels_with_the_classes_of_their_segments(made):
    task, net, batch = made
    net.eval()
    with torch.no_grad():
        output = net(batch)
        answers = task.answer(net, batch)
    metrics = task.metrics()
    for name, pair in task.measured(output, batch).items():
        metrics[name].update(*pair)
    said = {name: float(metric.compute()) for name, metric in metrics.items()}
    right, total, merges = 0, int(batch.y.sum()), []
    for (a, b), answer in zip(pairwise(batch.ptr.tolist()), answers, strict=True):
        scene = answer.drawing
        classes = scene.classes[scene.segment]
        right += int(batch.y[a:b][np.arange(b - a), classes].sum())
        merges.append(scene.merges)
        assert answer.text == str(scene.text()).split("\n")[0]
        assert scene.shares.sum() == pytest.approx(1)
        assert sum(len(one["superpixels"]) for one in scene.as_dict()["segments"]) == b - a
    assert said["accuracy"] == pytest.approx(right / total)
    counts = np.array(merges).sum(0)
    assert said["merges"] == pytest.approx(counts[0] / counts[1])
    alone = output.scores[output.children[:, 0] < 0, 1:].argmax(1)
    pixels = batch.y[torch.arange(batch.num_nodes), alone].sum()
    assert said["alone accuracy"] == pytest.approx(float(pixels) / total)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("scenes")
    np.savez(folder / FILE, **arrays())
    status, out, err = call(
        "train", "experiment=parse_images", f"run={folder / 'run'}", f"task.root={folder}",
        "task.superpixels=12", "trainer.max_epochs=1", "net.hidden_size=4", "trainer.num_workers=0",
        "trainer.accelerator=cpu",
    )  # fmt: skip
    assert status == 0, err
    assert "ward" in out and "alone mean_iou" in out and "merges" in out
    Image.fromarray(arrays()["test_images"][0]).save(folder / "scene.png")
    return folder


def test_a_picture_is_parsed(trained):
    run, picture = f"run={trained / 'run'}", trained / "scene.png"
    status, out, err = call("predict", run, f"path={picture}")
    assert status == 0, err
    lines = out.splitlines()
    assert " %" in lines[0] and all(line.startswith(" ■ ") for line in lines[1:])
    (said,) = json.loads(call("predict", run, f"path={picture}", "--json").out)
    assert said["class"] == lines[0] and len(said["segments"]) == len(lines) - 1
    assert sum(one["share"] for one in said["segments"]) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "1", "P", "CMYK"])
def test_pictures_of_other_colours_are_read_as_they_look(tmp_path, mode):
    coloured = Image.fromarray(arrays()["test_images"][0])
    path = tmp_path / ("scene.jpg" if mode == "CMYK" else "scene.png")
    coloured.convert(mode).save(path)
    found = read_coloured(path)
    assert found.shape == (12, 16, 3) and found.dtype == np.uint8
    if mode in ("RGBA", "P"):
        assert np.abs(found - np.asarray(coloured, int)).mean() < 20


def test_what_is_transparent_is_white_and_more_bits_are_refused(tmp_path):
    Image.new("RGBA", (3, 2), (10, 20, 30, 0)).save(tmp_path / "clear.png")
    assert (read_coloured(tmp_path / "clear.png") == 255).all()
    Image.new("I;16", (3, 2)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png has more than 8 bits per channel"):
        read_coloured(tmp_path / "deep.png")


def test_a_scene_of_the_data_is_drawn_with_what_is_given(trained, tmp_path):
    run = f"run={trained / 'run'}"
    assert call("draw", run, "sample=1", f"out={tmp_path / 'scene.svg'}").status == 0
    drawn = (tmp_path / "scene.svg").read_text()
    assert "<svg" in drawn
    made = opened(trained / "run")
    samples = made.task.keep(made.task.load(made.topology))["test"]
    with torch.inference_mode():
        answers: Any = made.task.answer(made.load_net(), sn.collate(samples, made.topology))
    assert "merges" in answers[0].drawing.verdict


def test_what_does_not_fit_is_refused(trained):
    train = ("train", "task=scene_parsing", f"task.root={trained}", *SMALL)
    assert "'parser'" in refused(*train, "topology=ordered_graph")
    chain = refused(*train, "net=parser", "topology=chain")
    assert chain.startswith("task 'scene_parsing' has structures of kind ['undirected'], ")
    assert "take a topology of" in chain
    assert "net.search=beam" in refused(
        *train, "net=parser", "topology=ordered_graph", "net.search=cky"
    )
    weight = refused(*train, "net=parser", "topology=ordered_graph", "task.weight=-1")
    assert "'weight' is at least 0 and finite, got -1" in weight
    leaf = refused(*train, "net=parser", "topology=ordered_graph", "net.leaf_size=0")
    assert "'leaf_size' is at least 1, got 0" in leaf


def test_given_segments_are_drawn_without_a_net(trained, tmp_path):
    path = tmp_path / "given.svg"
    words = ("draw", "task=scene_parsing", f"task.root={trained}", "task.superpixels=12")
    status, _, err = call(*words, "sample=0", f"out={path}")
    assert status == 0, err
    assert "<svg" in path.read_text()


def test_of_several_pictures_those_that_cant_be_read_are_skipped(trained, tmp_path):
    run, whole = f"run={trained / 'run'}", (trained / "scene.png").read_bytes()
    for name, content in {"a": whole, "b": whole[:50], "c": b"", "d": whole}.items():
        (tmp_path / f"{name}.png").write_bytes(content)
    status, out, err = call("predict", run, f"path={tmp_path}")
    assert status == 0, err
    assert [Path(line.split(":")[0]).name for line in out.splitlines()] == ["a.png", "d.png"]
    for name in "bc":
        assert f"skipped {tmp_path / name}.png is no PNG or JPEG file that can be read" in err
        assert f"{name}.png is no PNG" in refused("predict", run, f"path={tmp_path / name}.png")
        (tmp_path / f"{name}.png").rename(tmp_path / f"{name}.txt")
    for name in "ad":
        (tmp_path / f"{name}.png").write_bytes(b"")
    status, _, err = call("predict", run, f"path={tmp_path}")
    assert status == 2 and f"none of 2 files can be read, {tmp_path / 'a.png'} first" in err
    missing = refused("predict", run, f"path={tmp_path / 'e.png'}")
    assert f"no file or folder '{tmp_path / 'e.png'}'" in missing and "task.root" not in missing
