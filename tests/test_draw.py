"""`structnet draw`: structures as pictures."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from commands import call, refused
from conftest import batches, every_topology, graphs_of
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import image

import structnet as sn
from structnet.draw import arrows, draw, level_of_nodes


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


WRONG = {
    "topology=diagonal hight=3": "among ['height', 'out', 'width']; did you mean 'height'",
    "topology=diagonal height=0": "height is a whole number from 1 on, got '0'",
    "topology=diagonal depth=2": "no option 'depth=2'",
    "topology=chain length=2.5": "length is a whole number from 1 on, got '2.5'",
    "topology=tree seed=-1": "seed is a whole number from 0 on, got '-1'",
    "topology=diagnal": "did you mean 'diagonal'",
    "topology=diagonal topology.dims=4": "a grid of 4 dimensions has no picture",
    "topology=row height=100 width=100": "at most 1000 nodes, got 10000",
    "topology=row out=row.gif": "a file in .png or .svg, got 'row.gif'",
    "topology=row out=": "a file in .png or .svg, got",
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
