"""Forecasts as rows of a table: one for each series, step and target."""

import csv
import io
from collections.abc import Iterator, Sequence

import structnet as sn
from structnet.plugins.sequence.forecast.backtest import Said
from structnet.plugins.sequence.forecast.frequency import spelled
from structnet.plugins.sequence.forecast.series import Columns
from structnet.plugins.sequence.forecast.windows import Windows


def header(
    windows: Windows, said: Said, columns: Columns, levels: Sequence[float], rolls: bool
) -> list[str]:
    """The names of columns.

    Those of id and order are called as in the data; `origin` is the first time that the window
    forecasts, and `actual` what came then, of windows that roll over what is known; `target` stands
    only where there are several.
    """
    names = [] if columns.id is None else [columns.id]
    names += ["origin"] * rolls + [columns.order, "step"] + ["target"] * (len(columns.target) > 1)
    names += ["value"]
    if said.quantiles is not None:
        names += [f"q{level:g}" for level in levels]
    samples = 0 if said.samples is None else said.samples.shape[-1]
    return [*names, *["actual"] * rolls, *(f"sample_{at}" for at in range(1, samples + 1))]


def rows(windows: Windows, said: Said, columns: Columns, rolls: bool) -> Iterator[list[str]]:
    """The rows, window by window."""
    for at, place in enumerate(windows.places):
        times = [spelled(time) for time in windows.times(place)]
        name = windows.prepared[place.series].series.name
        truth = windows.targets(place)
        for step, time in enumerate(times):
            for number, target in enumerate(columns.target):
                here = at, step, number
                row = [] if columns.id is None else [name]
                row += [times[0]] * rolls + [time, str(step + 1)]
                row += [target] * (len(columns.target) > 1) + [_shown(said.point[here])]
                if said.quantiles is not None:
                    row += [_shown(one) for one in said.quantiles[here]]
                if rolls:
                    actual = truth[step, number]
                    row.append("" if actual != actual else _shown(actual))
                if said.samples is not None:
                    row += [_shown(one) for one in said.samples[here]]
                yield row


def as_csv(names: Sequence[str], table: Sequence[Sequence[str]]) -> str:
    """A table as text of comma-separated values."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(table)
    return text.getvalue()


def print_first(names: Sequence[str], table: Sequence[Sequence[str]], most: int) -> None:
    """Print the first rows, and how many more there are."""
    sn.print_rows(list(names), [list(row) for row in table[:most]], left=(0,))
    if len(table) > most:
        print(f"... {len(table) - most:,} more rows; out=FILE.csv writes all")


def _shown(number: object) -> str:
    # As many digits as a number in single precision has.
    return f"{float(number):.9g}"  # pyright: ignore[reportArgumentType]
