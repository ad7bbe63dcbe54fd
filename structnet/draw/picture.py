"""A structure as a picture: nodes coloured by level or value, arrows from predecessors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from structnet.data.synthetic import SizeRange
from structnet.data.synthetic import draw as draw_structures
from structnet.draw.arrows import draw_arrows
from structnet.draw.layout import Layout, Points, arrows, layered, level_of_nodes
from structnet.system.files import write
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

FORMATS = (".png", ".svg", ".pdf")
# More can't be told apart by eye, and take long to draw.
MOST_NODES = 1000
# In inches: the largest width and height, a line of a title, a colour bar with its text, the margin
# around the nodes, the gap between columns.
LARGEST, LINE, BAR, MARGIN, GAP = 48.0, 0.2, 0.9, 0.25, 0.35
# In inches: a node without a name, the height of a node with a name, the distance of nodes.
CIRCLE, HEIGHT, APART = 0.34, 0.24, 0.6
POINTS, FONT, TITLE_FONT, LETTER = 72, 8.0, 9.0, 0.075
# The most characters of a name.
LONGEST = 28


@dataclass(frozen=True)
class Look:
    """What a picture shows of the nodes.

    Arguments:
        title: above the picture.
        names: of the nodes; by default the numbers of their levels.
        values: (n,), shown as colours; by default the levels.
        what: the values are; the label of the colour bar.
        classes: the names of values that are class indices.
    """

    title: str = ""
    names: Sequence[str] | None = None
    values: NDArray[Any] | None = None
    what: str = ""
    classes: Sequence[str] = ()


def sizes_of(topology: Topology) -> dict[str, int]:
    """The options that set the size of an example structure, with their defaults."""
    grid = {"depth": 3, "height": 5, "width": 7}
    dims = getattr(topology, "dims", 2)
    graph = {"nodes": 12, "seed": 0}
    known = {
        "sequence": {"length": 8},
        "tree": {"leaves": 8, "seed": 0},
        "grid": dict(list(grid.items())[-dims:]),
        "graph": graph,
        "undirected": graph,
    }
    if topology.takes not in known:
        raise ValueError(
            f"no example to draw for a topology that takes {topology.takes!r}, "
            f"only for those of {sorted(known)}"
        )
    if topology.takes == "grid" and dims > len(grid):
        raise ValueError(f"a grid of {dims} dimensions has no picture; set topology.dims=3 or less")
    return dict(known[topology.takes])


def example(topology: Topology, sizes: Mapping[str, int]) -> Any:
    """An example structure of the given sizes (`sizes_of`); ValueError if it is too large."""
    count = prod(size for name, size in sizes.items() if name != "seed")
    if count > MOST_NODES:
        raise ValueError(_too_many(count))
    if topology.takes == "grid":
        return tuple(sizes.values())
    if topology.takes == "sequence":
        return sizes["length"]
    size = sizes["leaves" if topology.takes == "tree" else "nodes"]
    return draw_structures(topology, SizeRange(size, size), 1, sizes["seed"])[0]


def check_path(path: Path, formats: Sequence[str] = FORMATS) -> None:
    """ValueError for a suffix that is not one of these, FileNotFoundError without the folder."""
    if path.suffix not in formats:
        raise ValueError(f"a picture must be a file in {', '.join(formats)}, got {str(path)!r}")
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"no folder {path.absolute().parent} for {path}")


def draw(topology: Topology, structure: Any, path: Path, look: Look | None = None) -> list[str]:
    """Draw a structure, one panel per direction; the titles of the panels.

    Arrows lead from a predecessor to its node; initial states are not drawn.

    Arguments:
        topology: gives the predecessors.
        structure: of one sample.
        path: of the picture, .png, .svg or .pdf.
        look: names and colours of the nodes.
    """
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    check_path(path)
    figure, titles = figure_of(topology, structure, look or Look(), Figure)
    save(figure, path)
    return titles


def picture(topology: Topology, structure: Any, **look: Any) -> Any:
    """A structure as a figure of matplotlib.pyplot, to show, save or change: as `structnet draw`.

    One panel per direction; arrows lead from a predecessor to its node.

    Arguments:
        topology: gives the predecessors.
        structure: of one sample, at most 1,000 nodes.
        look: any of `title`, a text above; `names` (n,) of the nodes, by default the numbers of
            their levels; `values` (n,), shown as colours, by default the levels; `what` the values
            are; `classes`, the names of values that are class indices.

    ValueError for a larger structure, and what `Topology.plan` raises.
    """
    from matplotlib import pyplot

    return figure_of(topology, structure, Look(**look), pyplot.figure)[0]


def save(figure: Any, path: Path) -> None:
    """Save a figure of matplotlib in the format of the path's suffix; ValueError for others."""
    check_path(path)
    write(path, lambda temporary: figure.savefig(temporary, format=path.suffix[1:], dpi=150))


