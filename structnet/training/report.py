"""The results of a run for a person: the table of figures and the learning curve."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from structnet.data.task import Task
from structnet.run.logs import logged
from structnet.run.run import Run
from structnet.system.files import write
from structnet.system.terminal import console, visible

Figures = dict[str, Any]
# Whole numbers between these are taken as counts; larger floats are all whole.
COUNT, LARGEST = 100, 1e15
# More figures than these stand below each other, and models side by side.
MOST_COLUMNS = 8


def print_table(run: Run, metrics: Figures) -> None:
    """Print the test figures of the net and of the baselines."""
    columns, model = list(metrics["test"]), " ".join(run.parts)
    rows = {**metrics.get("baselines", {}), model: metrics["test"]}
    names = list(rows)
    cells = [
        [_shown(figures[name]) if name in figures else "" for name in columns]
        for figures in rows.values()
    ]
    if len(columns) > MOST_COLUMNS:
        names, columns, cells = columns, names, list(map(list, zip(*cells, strict=True)))
    table = Table(title=f"{run.config['task']['name']}, test")
    table.add_column("")
    for name in columns:
        style = "bold" if name == model else None
        table.add_column(Text(visible(name)), justify="right", style=style)
    for name, line in zip(names, cells, strict=True):
        table.add_row(Text(visible(name)), *line, style="bold" if name == model else None)
    notes = [run.task.note] if run.task.note else []
    limit = run.config.get("trainer", {}).get("limit_batches")
    if limit is not None and len(rows) > 1:
        notes.append(f"{model} on {limit} batches of the split, the others on all of it")
    if notes:
        table.caption = Text(visible("; ".join(notes)))
    console().print(table)


def _shown(figure: float) -> str:
    """A figure to four places; a large whole number, which is a count, without any."""
    if abs(figure) >= LARGEST:
        return f"{figure:.4g}"
    is_count = figure >= COUNT and figure == int(figure)
    return f"{figure:,.0f}" if is_count else f"{figure:.4f}"


def best_baseline(baselines: dict[str, Figures], task: Task) -> Figures:
    """The figures of the best baseline, with its name; none where no baseline has that figure."""
    best = min if task.mode == "min" else max
    names = [name for name, of in baselines.items()
             if task.monitor in of and name not in task.bounds]  # fmt: skip
    if not names:
        return {}
    name = best(names, key=lambda name: baselines[name][task.monitor])
    return {**baselines[name], "name": name}


def beats_baselines(metrics: Figures, task: Task) -> bool:
    """Whether a net is better than every baseline by the figure that selects its best epoch."""
    name = task.monitor
    best, mine = metrics.get("baseline", {}), metrics["test"]
    if name not in best or name not in mine:
        return False
    return mine[name] < best[name] if task.mode == "min" else mine[name] > best[name]


def draw_curve(run: Run) -> None:
    """Draw training loss and validation figure over steps, as curve.png."""
    # Imported here: matplotlib takes a second, and only training draws.
    from matplotlib.figure import Figure

    monitor = run.task.monitor
    losses = sorted(logged(run.logs, "loss").items())
    scores = sorted(logged(run.logs, f"validation/{monitor}").items())
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    loss_axes = figure.subplots()
    loss_axes.plot(*_columns(losses), color="tab:blue", linewidth=1, label="training loss")
    loss_axes.set(xlabel="step", ylabel=f"training loss ({run.task.loss_unit})")
    score_axes = loss_axes.twinx()
    score_axes.plot(
        *_columns(scores), color="tab:orange", marker="o", label=f"validation {monitor}"
    )
    score_axes.set(ylabel=f"validation {monitor}")
    figure.legend(loc="outside upper center", ncols=2)
    write(run.directory / "curve.png", lambda path: figure.savefig(path, format="png", dpi=120))


def _columns(points: Sequence[tuple[int, float]]) -> tuple[list[int], list[float]]:
    return [step for step, _ in points], [value for _, value in points]
