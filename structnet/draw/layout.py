"""The positions of nodes in a picture: one column per level, from left to right.

Layered drawing after Sugiyama et al. (1981): an arrow that skips levels has a place in each of
them, and a node is as close to the mean of its neighbours as order and space allow.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from structnet.topology.plan import Plan

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
# Forward and backward passes after which nodes hardly move.
SWEEPS = 4
# With more places than this, arrows are straight: places would take more space than nodes.
MOST_PLACES = 4000


@dataclass(frozen=True)
class Layout:
    """Where nodes and arrows are.

    Arguments:
        at: (n, 2), the middle of every node, to the right and down.
        waypoints: (source, target) -> the points (k, 2) that the arrow passes.
    """

    at: Points
    waypoints: dict[tuple[int, int], Points]


def level_of_nodes(plan: Plan) -> Ints:
    """The level (N,) of every node."""
    return np.repeat(np.arange(len(plan.level_sizes)), plan.level_sizes)[plan.rank.numpy()]


def arrows(plan: Plan) -> Ints:
    """Source and target (E, 2) of every edge, without initial states."""
    found = plan.arrows.T.numpy()
    return found[found[:, 0] < plan.num_nodes]


def layered(plan: Plan, width: Points, height: float, gap: float) -> Layout:
    """The layout with one column per level.

    Arguments:
        plan: of one structure.
        width: (n,) of every node; a column is as wide as its widest node.
        height: of a node with the space around it.
        gap: between columns.
    """
    edges = np.unique(arrows(plan), axis=0)
    level, segments, chains = _with_places(level_of_nodes(plan), edges)
    tall = np.full(len(level), 0.5 * height)
    tall[: plan.num_nodes] = height
    down = _ordered(level, segments, tall)
    columns = np.zeros(len(plan.level_sizes))
    np.maximum.at(columns, level[: plan.num_nodes], width)
    middle = np.cumsum(columns + gap) - columns / 2 - gap
    at = np.stack([middle[level], down], 1)
    half = columns[level] / 2
    waypoints = {
        edge: np.concatenate([[at[p] - [half[p], 0], at[p] + [half[p], 0]] for p in places])
        for edge, places in chains.items()
    }
    return Layout(at[: plan.num_nodes], waypoints)


def _with_places(level: Ints, edges: Ints) -> tuple[Ints, Ints, dict[tuple[int, int], list[int]]]:
    """The levels of nodes and, after them, of places; edges between neighbouring levels; and the
    places of every arrow that skips levels. Arrows of one source share places."""
    spans = level[edges[:, 1]] - level[edges[:, 0]]
    if (spans - 1).sum() > MOST_PLACES:
        return level, edges[spans == 1], {}
    places: dict[tuple[int, int], int] = {}
    segments: set[tuple[int, int]] = set()
    chains = {}
    for source, target in edges.tolist():
        passed = range(int(level[source]) + 1, int(level[target]))
        own = [places.setdefault((source, one), len(level) + len(places)) for one in passed]
        segments.update(pairwise([source, *own, target]))
        if own:
            chains[source, target] = own
    # In the order of their numbers.
    behind = np.array([one for _, one in places], np.int64)
    joined = np.array(sorted(segments), np.int64).reshape(-1, 2)
    return np.concatenate([level, behind]), joined, chains


def _ordered(level: Ints, segments: Ints, tall: Points) -> Points:
    """The vertical position of every node and place."""
    columns = [np.flatnonzero(level == number) for number in range(int(level.max(initial=-1)) + 1)]
    down = np.zeros(len(level))
    for column in columns:
        down[column] = np.cumsum(tall[column])
    sides = [(segments[:, 0], segments[:, 1]), (segments[:, 1], segments[:, 0])]
    for sweep in range(2 * SWEEPS + 1):
        near, own = sides[sweep % 2]
        for column in columns if sweep % 2 == 0 else reversed(columns):
            inside = np.isin(own, column)
            count = np.bincount(own[inside], minlength=len(level))[column]
            total = np.bincount(own[inside], down[near[inside]], len(level))[column]
            wanted = np.where(count > 0, total / np.maximum(count, 1), down[column])
            down[column] = _apart(wanted, down[column], tall[column])
    return down


def _apart(wanted: Points, before: Points, tall: Points) -> Points:
    """The positions closest to those wanted, by least squares, that keep order and distance."""
    # Imported here: it takes a while.
    from scipy.optimize import isotonic_regression

    order = np.lexsort((before, wanted))
    tall = tall[order]
    above = np.cumsum(tall) - tall / 2
    placed = np.empty(len(wanted))
    placed[order] = isotonic_regression(wanted[order] - above).x + above
    return placed