def _too_many(count: int) -> str:
    return f"a picture shows at most {MOST_NODES} nodes, got {count}; take a smaller structure"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")


def shortened(name: str, longest: int = LONGEST) -> str:
    """A name on one line, with characters that can be printed, cut if it is long."""
    plain = "".join(one if one.isprintable() else "·" for one in " ".join(name.split()))
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def figure_of(
    topology: Topology, structure: Any, look: Look, new: Callable[..., Any]
) -> tuple[Any, list[str]]:
    """A new figure and the titles of its panels; ValueError if the structure is too large.

    The axes of the panels come first. The nodes of a panel are in their order, arrows in that of
    their sources and targets.
    """
    plans = topology.plan([structure])
    if plans[0].num_nodes > MOST_NODES:
        raise ValueError(_too_many(plans[0].num_nodes))
    titles = [
        f"{name}: {_count(plan.num_nodes, 'node')} in {_count(len(plan.level_sizes), 'level')}"
        for name, plan in zip(topology.directions, plans, strict=True)
    ]
    return _panels(plans, titles, topology.positions(structure), look, new), titles


def _panels(
    plans: tuple[Plan, ...], titles: list[str], given: Any, look: Look, new: Callable[..., Any]
) -> Any:
    """The panels in a grid, drawn to one scale, and a colour bar if there are values."""
    names = None if look.names is None else [shortened(name) for name in look.names]
    size = _node_sizes(plans[0].num_nodes, names)
    layout = _layout(plans[0], given, size)
    low, high = _frame(layout, size)
    columns = int(np.ceil(np.sqrt(len(plans))))
    grid = np.array([columns, -(-len(plans) // columns)])
    bar = 0.0 if look.values is None else BAR + 0.06 * max(map(len, look.classes), default=0)
    beside = np.array([bar, LINE * bool(look.title)])
    scale = min(1.0, *((LARGEST - beside) / (grid * (high - low))))
    # A panel of one node must still have room for its title.
    least = LETTER * np.array([max(map(len, titles)), len(look.title) / columns]).max() + MARGIN
    room = np.maximum((high - low) * scale, [least, 0])
    panel = room + np.array([0, LINE])
    whole = grid * panel + beside + [0, 0.1]
    figure = new(figsize=tuple(whole))
    if look.title:
        _write(figure, look.title, (whole - beside) / 2 * [1, 0] + [0, whole[1] - 0.6 * LINE])
    half, middle = room / scale / 2, (low + high) / 2
    for number, (plan, title) in enumerate(zip(plans, titles, strict=True)):
        row, column = divmod(number, columns)
        corner = np.array([column, grid[1] - 1 - row]) * panel
        axes = figure.add_axes((*(corner / whole), *(room / whole)))
        (left, top), (right, bottom) = middle - half, middle + half
        axes.set(xlim=(left, right), ylim=(bottom, top))
        axes.set_axis_off()
        _write(figure, title, corner + room * [0.5, 1] + [0, 0.4 * LINE])
        draw_arrows(axes, arrows(plan), layout, size, scale)
        levels = level_of_nodes(plan)
        colors = _colors(levels, ()) if look.values is None else _colors(look.values, look.classes)
        labels = [str(level) for level in levels] if names is None else names
        _draw_nodes(axes, labels, layout.at, size, colors, scale)
    if look.values is not None:
        _draw_bar(figure, look, whole, bar)
    return figure


def _write(figure: Any, title: str, at: Points) -> None:
    """Write a title centred at a position, in inches."""
    place = at / figure.get_size_inches()
    figure.text(*place, title, fontsize=TITLE_FONT, ha="center", va="center", parse_math=False)


def _frame(layout: Layout, size: Points) -> tuple[Points, Points]:
    """The corners of the area that nodes and arrows cover, with a margin."""
    corners = [layout.at - size / 2, layout.at + size / 2, *layout.waypoints.values()]
    taken = np.concatenate(corners) if len(layout.at) else np.zeros((1, 2))
    return taken.min(0) - MARGIN, taken.max(0) + MARGIN


def _node_sizes(count: int, names: list[str] | None) -> Points:
    """Width and height (n, 2) of every node."""
    from matplotlib.textpath import TextPath

    if names is None:
        return np.full((count, 2), CIRCLE)
    wide = [
        TextPath((0, 0), name, size=FONT).get_extents().width / POINTS if name.strip() else 0.0
        for name in (name.replace("$", "S") for name in names)
    ]
    return np.stack([np.maximum(np.array(wide) + 0.16, HEIGHT), np.full(count, HEIGHT)], 1)


def _layout(plan: Plan, given: Any, size: Points) -> Layout:
    """The positions that the topology gives, spread so that names fit; else level by level."""
    named = size[:1, 1].max(initial=CIRCLE) != CIRCLE
    if given is None:
        high = 0.36 if named else 0.8 * APART
        return layered(plan, size[:, 0], high, GAP if named else 1.5 * APART - CIRCLE)
    unit = max(APART, size[:, 0].max(initial=0) + APART - CIRCLE)
    return Layout(np.asarray(given, np.float64) * [unit, APART], {})


def _colors(values: NDArray[Any], classes: Sequence[str]) -> NDArray[np.float64]:
    """The colours (n, 4) of values, grey for those that are not finite."""
    from matplotlib import colormaps

    values = np.asarray(values, np.float64)
    low, high = _range(values, classes)
    colors = colormaps["viridis"]((values - low) / ((high - low) or 1))
    colors[~np.isfinite(values)] = (0.85, 0.85, 0.85, 1)
    return colors


def _range(values: NDArray[np.float64], classes: Sequence[str]) -> tuple[float, float]:
    if classes:
        return 0.0, float(len(classes) - 1)
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)


def _draw_nodes(
    axes: Any, labels: Sequence[str], at: Points, size: Points, colors: Any, scale: float
) -> None:
    from matplotlib.patches import Ellipse, FancyBboxPatch

    for label, (right, down), (width, height), color in zip(labels, at, size, colors, strict=True):
        style = {"facecolor": color, "edgecolor": "black", "linewidth": 0.4 * scale, "zorder": 2}
        if width == height:
            axes.add_patch(Ellipse((right, down), width, height, **style))
        else:
            corner = right - width / 2, down - height / 2
            rounded = f"round,pad=0,rounding_size={height / 2}"
            axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=rounded, **style))
        dark = color[:3] @ (0.3, 0.6, 0.1) < 0.5
        axes.text(right, down, label, fontsize=FONT * scale, ha="center", va="center_baseline",
                  color="white" if dark else "black", zorder=3, parse_math=False)  # fmt: skip


def _draw_bar(figure: Any, look: Look, whole: Points, bar: float) -> None:
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    high = min(0.8 * whole[1], 3.0)
    left, bottom = whole[0] - bar + 0.1, (whole[1] - high) / 2
    axes = figure.add_axes((left / whole[0], bottom / whole[1], 0.12 / whole[0], high / whole[1]))
    assert look.values is not None
    scale = Normalize(*_range(np.asarray(look.values, np.float64), look.classes))
    colors = figure.colorbar(ScalarMappable(scale, colormaps["viridis"]), cax=axes)
    colors.ax.tick_params(labelsize=7)
    colors.set_label(shortened(look.what, 80), fontsize=7, parse_math=False)
    if look.classes:
        names = [shortened(one) for one in look.classes]
        colors.set_ticks(range(len(names)), labels=names, parse_math=False)
