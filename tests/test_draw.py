"""`structnet draw`: structures as pictures."""

import re
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import call, code_folder, opened, refused, trained, trained_on_pixels
from conftest import SEEDS, batches, every_topology, graphs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import image, pyplot
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text
from PIL import Image, ImageSequence
from torch import nn

import structnet as sn
from structnet.data.synthetic import dag
from structnet.draw.animation import animate
from structnet.draw.layout import arrows, layered, level_of_nodes
from structnet.draw.picture import Look, draw, save, shortened
from structnet.draw.samples import find_samples, look_of_data, look_of_run


@every_topology
@settings(max_examples=5)
@given(data=st.data())
def test_arrows_and_levels_are_those_of_the_structure(topology, data):
    structure = data.draw(batches(topology, max_samples=1))
    plans = topology.plan(structure)
    for plan, graph in zip(plans, graphs_of(topology, structure), strict=True):
        assert sorted(map(tuple, arrows(plan).tolist())) == sorted(graph.edges())
        level = level_of_nodes(plan)
        assert all(level[u] < level[v] for u, v in graph.edges())


@pytest.mark.parametrize(
    "shape", [(1,), (5,), (1, 1), (1, 5), (5, 1), (3, 4), (2, 3, 4), (2, 1, 3, 2)]
)
def test_nodes_of_a_grid_stand_apart_in_raster_order(shape):
    at = sn.topologies.create("renet", dims=len(shape)).positions(shape)
    assert at.shape == (np.prod(shape), 2)
    apart = np.linalg.norm(at[:, None] - at, axis=2) + 9 * np.eye(len(at))
    assert apart.min() >= 1
    if len(shape) == 2:
        assert at.tolist() == [[x, y] for y in range(shape[0]) for x in range(shape[1])]


