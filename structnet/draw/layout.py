"""Where a picture shows nodes: level by level from left to right, arrows led around what they pass.

After Sugiyama et al. (1981): an arrow that passes levels takes a place in each of them, and nodes
stand, as near as order and room allow, at the mean of those they are joined to.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from structnet.topology.plan import Plan

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
# Passes there and back after which nodes hardly move any more.
SWEEPS = 4
# Arrows of larger pictures lead straight on: places for them would take more room than nodes.
MOST_PLACES = 4000


@dataclass(frozen=True)
class Layout:
    """`at` (n, 2), to the right and down; `ways` are the points (k, 2) an arrow passes between."""

    at: Points
    ways: dict[tuple[int, int], Points]


def level_of_nodes(plan: Plan) -> Ints:
    """The level (N,) of every node."""
    return np.repeat(np.arange(len(plan.level_sizes)), plan.level_sizes)[plan.rank.numpy()]


def arrows(plan: Plan) -> Ints:
    """(E, 2): who feeds whom; initial states are nobody."""
    found = plan.arrows.T.numpy()
    return found[found[:, 0] < plan.num_nodes]


def layered(plan: Plan, width: Points, height: float, gap: float) -> Layout:
    """Levels as columns, as wide as their widest node; `gap` is between columns.

    `width` (n,) is that of every node, `height` what each takes with the room around it.
    """
    edges = np.unique(arrows(plan), axis=0)
    level, segments, chains = _with_places(level_of_nodes(plan), edges)
    tall = np.full(len(level), 0.5 * height)
    tall[: plan.num_nodes] = height
    down = _ordered(level, segments, tall)
    columns = np.zeros(len(plan.level_sizes))
    np.maximum.at(columns, level[: plan.num_nodes], width)
    # Where many arrows run from column to column they need room to part.
    middle = np.cumsum(columns + gap) - columns / 2 - gap
    at = np.stack([middle[level], down], 1)
    half = columns[level] / 2
    ways = {
        edge: np.concatenate([[at[p] - [half[p], 0], at[p] + [half[p], 0]] for p in places])
        for edge, places in chains.items()
    }
    return Layout(at[: plan.num_nodes], ways)


def _with_places(level: Ints, edges: Ints) -> tuple[Ints, Ints, dict[tuple[int, int], list[int]]]:
    """Levels of nodes and places behind them, what joins those of neighbouring levels, and the
    places that every long arrow passes. Arrows of one source share theirs."""
    spans = level[edges[:, 1]] - level[edges[:, 0]]
    if (spans - 1).sum() > MOST_PLACES:
        return level, edges[spans == 1], {}
    places: dict[tuple[int, int], int] = {}
    segments: set[tuple[int, int]] = set()
    chains = {}
    for source, target in edges.tolist():
        passed = range(int(level[source]) + 1, int(level[target]))
        way = [places.setdefault((source, one), len(level) + len(places)) for one in passed]
        segments.update(pairwise([source, *way, target]))
        if way:
            chains[source, target] = way
    # A dictionary keeps the order in which the places were numbered.
    behind = np.array([one for _, one in places], np.int64)
    joined = np.array(sorted(segments), np.int64).reshape(-1, 2)
    return np.concatenate([level, behind]), joined, chains


def _ordered(level: Ints, segments: Ints, tall: Points) -> Points:
    """How far down every node and place stands."""
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
    """The places next to those wanted, by least squares, that leave room for all in their order."""
    # Imported here: it takes a while.
    from scipy.optimize import isotonic_regression

    order = np.lexsort((before, wanted))
    tall = tall[order]
    above = np.cumsum(tall) - tall / 2
    placed = np.empty(len(wanted))
    placed[order] = isotonic_regression(wanted[order] - above).x + above
    return placed
