"""Time per node by the size of a batch, as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from structnet.bench.workload import Figures
from structnet.system.files import write

COLORS = {"planning": "C2", "forward": "C0", "forward and backward": "C3"}


def draw_times(rows: Mapping[str, Figures], path: Path) -> None:
    """Draw rows of `PerNode`, one panel each: medians and quartiles, as PNG."""
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 4.5 * len(rows), 4), layout="constrained")
    panels = figure.subplots(1, len(rows), squeeze=False, sharey=True)[0]
    for axes, figures in zip(panels, rows.values(), strict=True):
        _panel(axes, figures)
    panels[0].set_ylabel("µs per node")
    panels[0].legend(fontsize=8)
    write(path, lambda temporary: figure.savefig(temporary, format="png", dpi=150))


def _panel(axes: Any, figures: Figures) -> None:
    sizes = list(figures["batches"])
    nodes = [shape["nodes"] for shape in figures["batches"].values()]
    for part, times in figures["times"].items():
        low, middle, high = (
            [1e6 * time[key] / count for time, count in zip(times.values(), nodes, strict=True)]
            for key in ("low_s", "median_s", "high_s")
        )
        below = [m - a for m, a in zip(middle, low, strict=True)]
        above = [b - m for m, b in zip(middle, high, strict=True)]
        axes.errorbar(nodes, middle, (below, above), label=part, color=COLORS[part],
                      marker="o", markersize=4, capsize=3, linewidth=1.2)  # fmt: skip
        for count, value in zip(nodes, middle, strict=True):
            axes.annotate(f"{value:.3g}", (count, value), (0, 6), textcoords="offset points",
                          ha="center", fontsize=7, color=COLORS[part])  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=figures["label"])
    axes.set_xticks(nodes, sizes)
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.12)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3, linewidth=0.5)
