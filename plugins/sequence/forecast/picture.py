"""Forecasts of a few series: what was read, what was said with its interval, and the naive one."""

from pathlib import Path
from typing import Any

import numpy as np

from structnet.plugins.sequence.forecast.backtest import Said
from structnet.plugins.sequence.forecast.baselines import Table
from structnet.plugins.sequence.forecast.frequency import spelled
from structnet.plugins.sequence.forecast.windows import Windows

# Series in a picture, and the most seasons or horizons of the past that are shown.
MOST_DRAWN, PAST = 6, 4


def draw_forecasts(path: Path, windows: Windows, said: Said, levels: tuple[float, ...]) -> None:
    """Draw the last window of each of the first series, of their first target, into a PNG file.

    Arguments:
        path: of the picture.
        windows: the windows.
        said: the forecasts of all of them.
        levels: of the quantiles.
    """
    # Imported here: matplotlib takes a second.
    from matplotlib.figure import Figure

    last = {place.series: at for at, place in enumerate(windows.places)}
    shown = list(last.values())[:MOST_DRAWN]
    places = [windows.places[at] for at in shown]
    table = Table.of(Windows(windows.found, windows.prepared, windows.layout, places))
    naive = table.unscaled(table.season)[..., 0]
    figure = Figure(figsize=(8, 0.6 + 1.7 * len(shown)), layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    for axes, at, before in zip(panels, shown, naive, strict=True):
        _draw(axes, windows, at, said, levels, before)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.savefig(path, format="png", dpi=120)


def _draw(
    axes: Any, windows: Windows, at: int, said: Said, levels: tuple[float, ...], naive: Any
) -> None:
    """One series; times are steps from the first one forecast, which stands below."""
    place, layout = windows.places[at], windows.layout
    values = windows.prepared[place.series].series.values[:, 0]
    start = max(0, place.origin - PAST * max(layout.season, layout.horizon))
    steps = np.arange(layout.horizon)
    past = values[start : place.origin + layout.horizon]
    axes.plot(np.arange(len(past)) + start - place.origin, past, color="black", linewidth=1,
              marker=".", markersize=3, label="value")  # fmt: skip
    if said.quantiles is not None and len(levels) > 1:
        low, high = said.quantiles[at, :, 0, 0], said.quantiles[at, :, 0, -1]
        axes.fill_between(steps, low, high, color="tab:orange", alpha=0.3, linewidth=0,
                          label=f"{levels[0]:g} to {levels[-1]:g}")  # fmt: skip
    axes.plot(steps, said.point[at, :, 0], color="tab:orange", label="forecast")
    axes.plot(steps, naive, color="tab:blue", linestyle="--", linewidth=1, label="seasonal naive")
    axes.axvline(-0.5, color="grey", linewidth=0.8)
    name = windows.prepared[place.series].series.name
    first = spelled(windows.times(place)[0])
    axes.set_title(name, fontsize=9, loc="left", parse_math=False)
    axes.set_xlabel(f"steps of {windows.found.frequency} from {first}", fontsize=8)
    axes.tick_params(labelsize=8)
