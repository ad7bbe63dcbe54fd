"""forecast: what follows in the series of a file, or a backtest over rolling origins."""

from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet forecast run=DIR: forecast series with a net trained on task=forecast

  run=DIR           the directory of a run
  path=FILE         a table as the run was trained on, .csv, .tsv, .jsonl or .parquet; rows after
                    the last known target give what is known ahead (by default the run's own data)
  out=FILE.csv      writes a row for every series, step and target: value and quantiles
  picture=FILE.png  draws the first six series with intervals, beside the seasonal naive forecast
  origins=N         a backtest in place of what follows: the last N windows of every series, whose
                    targets are known, beside baselines; by step and by origin
  samples=N         adds N numbers to a row, drawn from a distribution for every step by itself (0)
  seed=N            of what is drawn (0)
  --plugin FILE     a Python file that registers your own components; may be repeated
  --traceback       show where an error came from

Prints the first rows, and of a backtest the figures of the net and of the baselines.
"""
# Rows that are printed, and steps ahead of a backtest.
SHOWN, STEPS = 10, 8


def run(words: list[str]) -> int:
    options = sn.take_options(
        words,
        required=("run",),
        optional=("path", "out", "picture", "origins", "samples", "seed"),
    )
    counts = {name: sn.whole(options.get(name, "0"), name, 0) for name in ("samples", "seed")}
    origins = sn.whole(options["origins"], "origins") if "origins" in options else None
    for name, suffix in (("out", ".csv"), ("picture", ".png")):
        if name in options and Path(options[name]).suffix != suffix:
            raise ValueError(f"{name}={options[name]}: name a file {suffix}")
    opened, net = _opened(options["run"], counts["samples"])

    # Imported here, as help needs no torch.
    from structnet.plugins.sequence.forecast import writing
    from structnet.plugins.sequence.forecast.backtest import forecast

    task, known = opened.task, opened.task.learned_data
    windows = _windows(task, options, origins)
    said = forecast(task, net, opened.topology, windows, counts["samples"], counts["seed"])
    levels, rolls = task.outlook.levels, origins is not None
    names = writing.header(windows, said, known.columns, levels, rolls)
    table = list(writing.rows(windows, said, known.columns, rolls))
    if rolls:
        _report(opened, windows, said)
    else:
        writing.print_first(names, table, SHOWN)
    if "out" in options:
        text = writing.as_csv(names, table)
        sn.write(Path(options["out"]), lambda path: path.write_text(text, encoding="utf-8"))
        print(f"forecasts: {options['out']} ({len(table):,} rows)")
    if "picture" in options:
        from structnet.plugins.sequence.forecast.picture import draw_forecasts

        picture = Path(options["picture"])
        sn.write(picture, lambda path: draw_forecasts(path, windows, said, levels))
        print(f"picture: {picture}")
    return 0


def _opened(directory: str, samples: int) -> tuple[Any, Any]:
    """A run of task forecast, and its net; ValueError for another, or one that has no samples."""
    opened = sn.Run.open(directory)

    from structnet.plugins.sequence.forecast.outlooks import Distribution
    from structnet.plugins.sequence.tasks.forecast import Forecast

    if not isinstance(opened.task, Forecast):
        raise ValueError(
            f"{directory} is a run of task {opened.config['task']['name']!r}, which forecasts "
            "nothing: take a run of task=forecast"
        )
    if samples and not isinstance(opened.task.outlook, Distribution):
        raise ValueError(
            f"samples= draws from a distribution, {directory} has learned {opened.task.goal}: "
            "leave it out, or train with task.goal=normal, negative_binomial or mixture"
        )
    return opened, opened.load_net()


def _windows(task: Any, options: dict[str, str], origins: int | None) -> Any:
    path = Path(options["path"]) if "path" in options else task.find()
    is_own = task.root.exists() and path.exists() and path.samefile(task.root)
    if origins is not None and is_own and origins > task.reading.origins:
        raise ValueError(
            f"origins is at most {task.reading.origins} on {path}, as the run has learned from "
            f"what lies before: train with task.origins={origins}, or name another file by path="
        )
    table = task.reading.read(path)
    if origins is None:
        return task.reading.ahead(table, task.learned_data)
    return task.reading.rolling(table, task.learned_data, origins)


def _report(opened: Any, windows: Any, said: Any) -> None:
    """Print the figures of the net and of baselines: over all, by step, and by origin."""
    from structnet.plugins.sequence.forecast import backtest
    from structnet.plugins.sequence.forecast.baselines import Baselines, Table

    task, net = opened.task, " ".join(opened.parts)
    levels, table = task.outlook.levels, Table.of(windows)
    baselines, truth = Baselines(task.load(opened.topology)["train"]), backtest.Truth.of(table)
    every = {name: backtest.baseline(baselines, name, table, levels) for name in baselines.models}
    every[net] = said
    rows = {name: backtest.figures(one, truth, levels) for name, one in every.items()}
    metrics = list(rows[net])
    shown = [[name, *(f"{one[each]:.4f}" for each in metrics)] for name, one in rows.items()]
    sn.print_rows(["all windows", *metrics], shown)
    monitor, steps = task.monitor, _some(windows.layout.horizon)
    by_step = {name: backtest.by_step(one, truth, levels) for name, one in every.items()}
    picked = {name: [one[at][monitor] for at in steps] for name, one in by_step.items()}
    _print_parts(f"{monitor} by step", [str(at + 1) for at in steps], picked)
    by_origin = {
        name: [part[monitor] for part in backtest.by_origin(one, truth, levels, windows)]
        for name, one in every.items()
    }
    count = len(by_origin[net])
    _print_parts(f"{monitor} by origin", [str(at - count + 1) for at in range(count)], by_origin)


def _print_parts(title: str, heads: list[str], figures: dict[str, list[float]]) -> None:
    rows = [[name, *(f"{value:.4f}" for value in some)] for name, some in figures.items()]
    sn.print_rows([title, *heads], rows)


def _some(horizon: int) -> list[int]:
    """Some of the steps ahead, evenly, the first and the last among them."""
    count = min(horizon, STEPS)
    return [round(at * (horizon - 1) / max(1, count - 1)) for at in range(count)]
