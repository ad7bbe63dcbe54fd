"""The pictures of docs/graphs-many-processes.md.

python docs/graphs_many_processes/picture.py writes them to docs/pictures.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from model import (
    CORE,
    MACHINES,
    Graph,
    Machine,
    data_parallel_s,
    level_parallel_s,
    target_parallel_s,
)

from structnet.system.files import write

PICTURES = Path(__file__).parents[1] / "pictures"
NODES, REACH, RANKS = 1e9, 100, 1000
COLORS = {"data": "#c8c8c8", "target": "C0", "level": "C3"}
# What is best of a graph, and how it is painted.
BEST = {
    "no way is twice as fast as one rank": "#e4e4e4",
    "either, within a tenth": "#b9a4cf",
    "targets with their ancestors": "#7fb2dd",
    "split levels": "#e58f86",
}


def by_ranks() -> Figure:
    """Seconds of a step by the number of ranks, at three depths."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    ranks = np.unique(np.geomspace(1, RANKS, 60).round().astype(int))
    for axes, levels in zip(panels, (10, 1_000, 100_000), strict=True):
        near, far = Graph(NODES, levels, reach=REACH), Graph(NODES, levels)
        lines = {
            "structures apart": (data_parallel_s, near, "data", "-", 5),
            "targets, near": (target_parallel_s, near, "target", "-", 3),
            "targets, anywhere": (target_parallel_s, far, "target", "--", 1.6),
            "split levels, near": (level_parallel_s, near, "level", "-", 1.3),
            "split levels, anywhere": (level_parallel_s, far, "level", "--", 1.3),
        }
        for label, (way, graph, color, style, width) in lines.items():
            times = [way(CORE, graph, int(count)) for count in ranks]
            axes.plot(ranks, times, style, color=COLORS[color], label=label, linewidth=width)
        axes.set(xscale="log", yscale="log", xlabel="ranks", title=f"{levels:,} levels")
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.grid(alpha=0.3, linewidth=0.5)
    panels[0].set_ylabel("seconds a step, 10⁹ nodes")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
    return figure


def best(machine: Machine, graph: Graph) -> int:
    """The index in `BEST` of what is best of a graph on many ranks."""
    alone = data_parallel_s(machine, graph, 1)
    target = target_parallel_s(machine, graph, RANKS)
    level = level_parallel_s(machine, graph, RANKS)
    if min(target, level) > alone / 2:
        return 0
    if max(target, level) < 1.1 * min(target, level):
        return 1
    return 2 if target < level else 3


def which_way() -> Figure:
    """What is best by nodes and levels, for two machines and two kinds of graph."""
    figure = Figure(figsize=(8.5, 7), layout="constrained")
    panels: Any = figure.subplots(2, 2, sharex=True, sharey=True)
    nodes, levels = np.geomspace(1e4, 1e9, 160), np.geomspace(1, 1e6, 160)
    for row, (name, machine) in zip(panels, MACHINES.items(), strict=True):
        for axes, reach in zip(row, (REACH, None), strict=True):
            found = np.full((len(levels), len(nodes)), np.nan)
            for i, depth in enumerate(levels):
                for j, count in enumerate(nodes):
                    if depth <= count:
                        found[i, j] = best(machine, Graph(count, max(1, round(depth)), reach=reach))
            axes.pcolormesh(nodes, levels, found, cmap=ListedColormap(list(BEST.values())),
                            vmin=-0.5, vmax=3.5, rasterized=True)  # fmt: skip
            kind = f"near: within {REACH} places" if reach else "anywhere in the level before"
            axes.set(xscale="log", yscale="log", title=f"{name}, {kind}")
    for axes in panels[1]:
        axes.set_xlabel("nodes")
    for axes in panels[:, 0]:
        axes.set_ylabel("levels")
    patches = [Patch(color=color, label=label) for label, color in BEST.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=2, frameon=False)
    return figure


if __name__ == "__main__":
    for name, figure in (("ranks", by_ranks()), ("ways", which_way())):
        write(PICTURES / f"{name}.png", partial(figure.savefig, format="png", dpi=110))