COMMANDS = {
    "topology=diagonal height=5 width=7": ["right: 35 nodes in 11 levels"],
    "topology=multidirectional height=1 width=3": [
        f"{name}: 3 nodes in 3 levels"
        for name in ("down-right", "down-left", "up-right", "up-left")
    ],
    "topology=row topology.dims=3 depth=2 height=2 width=2": ["down: 8 nodes in 2 levels"],
    "topology=graph nodes=5 seed=2": ["forward: 5 nodes in 4 levels"],
    "topology=ordered_graph nodes=1": ["forward: 1 node in 1 level"],
    "topology=bichain length=4": ["forward: 4 nodes in 4 levels", "backward: 4 nodes in 4 levels"],
    "topology=tree topology.arity=null leaves=1": ["up: 1 node in 1 level"],
    "topology=tree topology.direction=down leaves=2 seed=3": ["down: 3 nodes in 2 levels"],
}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_picture_is_drawn_and_told(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("draw", *words.split())
    assert status == 0, err
    name = words.split()[0].removeprefix("topology=")
    assert out.splitlines() == [*COMMANDS[words], f"picture: {name}.png"]
    (file,) = tmp_path.iterdir()
    pixels = image.imread(file)
    # Nodes of several colours on white.
    assert pixels.min() < 0.4 and (pixels[0, 0, :3] == 1).all()


def test_a_vector_picture_names_every_level(tmp_path):
    file = tmp_path / "picture.svg"
    titles = draw(sn.topologies.create("bidiagonal"), (2, 3), file)
    assert titles == ["right: 6 nodes in 4 levels", "left: 6 nodes in 4 levels"]
    ElementTree.parse(file)
    text = file.read_text()
    # Text is drawn as glyphs, with what it says in a comment.
    assert text.count("<!-- 3 -->") == 2 and text.count("<!-- 1 -->") == 4
    assert all(f"<!-- {title} -->" in text for title in titles)


def test_a_topology_of_ones_own_is_drawn_level_by_level(tmp_path):
    class Lattice(sn.Topology):
        arity = 2

        def predecessors(self, structure):
            return structure

    table = [[-1, -1], [-1, -1], [0, 1], [0, 1], [2, 3]]
    assert draw(Lattice(), table, tmp_path / "graph.png") == ["forward: 5 nodes in 3 levels"]


def graph_plan(pairs, size):
    (plan,) = sn.topologies.create("graph").plan([sn.Edges(np.array(pairs).T, size)])
    return plan


@given(seed=SEEDS)
def test_levels_are_columns_and_nodes_and_long_arrows_stand_apart(seed):
    edges = dag(15, np.random.default_rng(seed), degree=1.5)
    (plan,) = sn.topologies.create("graph").plan([edges])
    found = layered(plan, np.linspace(0.2, 2, 15), 0.4, 0.3)
    level, at = level_of_nodes(plan), found.at
    left, right = at[:, 0] - np.linspace(0.1, 1, 15), at[:, 0] + np.linspace(0.1, 1, 15)
    for u, v in arrows(plan):
        assert left[v] - right[u] >= 0.3 - 1e-9
        passed = found.waypoints.get((u, v), np.zeros((0, 2)))
        # Two points in every level between.
        assert len(passed) == 2 * (level[v] - level[u] - 1)
        for x, y in passed:
            column = np.abs(at[:, 0] - x) <= (right - left) / 2
            assert (np.abs(at[column, 1] - y) >= 0.3 - 1e-9).all()
    for one in range(15):
        for other in range(one):
            if level[one] == level[other]:
                assert abs(at[one, 1] - at[other, 1]) >= 0.4 - 1e-9


def test_a_planar_tree_is_drawn_without_crossings():
    plan = graph_plan([(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 2)], 7)
    down = layered(plan, np.full(7, 0.3), 0.4, 0.3).at[:, 1]
    assert list(np.argsort(down[3:])) == [0, 1, 2, 3]
    assert down[3] < down[1] < down[0] < down[2] < down[6]


def test_samples_of_a_task_are_drawn_with_its_names(tmp_path):
    file = tmp_path / "picture.svg"
    words = (f"task.root={code_folder()}", "topology.arity=null", "sample=3", f"out={file}")
    status, out, err = call("draw", "task=swapped", *words)
    assert status == 0, err
    assert out.splitlines()[1] == f"picture: {file}"
    ElementTree.parse(file)
    text = file.read_text()
    assert "target: " in text and "<!-- swapped, test sample 3; " in text
    names = set(re.findall(r"<!-- (\w+(?: \w+)*) -->", text))
    assert names & {"width", "height", "count", "total", "len", "min"}


def test_targets_of_nodes_are_colours_beside_a_bar(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("draw", "task=digits", "sample=2", "split=validation")
    assert status == 0, err
    # Of the topologies on grids one with a single direction is taken.
    assert out.splitlines() == ["right: 64 nodes in 15 levels", "picture: digits-2.png"]
    task, topology = sn.tasks.create("digits"), sn.topologies.create("diagonal")
    sample = task.load(topology)["validation"][2]
    look = look_of_data(task, sample, "digits")
    assert look.values.tolist() == sample.y[:, 0].tolist() and look.what == "target"


@pytest.mark.parametrize("pixels", [False, True])
def test_a_run_is_drawn_with_what_its_net_gives(pixels, tmp_path):
    directory = trained_on_pixels() if pixels else trained()
    file = tmp_path / "picture.svg"
    status, _, err = call("draw", f"run={directory}", "sample=1", f"out={file}")
    assert status == 0, err
    assert "<!-- norm of the state -->" in file.read_text()
    if not pixels:
        run = opened(directory)
        net = run.load_net()
        samples, at = find_samples(run.task, run.topology, "test", 1)
        assert (len(samples), at) == (2, 1)
        look = look_of_run(run, net, samples, at, "")
        batch = sn.collate(samples, run.topology)
        (layer,) = net.layers
        h = layer(net.input(batch.x), batch.plans)[int(batch.ptr[1]) :]
        assert look.values == pytest.approx(h.norm(dim=1).tolist())
        verdict = task_verdict(run, net, batch)
        assert look.title.endswith(f"; prediction: {verdict}")


def task_verdict(run, net, batch):
    probability = run.task.sample_output(net(batch), batch).softmax(1)[0, 1].item()
    return f"swapped, {probability:.3f}"


def test_scores_of_nodes_are_drawn(tmp_path):
    class Numbers(sn.Regression):
        """A number a node."""

        structures = ("sequence",)
        unit = "m"

        def load(self, topology):
            return {}

    class Scores(sn.Task):
        """A class a node."""

        structures = ("sequence",)
        classes = ("low", "middle", "high")

        def load(self, topology):
            return {}

    topology = sn.topologies.create("chain")
    y = np.array([1.0, np.nan, 3.0], np.float32)
    x = np.ones((3, 1), np.float32)
    for task, outputs in ((Numbers(), 1), (Scores(), 3)):
        targets = y if outputs == 1 else np.array([0, sn.IGNORE, 2])
        sample = sn.Sample(3, x, targets)
        look = look_of_data(task, sample, "")
        assert np.isnan(look.values[1]) and np.isfinite(look.values[[0, 2]]).all()
        assert look.what == ("target, m" if outputs == 1 else "target")
        draw(topology, 3, tmp_path / "data.png", look)
        task.scale = (10.0, 2.0)
        net = Head(topology, outputs)
        run = SimpleNamespace(task=task, topology=topology)
        look = look_of_run(run, net, [sample], 0, "")
        output = net(sn.collate([sample], topology)).detach()
        if outputs == 1:
            assert look.values == pytest.approx((output[:, 0] * 2 + 10).tolist())
        else:
            best = output.softmax(1).max(1)
            assert look.values == pytest.approx(best.values.tolist())
            assert look.names == [task.classes[one] for one in best.indices]
        draw(topology, 3, tmp_path / "run.png", look)


class Head(nn.Module):
    """A score a node."""

    def __init__(self, topology, outputs):
        super().__init__()
        self.layer = sn.Recurrence(topology, "gru", 1, 4)
        self.head = nn.Linear(4, outputs)

    def forward(self, batch):
        return self.head(self.layer(batch.x, batch.plans))


def test_names_are_cut_and_printed_as_they_are(tmp_path):
    assert shortened("a\n b\x00") == "a b·"
    assert shortened("x" * 99) == "x" * 27 + "…"
    # Mathematics is not set: a dollar is a dollar.
    file = tmp_path / "names.svg"
    draw(sn.topologies.create("chain"), 2, file, Look("$x$", ["$_{", "b"], np.arange(2.0), "y"))
    assert "<!-- $_{ -->" in file.read_text()


WRONG = {
    "task=digits topology=chain": "take a topology of",
    "task=digits sample=360": "no sample 360 in split 'test', which has 360",
    "task=digits split=tests": "did you mean 'test'",
    "task=digits smaple=3": "did you mean 'sample'",
    "task=digits sample=-1": "sample must be a whole number, at least 0, got '-1'",
    "task=digit": "did you mean 'digits'",
    "run=nowhere": "no run in nowhere",
    "run=nowhere height=3": "no option 'height=3'",
    "topology=diagonal hight=3": "among ['height', 'out', 'width']; did you mean 'height'",
    "topology=diagonal height=0": "height must be a whole number, at least 1, got '0'",
    "topology=diagonal depth=2": "no option 'depth=2'",
    "topology=chain length=2.5": "length must be a whole number, at least 1, got '2.5'",
    "topology=tree seed=-1": "seed must be a whole number, at least 0, got '-1'",
    "topology=diagnal": "did you mean 'diagonal'",
    "topology=diagonal topology.dims=4": "a grid of 4 dimensions has no picture",
    "topology=row height=100 width=100": "at most 1000 nodes, got 10000",
    "topology=row out=row.jpg": "a file in .png, .svg, .pdf, .gif, got 'row.jpg'",
    "topology=row height=20 width=20 out=row.gif": "at most 300 nodes, got 400",
    "topology=row out=": "out= takes a value",
    "topology=row out=nowhere/row.png": "for nowhere/row.png",
    "topology=any_dag": "no example to draw for a topology that takes 'dag'",
    "topology=row --fast": "no flag '--fast'",
    "cell=gru": "no option 'cell=gru'",
}


@pytest.mark.parametrize("words", WRONG)
def test_a_mistake_is_named_with_the_way_out(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert WRONG[words] in refused("draw", *words.split())
    assert not list(Path(tmp_path).iterdir())


def test_a_picture_in_python_is_a_figure_to_go_on_with():
    topology = sn.topologies.create("tree")
    figure = sn.picture(topology, [[1, 2], [-1, -1], [-1, -1]], names=["a", "b", "c"], title="abc")
    texts = {one.get_text() for one in figure.findobj(Text)}
    assert {"a", "b", "c", "up: 3 nodes in 2 levels", "abc"} <= texts
    assert pyplot.get_fignums() == [figure.number]
    pyplot.close(figure)
    with pytest.raises(ValueError, match="at most 1000 nodes, got 2000"):
        sn.picture(sn.topologies.create("chain"), 2000)


def test_a_gif_shows_one_level_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = call("draw", "topology=row", "height=3", "width=2", "out=row.gif")
    assert status == 0, err
    assert out.splitlines() == ["down: 6 nodes in 3 levels", "picture: row.gif"]
    with Image.open(tmp_path / "row.gif") as gif:
        frames = [np.array(one.convert("RGB"), float) for one in ImageSequence.Iterator(gif)]
    # A frame for every level, and one in which nothing is marked.
    assert len(frames) == 4
    red = [np.argwhere((one[..., 0] > 180) & (one[..., 1:] < 80).all(2)) for one in frames]
    down = [marked[:, 0].mean() for marked in red[:3]]
    assert down[0] < down[1] < down[2] and not len(red[3])


def test_an_animation_marks_the_nodes_of_a_level_in_every_direction():
    topology = sn.topologies.create("bidiagonal")
    made = sn.animation(topology, (2, 3), names=list("abcdef"), values=np.arange(6.0), title="abc")
    assert pyplot.get_fignums() == [made._fig.number]
    plans = topology.plan([(2, 3)])
    for frame in (0, 2, 3, 5):
        made._func(frame)
        # The colour bar comes after the panels.
        for plan, axes in zip(plans, made._fig.axes[:2], strict=True):
            level = level_of_nodes(plan)
            nodes = [one for one in axes.patches if not isinstance(one, FancyArrowPatch)]
            led = [one for one in axes.patches if isinstance(one, FancyArrowPatch)]
            red = [to_hex(one.get_edgecolor()) != "#000000" for one in nodes]
            assert red == (level == frame).tolist()
            assert [one.get_alpha() == 1 for one in nodes] == (level <= frame).tolist()
            assert [one.get_alpha() == 1 for one in axes.texts] == (level <= frame).tolist()
            assert (
                sum(one.get_alpha() == 1 for one in led)
                == (level[arrows(plan)[:, 1]] <= frame).sum()
            )
    # A page or notebook shows it without anything from elsewhere.
    shown = re.fullmatch(
        r'<img alt="levels" src="data:image/gif;base64,(\S+)">', made._repr_html_()
    )
    assert b64decode(shown[1]).startswith(b"GIF")
    pyplot.close(made._fig)


def test_an_animation_of_a_single_node_is_drawn(tmp_path):
    path = tmp_path / "chain.gif"
    assert len(animate(sn.topologies.create("bichain"), 1, path)) == 2
    assert path.read_bytes().startswith(b"GIF")


@pytest.mark.slow
def test_frames_are_smaller_where_there_are_many(tmp_path):
    path = tmp_path / "chain.gif"
    animate(sn.topologies.create("chain"), 60, path)
    with Image.open(path) as gif:
        assert gif.width * gif.height * 63 < 51_000_000 and gif.n_frames == 61


def test_a_drawing_of_a_tasks_own_is_not_animated(tmp_path):
    figure = pyplot.figure()
    with pytest.raises(ValueError, match="must be a file in"):
        save(figure, tmp_path / "own.gif")
    pyplot.close(figure)
