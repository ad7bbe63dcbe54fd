"""A diagnosis as a picture: gradients by level, saturation and spectral radii by gate."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from structnet.diagnosis.gradients import Diagnosis
from structnet.diagnosis.report import EXPLODING, VANISHING, gates_of, judge
from structnet.system.files import write

# Measure -> its mark in the picture and what it is.
MARKS = {
    "spectral radius": ("o", "largest |eigenvalue|"),
    "entry": ("D", "largest |entry|, where diagonal"),
    "norm": ("s", "largest singular value, where not square"),
}


def draw_diagnosis(
    directory: Path, layers: Sequence[Diagnosis], history: Sequence[dict[str, Any]] = ()
) -> None:
    """Draw gradients by level, saturation and radii by gate, as diagnose.png in the directory.

    `history` holds the gradients of epochs in training, which are drawn pale.
    """
    # Imported here: matplotlib takes a second, and only the command draws.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rows = [(layer, gate) for layer in layers for gate in gates_of(layer)]
    size = 13, max(4.5, 1.5 + 0.3 * len(rows))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(w_pad=0.1))
    left, middle, right = figure.subplots(1, 3, width_ratios=(2, 1, 1))
    _draw_gradients(left, layers, history)
    _draw_saturation(middle, rows)
    _draw_radii(right, rows)
    right.sharey(middle)
    right.tick_params(labelleft=False)
    write(directory / "diagnose.png", lambda path: figure.savefig(path, format="png", dpi=120))


def _draw_gradients(
    axes: Any, layers: Sequence[Diagnosis], history: Sequence[dict[str, Any]]
) -> None:
    for number, layer in enumerate(layers):
        color = f"C{number % 10}"
        for epoch in history:
            axes.plot(*_positive(epoch["gradient"].get(layer.name, [])), color=color, alpha=0.2)
        label = f"{layer.name}: {judge(layer.gradient).word}"
        mark = "o" if len(layer.gradient) < 30 else None
        axes.plot(*_positive(layer.gradient), color=color, marker=mark, markersize=4, label=label)
    axes.axhspan(VANISHING, EXPLODING, color="tab:green", alpha=0.08, label="fine")
    if history:
        axes.plot([], [], color="gray", alpha=0.4, label="during training")
    axes.set_yscale("log")
    axes.set(
        title="gradient of the last nodes' output",
        xlabel="distance to the last node (levels)",
        ylabel="norm, relative to that at the last node",
    )
    axes.legend(loc="best")


def _draw_saturation(axes: Any, rows: Sequence[tuple[Diagnosis, str]]) -> None:
    known = [
        (place, layer.saturation[gate])
        for place, (layer, gate) in enumerate(rows)
        if gate in layer.saturation
    ]
    places = [place for place, _ in known]
    low, high = [-one.low for _, one in known], [one.high for _, one in known]
    axes.barh(places, low, 0.6, color="tab:blue", label="below 0.1, of a tanh below -0.9")
    axes.barh(places, high, 0.6, color="tab:orange", label="above 0.9")
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1], ["1", "0.5", "0", "0.5", "1"])
    names = [f"{layer.name}: {gate}" for layer, gate in rows]
    axes.set(title="saturated gates", xlabel="share of values", xlim=(-1.1, 1.1))
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    _legend_below(axes)


def _draw_radii(axes: Any, rows: Sequence[tuple[Diagnosis, str]]) -> None:
    for measure, (marker, label) in MARKS.items():
        points = [
            (radius.value, place)
            for place, (layer, gate) in enumerate(rows)
            for radius in layer.radii
            if radius.gate == gate and radius.measure == measure
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker, markersize=5, alpha=0.7, label=label)
    axes.axvline(1, color="black", linewidth=0.8, linestyle="--")
    values = (radius.value for layer, _ in rows for radius in layer.radii)
    largest = max(filter(math.isfinite, values), default=1)
    axes.set(title="recurrent matrices", xlabel="radius", xlim=(0, 1.1 * max(1, largest)))
    _legend_below(axes)


def _legend_below(axes: Any) -> None:
    # Placed in inches: a share of the height would differ with the number of rows.
    height = axes.figure.get_size_inches()[1] - 1
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.5 / height))


def _positive(gradient: Sequence[float | None]) -> tuple[list[int], list[float]]:
    """The distances and values that a logarithmic axis can show."""
    shown = {at: v for at, v in enumerate(gradient) if v is not None and 0 < v < math.inf}
    return list(shown), list(shown.values())
