"""Grids: predecessors by offsets, levels without a search, and sweeps against nested loops."""

from itertools import product

import numpy as np
import pytest
import torch
from conftest import assert_same, everything, features, graphs_of, recurrence
from hypothesis import given, settings
from hypothesis import strategies as st

import structnet as sn

GRIDS = [
    ("row", {}),
    ("row", {"direction": "up"}),
    ("row", {"direction": "both", "dims": 3}),
    ("row", {"dims": 1}),
    ("diagonal", {}),
    ("diagonal", {"direction": "left"}),
    ("diagonal", {"direction": "both", "dims": 3}),
    ("diagonal", {"dims": 1}),
    ("bidiagonal", {}),
    ("multidirectional", {}),
    ("multidirectional", {"dims": 3}),
    ("renet", {}),
    ("renet", {"dims": 3}),
    ("renet", {"dims": 4}),
]
every_grid = pytest.mark.parametrize(
    "grid", [pytest.param(sn.topologies.create(name, **options), id=f"{name}-{options}")
             for name, options in GRIDS]
)  # fmt: skip


def create(name, **options):
    return sn.topologies.create(name, **options)


def shapes(grid, largest=4):
    return st.tuples(*[st.integers(1, largest)] * grid.dims)


def by_definition(shape, offsets):
    """The table of a grid by a loop over its nodes, numbered in raster order."""
    number = {place: n for n, place in enumerate(product(*map(range, shape)))}
    return [
        [number.get(tuple(map(sum, zip(place, one, strict=True))), -1) for one in offsets]
        for place in number
    ]


def tables(grid, shape):
    found = grid.predecessors(shape)
    return found if len(grid.directions) > 1 else (found,)


def levels_of(plan):
    return torch.repeat_interleave(torch.tensor(plan.level_sizes))[plan.rank]


@every_grid
@given(data=st.data())
def test_a_node_follows_the_nodes_at_its_offsets(grid, data):
    shape = data.draw(shapes(grid))
    for table, offsets in zip(tables(grid, shape), grid.offsets, strict=True):
        assert table.tolist() == by_definition(shape, offsets)
    assert grid.arities == tuple(map(len, grid.offsets))
    assert len(grid.directions) == len(set(grid.directions)) == len(grid.shifts)


def test_offsets_are_those_of_the_papers():
    left, up, right, down = (0, -1), (-1, 0), (0, 1), (1, 0)
    assert create("row").offsets == (((-1, -1), (-1, 0), (-1, 1)),)
    assert create("row", direction="up").offsets == (((1, -1), (1, 0), (1, 1)),)
    assert create("diagonal").offsets == ((left, up),)
    assert create("diagonal", direction="both").offsets == ((left, up), (right, up))
    assert create("bidiagonal").offsets == ((left, up), (right, up))
    assert create("bidiagonal").shifts == (0, 1)
    corners = dict(zip(create("multidirectional").directions, create("multidirectional").offsets,
                       strict=True))  # fmt: skip
    assert corners == {
        "down-right": (left, up),
        "down-left": (right, up),
        "up-right": (left, down),
        "up-left": (right, down),
    }
    lines = dict(zip(create("renet").directions, create("renet").offsets, strict=True))
    assert lines == {"right": (left,), "left": (right,), "down": (up,), "up": (down,)}


def test_a_row_of_more_dimensions_reads_the_whole_neighbourhood_in_the_frame_before():
    (offsets,) = create("row", dims=3).offsets
    assert offsets == tuple((-1, y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))
    (plan,) = create("row", dims=3).plan([(4, 2, 3)])
    assert plan.level_sizes == (6,) * 4
    assert create("diagonal", dims=3).offsets == (((0, 0, -1), (0, -1, 0), (-1, 0, 0)),)
    assert len(create("multidirectional", dims=3).directions) == 8
    assert len(create("renet", dims=3).directions) == 6


def test_one_dimension_is_a_chain():
    chain = [[-1], [0], [1], [2]]
    for name in ("row", "diagonal"):
        assert create(name, dims=1).predecessors((4,)).tolist() == chain
    for name in ("multidirectional", "renet"):
        there, back = create(name, dims=1).predecessors((4,))
        assert there.tolist() == chain and back.tolist() == [[1], [2], [3], [-1]]


@every_grid
@given(data=st.data())
def test_levels_are_those_that_a_search_finds(grid, data):
    shape = data.draw(shapes(grid))
    for level, table in zip(grid.levels(shape), tables(grid, shape), strict=True):
        assert level.tolist() == levels_of(sn.schedule(table)).tolist()


def test_a_row_is_a_level_of_row_and_a_diagonal_one_of_diagonal():
    assert create("row").plan([(5, 7)])[0].level_sizes == (7,) * 5
    assert create("diagonal").plan([(3, 5)])[0].level_sizes == (1, 2, 3, 3, 3, 2, 1)
    # Images of several sizes side by side: their levels are run together.
    assert create("diagonal").plan([(1, 1), (1, 5), (5, 1)])[0].level_sizes == (3, 2, 2, 2, 2)


