"""A structure as an animation: its levels are computed one after the other."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import chain
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from structnet.draw.layout import arrows, level_of_nodes
from structnet.draw.picture import Look, check_path, figure_of
from structnet.system.files import write
from structnet.topology.base import Topology
from structnet.topology.plan import Plan

# More take long to draw level by level.
MOST_NODES = 300
# Frames in a second; those for which the whole structure stays, once all is computed.
SPEED, HOLD = 2, 3
# Pixels of an inch, and the most pixels of all frames together, which are in memory at once.
DPI, MOST_PIXELS = 100, 50_000_000
# The ring of a level that is being computed, and what is still to come.
RING, LATER = "tab:red", 0.15


def animation(topology: Topology, structure: Any, **look: Any) -> Any:
    """The levels of a structure, computed one after the other, as an animation of matplotlib.

    A `matplotlib.animation.FuncAnimation` of a figure of pyplot, to show or save, which a notebook
    shows as a GIF. The nodes of a level, which are one call of the cell, get a ring; later ones are
    pale. Where there are several directions, each has its panel, and all begin at once.

    Arguments:
        topology: gives the predecessors.
        structure: of one sample, at most 300 nodes.
        look: that of `picture`: `title`, `names`, `values`, `what`, `classes`.

    ValueError for a larger structure, and what `Topology.plan` raises.
    """
    from matplotlib import pyplot

    return _animated(topology, structure, Look(**look), pyplot.figure)[0]


def animate(topology: Topology, structure: Any, path: Path, look: Look | None = None) -> list[str]:
    """Write the animation of a structure as a GIF; the titles of the panels.

    Arguments:
        topology: gives the predecessors.
        structure: of one sample.
        path: of the GIF.
        look: names and colours of the nodes.
    """
    from matplotlib.figure import Figure

    check_path(path, (".gif",))
    made, titles = _animated(topology, structure, look or Look(), Figure)
    write(path, made.save_gif)
    return titles


def _animated(
    topology: Topology, structure: Any, look: Look, new: Callable[..., Any]
) -> tuple[Any, list[str]]:
    """The animation, and the titles of its panels."""
    plans = topology.plan([structure])
    if (count := plans[0].num_nodes) > MOST_NODES:
        raise ValueError(
            f"an animation shows at most {MOST_NODES} nodes, got {count}; take a smaller structure"
        )
    figure, titles = figure_of(topology, structure, look, new)
    parts = list(chain.from_iterable(map(_parts, plans, figure.axes)))
    rings = [(one, level, one.get_linewidth()) for one, level, _ in parts if _is_node(one)]
    frames = max(len(plan.level_sizes) for plan in plans) + HOLD

    def show(frame: int) -> None:
        for artist, level, later in parts:
            artist.set_alpha(1.0 if level <= frame else later)
        for node, level, width in rings:
            is_now = level == frame
            node.set(edgecolor=RING if is_now else "black", linewidth=width * (5 if is_now else 1))

    return _shown(figure, show, frames), titles


def _shown(figure: Any, show: Callable[[int], None], frames: int) -> Any:
    """An animation that a notebook or page shows as a GIF, without a script from elsewhere."""
    from matplotlib.animation import FuncAnimation, PillowWriter

    class Levels(FuncAnimation):
        def save_gif(self, path: Path) -> None:
            width, height = figure.get_size_inches()
            dpi = min(DPI, sqrt(MOST_PIXELS / (frames * width * height)))
            self.save(path, writer=PillowWriter(fps=SPEED), dpi=dpi)

        def _repr_html_(self) -> str:
            with TemporaryDirectory() as folder:
                path = Path(folder, "levels.gif")
                self.save_gif(path)
                data = b64encode(path.read_bytes()).decode()
            return f'<img alt="levels" src="data:image/gif;base64,{data}">'

    return Levels(figure, show, frames, interval=1000 / SPEED)


def _parts(plan: Plan, axes: Any) -> Iterator[tuple[Any, int, float]]:
    """What is drawn of a panel, each with its level and how opaque it is before that.

    An arrow has the level of the node that it leads to.
    """
    level = level_of_nodes(plan).tolist()
    nodes = list(filter(_is_node, axes.patches))
    led = [one for one in axes.patches if not _is_node(one)]
    for arrow, (_, target) in zip(led, np.unique(arrows(plan), axis=0).tolist(), strict=True):
        yield arrow, level[target], LATER
    for node, label, number in zip(nodes, axes.texts, level, strict=True):
        yield node, number, LATER
        # Of white ones nothing could be read.
        yield label, number, 0.0


def _is_node(artist: Any) -> bool:
    from matplotlib.patches import Ellipse, FancyBboxPatch

    return isinstance(artist, (Ellipse, FancyBboxPatch))
