"""Arrows between the nodes of a picture, led around other nodes."""

from itertools import pairwise
from typing import Any

import numpy as np

from structnet.draw.layout import Ints, Layout, Points


def draw_arrows(axes: Any, edges: Ints, layout: Layout, size: Points, scale: float) -> None:
    """Draw one arrow per edge, from the border of one node to the border of the other.

    Arguments:
        axes: matplotlib's.
        edges: (E, 2), source and target of each.
        layout: where the nodes are.
        size: (n, 2), width and height of every node.
        scale: of line widths and arrow heads.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Line

    style = {"arrowstyle": "-|>", "color": "0.45", "mutation_scale": 7 * scale,
             "linewidth": 0.9 * scale, "zorder": 1}  # fmt: skip
    for source, target in np.unique(edges, axis=0).tolist():
        points = _waypoints(layout, size, source, target)
        if points is None:
            bend = 0.3 if _is_hidden(layout.at, size, source, target) else 0.0
            ends = _ends(layout.at, size, source, target)
            arrow = FancyArrowPatch(*ends, shrinkA=0, shrinkB=0,
                                    connectionstyle=f"arc3,rad={bend}", **style)  # fmt: skip
        else:
            arrow = FancyArrowPatch(path=Line(*_curve(points)), **style)
        axes.add_patch(arrow)


def _waypoints(layout: Layout, size: Points, source: int, target: int) -> Points | None:
    """The points that an arrow passes, borders included; None for a straight arrow."""
    passed = layout.waypoints.get((source, target))
    if passed is None and (target, source) in layout.waypoints:
        passed = layout.waypoints[target, source][::-1]
    if passed is None:
        return None
    forth = np.sign(layout.at[target, 0] - layout.at[source, 0])
    start = layout.at[source] + [forth * size[source, 0] / 2, 0]
    stop = layout.at[target] - [forth * size[target, 0] / 2, 0]
    return np.concatenate([[start], passed, [stop]])


def _curve(points: Points) -> tuple[Points, list[Any]]:
    """Vertices and codes of a smooth line, horizontal at every point."""
    from matplotlib.path import Path as Line

    vertices, codes = [points[:1]], [Line.MOVETO]
    for a, b in pairwise(points):
        middle = (a[0] + b[0]) / 2
        vertices.append(np.array([[middle, a[1]], [middle, b[1]], b]))
        codes += [Line.CURVE4] * 3
    return np.concatenate(vertices), codes


def _ends(at: Points, size: Points, source: int, target: int) -> list[tuple[float, float]]:
    """Where the line between two nodes crosses their borders."""
    line = at[target] - at[source]
    ends = []
    for node, sign in ((source, 1), (target, -1)):
        share = _share_inside(line, size[node])
        ends.append(tuple(at[node] + sign * share * line))
    return ends


def _share_inside(line: Points, size: Points) -> float:
    """The fraction of a line from a node's middle that is inside the node."""
    radius = size[1] / 2
    straight = size[0] / 2 - radius
    right, down = np.abs(line)
    if right * radius <= straight * down:
        return radius / down
    # Where the line meets the circle around (straight, 0).
    length = np.hypot(right, down)
    along = right * straight / length
    aside = down * straight / length
    return (along + np.sqrt(max(0.0, radius**2 - aside**2))) / length


def _is_hidden(at: Points, size: Points, source: int, target: int) -> bool:
    """Whether the straight line between two nodes crosses another node."""
    line = at[target] - at[source]
    # In units of a node's size, in which nodes are circles.
    away = (at - at[source]) / size
    unit = np.broadcast_to(line / size, away.shape)
    length = np.maximum(np.hypot(*unit.T), 1e-9)
    along = (away * unit).sum(1) / length**2
    aside = np.abs(away[:, 0] * unit[:, 1] - away[:, 1] * unit[:, 0]) / length
    others = np.ones(len(at), bool)
    others[[source, target]] = False
    return bool((others & (along > 0) & (along < 1) & (aside < 0.5)).any())