def test_offsets_that_no_linear_function_orders_are_searched():
    from structnet.plugins.grid.topology import Grid

    class Knight(Grid):
        def __init__(self):
            super().__init__(2, {"down": ((-1, -2), (-1, 2), (0, -1)), "skip": ((0, -2),)})

    grid = Knight()
    assert grid.levels((3, 4)) == (None, None)
    for plan, graph in zip(grid.plan([(3, 4)]), graphs_of(grid, [(3, 4)]), strict=True):
        level = levels_of(plan)
        for node in graph:
            assert level[node] == max((level[u] + 1 for u in graph.predecessors(node)), default=0)


def test_equal_shapes_give_the_very_same_plans():
    grid = create("diagonal")
    assert grid.plan([(3, 4)] * 2) is grid.plan([(3, 4)] * 2)
    assert grid.plan([[3, 4]])[0].order.equal(grid.plan([(np.int64(3), 4)])[0].order)
    with pytest.raises(ValueError, match="read-only"):
        grid.predecessors((3, 4))[0] = 5


@pytest.mark.parametrize("bad", [(0, 3), (3, 0), (-1, 2), (3,), (2, 2, 2), 5, (2.5, 3), "ab", None])
def test_what_is_no_grid_is_refused_with_its_value(bad):
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            create("diagonal").plan([(2, 2), bad])
        message = str(caught.value)
        assert "sample 1: a grid has 2 sizes, (height, width)" in message
        assert f"got {bad!r}" in message


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("row", {"dims": 0}, "'dims' is at least 1, got 0"),
        ("row", {"direction": "right"}, "'down' or 'up' or 'both', got 'right'"),
        ("diagonal", {"direction": "down"}, "'right' or 'left' or 'both', got 'down'"),
        ("renet", {"dims": -2}, "'dims' is at least 1, got -2"),
    ],
)
def test_a_bad_option_of_a_grid_is_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        create(name, **options)


# Sweeps


def nested_loop(cell, x, shape):
    """A diagonal LSTM as one writes it first: pixel by pixel, from the left and from above."""
    height, width = shape
    states = {}
    null = [x.new_zeros(size) for size in cell.state_sizes]
    for row in range(height):
        for column in range(width):
            left = states.get((row, column - 1), null)
            up = states.get((row - 1, column), null)
            z = x[None, row * width + column] @ cell.input.weight.T + cell.input.bias
            before = [torch.stack(pair)[None] for pair in zip(left, up, strict=True)]
            states[row, column] = [state[0] for state in cell(z, *before)]
    return torch.stack([state[0] for state in states.values()])


@pytest.mark.parametrize("batch", [[(1, 1)], [(1, 5)], [(5, 1)], [(3, 4), (1, 2), (4, 3)]])
def test_a_diagonal_layer_is_a_nested_loop_over_pixels(batch):
    grid = create("diagonal")
    layer, plans = recurrence(grid, "lstm"), grid.plan(batch)
    x = features(plans)
    ends = np.cumsum([0, *(h * w for h, w in batch)])
    (cell,) = layer.cells
    expected = torch.cat([nested_loop(cell, x[a:b], shape)
                          for shape, a, b in zip(batch, ends, ends[1:], strict=False)])  # fmt: skip
    found = layer(x, plans)
    assert_same(found.detach(), expected.detach())
    wanted = [x, *layer.parameters()]
    weights = torch.randn_like(found)
    grads = (
        torch.autograd.grad((h * weights).sum(), wanted, materialize_grads=True, allow_unused=True)
        for h in (found, expected)
    )
    for one, other in zip(*grads, strict=True):
        assert_same(one, other)


@every_grid
@settings(max_examples=3)
@given(data=st.data())
def test_sweeps_are_the_reference_in_every_dimension(grid, data):
    batch = data.draw(st.lists(shapes(grid, 5 - min(grid.dims, 3)), min_size=1, max_size=2))
    layer, plans = recurrence(grid, "lstm"), grid.plan(batch)
    x = features(plans)
    assert_same(
        everything(layer, x, plans), everything(layer, x, plans, executor="reference"), 1e-10
    )


def test_from_four_corners_every_pixel_sees_the_whole_image():
    grid = create("multidirectional")
    plans = grid.plan([(3, 4)])
    layer, x = recurrence(grid, "lstm"), features(plans)
    h = layer(x, plans)
    for node in range(12):
        (grad,) = torch.autograd.grad(h[node].sum(), x, retain_graph=True)
        assert grad.abs().sum(1).ne(0).all()


def test_two_layers_of_renet_see_the_whole_image_one_sees_a_cross():
    grid = create("renet")
    plans = grid.plan([(3, 4)])
    first, second = recurrence(grid, "elman"), recurrence(grid, "elman", input_size=8)
    x = features(plans)
    h = first(x, plans)
    (grad,) = torch.autograd.grad(h[5].sum(), x, retain_graph=True)
    row, column = torch.arange(12) // 4, torch.arange(12) % 4
    assert grad.abs().sum(1).ne(0).equal((row == 1) | (column == 1))
    (grad,) = torch.autograd.grad(second(h, plans)[5].sum(), x)
    assert grad.abs().sum(1).ne(0).all()
