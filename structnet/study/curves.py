"""The picture of a comparison: validation figures over minutes of training."""

from collections.abc import Mapping
from itertools import cycle, product
from pathlib import Path

from structnet.run.logs import logged
from structnet.study.ranking import Key, Monitor
from structnet.system.files import write

# Colours of matplotlib's default cycle; more rows than these get other line styles.
COLOURS = [f"C{number}" for number in range(10)]
STYLES = ("-", "--", ":", "-.")
# The most axes side by side.
ACROSS = 3


def draw_curves(file: Path, runs: Mapping[Key, Path], monitors: Mapping[str, Monitor]) -> None:
    """Draw the validation figures of runs over minutes of training, as a PNG file.

    Every column has axes of its own, every row a colour, and every run of a row a line. Runs whose
    minutes were not logged are left out.

    Arguments:
        runs: the directories of the runs, by column, row, and fold and seed.
        monitors: column -> the metric that its runs are compared by, and max or min for best.
    """
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    rows = dict.fromkeys(row for _, row, *_ in runs)
    looks = dict(zip(rows, cycle(product(STYLES, COLOURS)), strict=False))
    across = min(ACROSS, len(monitors))
    down = -(-len(monitors) // across)
    figure = Figure(figsize=(6 * across + 1, 4 * down), layout="constrained")
    axes = dict(zip(monitors, figure.subplots(down, across, squeeze=False).flat, strict=False))
    lines = {}
    for (column, row, *_), directory in runs.items():
        style, colour = looks[row]
        minutes, figures = _curve(directory, monitors[column][0])
        if minutes:
            (lines[row],) = axes[column].plot(
                minutes, figures, style, color=colour, marker=".", linewidth=1.2
            )
    for column, (metric, _) in monitors.items():
        axes[column].set(title=column, xlabel="minutes", ylabel=f"validation {metric}")
        axes[column].grid(alpha=0.3)
    figure.legend(lines.values(), lines, loc="outside right center")
    write(file, lambda path: figure.savefig(path, format="png", dpi=120))


def _curve(directory: Path, metric: str) -> tuple[list[float], list[float]]:
    """The minutes of training at which a run was validated, and its figures."""
    minutes = logged(directory / "logs", "minutes")
    figures = logged(directory / "logs", f"validation/{metric}")
    steps = sorted(minutes.keys() & figures.keys())
    return [minutes[step] for step in steps], [figures[step] for step in steps]
