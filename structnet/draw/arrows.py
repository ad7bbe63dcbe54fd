"""Arrows between nodes of a picture, around what they would pass over."""

from itertools import pairwise
from typing import Any

import numpy as np

from structnet.draw.layout import Ints, Layout, Points


def draw_arrows(axes: Any, edges: Ints, layout: Layout, size: Points, scale: float) -> None:
    """An arrow for each of the edges (E, 2), from border to border of nodes of size (n, 2)."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    style = {"arrowstyle": "-|>", "color": "0.45", "mutation_scale": 7 * scale,
             "linewidth": 0.9 * scale, "zorder": 1}  # fmt: skip
    for source, target in np.unique(edges, axis=0).tolist():
        points = _way(layout, size, source, target)
        if points is None:
            bend = 0.3 if _is_hidden(layout.at, size, source, target) else 0.0
            ends = _ends(layout.at, size, source, target)
            arrow = FancyArrowPatch(*ends, shrinkA=0, shrinkB=0,
                                    connectionstyle=f"arc3,rad={bend}", **style)  # fmt: skip
        else:
            arrow = FancyArrowPatch(path=Line(*_curve(points)), **style)
        axes.add_patch(arrow)


def _way(layout: Layout, size: Points, source: int, target: int) -> Points | None:
    """The points from border to border that an arrow passes, there or back; None where straight."""
    way = layout.ways.get((source, target))
    if way is None and (target, source) in layout.ways:
        way = layout.ways[target, source][::-1]
    if way is None:
        return None
    forth = np.sign(layout.at[target, 0] - layout.at[source, 0])
    start = layout.at[source] + [forth * size[source, 0] / 2, 0]
    stop = layout.at[target] - [forth * size[target, 0] / 2, 0]
    return np.concatenate([[start], way, [stop]])


def _curve(points: Points) -> tuple[Points, list[int]]:
    """Vertices and codes of a line that is level at every point."""
    from matplotlib.path import Path as Line

    vertices, codes = [points[:1]], [Line.MOVETO]
    for a, b in pairwise(points):
        middle = (a[0] + b[0]) / 2
        vertices.append(np.array([[middle, a[1]], [middle, b[1]], b]))
        codes += [Line.CURVE4] * 3
    return np.concatenate(vertices), codes


def _ends(at: Points, size: Points, source: int, target: int) -> list[tuple[float, float]]:
    """Where the line between two nodes leaves the one and meets the other."""
    way = at[target] - at[source]
    ends = []
    for node, sign in ((source, 1), (target, -1)):
        share = _share_inside(way, size[node])
        ends.append(tuple(at[node] + sign * share * way))
    return ends


def _share_inside(way: Points, size: Points) -> float:
    """How much of a way from the middle of a node lies within its rounded ends."""
    radius = size[1] / 2
    straight = size[0] / 2 - radius
    right, down = np.abs(way)
    if right * radius <= straight * down:
        return radius / down
    # Where the way meets the circle around (straight, 0).
    length = np.hypot(right, down)
    along = right * straight / length
    aside = down * straight / length
    return (along + np.sqrt(max(0.0, radius**2 - aside**2))) / length


def _is_hidden(at: Points, size: Points, source: int, target: int) -> bool:
    """Whether the straight line between two nodes passes over another."""
    way = at[target] - at[source]
    # In units of a node's size, so that all of them are circles.
    away = (at - at[source]) / size
    unit = np.broadcast_to(way / size, away.shape)
    length = np.maximum(np.hypot(*unit.T), 1e-9)
    along = (away * unit).sum(1) / length**2
    aside = np.abs(away[:, 0] * unit[:, 1] - away[:, 1] * unit[:, 0]) / length
    others = np.ones(len(at), bool)
    others[[source, target]] = False
    return bool((others & (along > 0) & (along < 1) & (aside < 0.5)).any())
