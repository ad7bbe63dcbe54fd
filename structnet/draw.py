"""A structure as a picture: its nodes, who feeds whom, and every level in a colour of its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.bench.structures import Sizes
from structnet.bench.structures import draw as draw_structures
from structnet.plan import Plan
from structnet.run import write
from structnet.topology import Topology

FORMATS = (".png", ".svg")
# More are neither told apart by eye nor drawn soon.
MOST_NODES = 1000
# In units of the distance between neighbours.
RADIUS, MARGIN = 0.28, 0.7
# In inches: a unit where there is room, what a picture may measure, a panel's title.
UNIT, LARGEST, TITLE = 0.6, 24.0, 0.35
POINTS = 72
Points = NDArray[np.float64]


def sizes_of(topology: Topology) -> dict[str, int]:
    """The sizes that make an example of what the topology takes, with their defaults."""
    grid = {"depth": 3, "height": 5, "width": 7}
    dims = getattr(topology, "dims", 2)
    known = {
        "sequence": {"length": 8},
        "tree": {"leaves": 8, "seed": 0},
        "grid": dict(list(grid.items())[-dims:]),
    }
    if topology.takes not in known:
        raise ValueError(
            f"no example to draw for a topology that takes {topology.takes!r}, "
            f"only for those of {sorted(known)}"
        )
    if topology.takes == "grid" and dims > len(grid):
        raise ValueError(f"a grid of {dims} dimensions has no picture; set topology.dims=3 or less")
    return known[topology.takes]


def example(topology: Topology, sizes: Mapping[str, int]) -> Any:
    """A structure of the sizes that `sizes_of` names."""
    if topology.takes == "grid":
        return tuple(sizes.values())
    if topology.takes == "sequence":
        return sizes["length"]
    leaves = Sizes(sizes["leaves"], sizes["leaves"])
    return draw_structures(topology, leaves, 1, sizes["seed"])[0]


def draw(topology: Topology, structure: Any, path: Path) -> list[str]:
    """Draw a structure, a panel for every direction, as PNG or SVG; what each panel shows.

    Arrows lead from a predecessor to the node that reads it, nodes bear their level.
    """
    if path.suffix not in FORMATS:
        raise ValueError(f"a picture is a file in {' or '.join(FORMATS)}, got {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.absolute().parent} for {path}")
    plans = topology.plan([structure])
    if plans[0].num_nodes > MOST_NODES:
        raise ValueError(
            f"a picture shows at most {MOST_NODES} nodes, got {plans[0].num_nodes}; "
            "take a smaller structure"
        )
    at = topology.positions(structure)
    at = _layered(plans[0]) if at is None else np.asarray(at, np.float64)
    titles = [
        f"{name}: {_count(plan.num_nodes, 'node')} in {_count(len(plan.level_sizes), 'level')}"
        for name, plan in zip(topology.directions, plans, strict=True)
    ]
    figure = _figure(plans, titles, at)
    write(path, lambda temporary: figure.savefig(temporary, format=path.suffix[1:], dpi=150))
    return titles


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")


def level_of_nodes(plan: Plan) -> NDArray[np.int64]:
    """The level (N,) of every node."""
    return np.repeat(np.arange(len(plan.level_sizes)), plan.level_sizes)[plan.rank.numpy()]


def arrows(plan: Plan) -> NDArray[np.int64]:
    """(E, 2): who feeds whom; initial states are nobody."""
    order, rows = plan.order.numpy(), plan.rows.numpy() - (1 + plan.num_initial)
    pairs = [np.zeros((0, 2), np.int64)]
    for start, stop, slots, offset in plan.steps:
        source = rows[offset : offset + (stop - start) * slots]
        target = np.repeat(order[start:stop], slots)
        inner = source >= 0
        pairs.append(np.stack([order[source[inner]], target[inner]], 1))
    return np.concatenate(pairs)


def _layered(plan: Plan) -> Points:
    """Levels from left to right, a node beside the mean of those that it reads."""
    level, edges = level_of_nodes(plan), arrows(plan)
    down = np.zeros(plan.num_nodes)
    for number in range(len(plan.level_sizes)):
        nodes = np.flatnonzero(level == number)
        into = edges[level[edges[:, 1]] == number]
        total = np.bincount(into[:, 1], down[into[:, 0]], plan.num_nodes)[nodes]
        count = np.bincount(into[:, 1], minlength=plan.num_nodes)[nodes]
        wanted = total / count if number else np.arange(len(nodes), dtype=np.float64)
        down[nodes] = _spaced(wanted)
    return np.stack([level.astype(np.float64), down], 1)


def _spaced(wanted: Points) -> Points:
    """Places at least one apart, in the order of those wanted and with their mean."""
    order = np.argsort(wanted, kind="stable")
    steps = np.arange(len(wanted))
    apart = np.maximum.accumulate(wanted[order] - steps) + steps
    placed = np.empty(len(wanted))
    placed[order] = apart + wanted.mean() - apart.mean()
    return placed


def _figure(plans: tuple[Plan, ...], titles: list[str], at: Points) -> Any:
    """The panels in a square of rows and columns, to one scale."""
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    low, high = at.min(0) - MARGIN, at.max(0) + MARGIN
    columns = int(np.ceil(np.sqrt(len(plans))))
    rows = -(-len(plans) // columns)
    unit = min(UNIT, *(LARGEST / (np.array([columns, rows]) * (high - low))))
    # A title of some words has to fit above a panel of one node.
    width, height = np.maximum((high - low) * unit, [2.6, 0.0])
    height += TITLE
    figure = Figure(figsize=(columns * width, rows * height))
    middle = (low + high) / 2
    for number, (plan, title) in enumerate(zip(plans, titles, strict=True)):
        row, column = divmod(number, columns)
        place = column / columns, 1 - (row + 1) / rows
        axes = figure.add_axes((*place, 1 / columns, (height - TITLE) / height / rows))
        half = np.array([width, height - TITLE]) / unit / 2
        axes.set(xlim=(middle[0] - half[0], middle[0] + half[0]))
        axes.set(ylim=(middle[1] + half[1], middle[1] - half[1]))
        axes.set_axis_off()
        axes.set_title(title, fontsize=9)
        _draw_arrows(axes, arrows(plan), at, unit)
        _draw_nodes(axes, level_of_nodes(plan), at, unit)
    return figure


def _draw_nodes(axes: Any, level: NDArray[np.int64], at: Points, unit: float) -> None:
    from matplotlib import colormaps
    from matplotlib.collections import EllipseCollection

    size = np.full(len(at), 2 * RADIUS)
    colors = colormaps["viridis"](level / max(1, level.max()))
    axes.add_collection(
        EllipseCollection(
            size, size, 0 * size, units="xy", offsets=at, offset_transform=axes.transData,
            facecolors=colors, edgecolors="black", linewidths=0.4, zorder=2,
        )
    )  # fmt: skip
    font = 0.6 * 2 * RADIUS * unit * POINTS
    for (right, down), color, number in zip(at, colors, level, strict=True):
        dark = color[:3] @ (0.3, 0.6, 0.1) < 0.5
        axes.text(right, down, str(number), fontsize=font, ha="center", va="center_baseline",
                  color="white" if dark else "black", zorder=3)  # fmt: skip


def _draw_arrows(axes: Any, edges: NDArray[np.int64], at: Points, unit: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    points = unit * POINTS
    for source, target in edges:
        bend = 0.35 if _is_hidden(at, source, target) else 0.0
        axes.add_patch(
            FancyArrowPatch(
                tuple(at[source]), tuple(at[target]), arrowstyle="-|>", color="0.45",
                connectionstyle=f"arc3,rad={bend}", mutation_scale=0.16 * points,
                shrinkA=RADIUS * points, shrinkB=RADIUS * points, linewidth=0.02 * points,
                zorder=1,
            )
        )  # fmt: skip


def _is_hidden(at: Points, source: int, target: int) -> bool:
    """Whether the straight line between two nodes passes over another."""
    way = at[target] - at[source]
    length = np.hypot(*way)
    along = (at - at[source]) @ way / length
    aside = np.abs((at - at[source]) @ [-way[1], way[0]]) / length
    return bool(((along > RADIUS) & (along < length - RADIUS) & (aside < RADIUS)).any())
