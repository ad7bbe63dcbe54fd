"""The model card of a run, DIR/README.md: what was trained, on what, how, and how well.

A hub shows it as the page of a repository. Options and names may hold any text, so all of it is
escaped; the head is YAML, as hubs read it.
"""

import html
import math
import re
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

import structnet
from structnet import registry
from structnet.registry.option_types import spell
from structnet.run.run import Run
from structnet.system.files import write
from structnet.system.terminal import counted, visible
from structnet.system.words import command_line

NAME = "README.md"
# Distributions whose versions are told, where they are installed.
VERSIONS = ("torch", "numpy", "torch-geometric", "lightning", "safetensors")
# More figures than these stand below each other, and models side by side.
MOST_COLUMNS = 8
# What Markdown reads within a line, and what it makes links of.
MARKS = re.compile(r"([\\`*_\[\]#!|~$]|:(?=//)|(?<=www)\.)")
FENCE = "```"


def write_card(run: Run, metrics: Mapping[str, Any], words: Sequence[str]) -> None:
    """Write the model card of a trained run into its directory.

    Arguments:
        run: the run.
        metrics: its figures, as they are saved.
        words: the words that compose its configuration, for `structnet train`.
    """
    text = card(run, metrics, words)
    write(run.directory / NAME, lambda path: path.write_text(text, encoding="utf-8"))


def card(run: Run, metrics: Mapping[str, Any], words: Sequence[str]) -> str:
    """The text of a model card, Markdown below a head of YAML."""
    task, parts = run.config["task"]["name"], " ".join(run.parts)
    about = registry.tasks.doc(task)
    sections = [
        f"---\n{yaml.safe_dump(_head(run, metrics), sort_keys=False)}---",
        f"# {escaped(f'{task}: {parts}')}",
        f"Task {escaped(task)}: {escaped(about)}",
        f"Net {escaped(run.config['net']['name'])}"
        f" with {_count(metrics)} parameters, trained with structnet"
        f" {escaped(structnet.__version__)} on {time.strftime('%Y-%m-%d')}.",
        "## Figures",
        _figures(run, metrics),
        "## Training",
        _block(command_line("train", *words)),
        _training(metrics),
        "## Data",
        _data(run),
        "## Use",
        "Weights are safetensors and the configuration is plain data: nothing in this folder is"
        " executed. With structnet and its extra `hub`:",
        _block(
            "structnet pull from=OWNER/NAME@REVISION out=DIR\n"
            + "\n".join(command_line(*one) for one in _commands(run))
        ),
        "## Versions",
        "\n".join(f"- {name} {escaped(found)}" for name, found in _versions().items()),
    ]
    return "\n\n".join(one for one in sections if one) + "\n"


def escaped(text: str) -> str:
    """A text in one line in which Markdown and HTML find no marks of theirs."""
    return MARKS.sub(r"\\\1", html.escape(visible(text), quote=False))


def _block(text: str) -> str:
    """A text as a block of code, whose fence is longer than any in it."""
    longest = max((len(one) for one in re.findall("`+", text)), default=0)
    fence = "`" * max(len(FENCE), longest + 1)
    return f"{fence}shell\n{text}\n{fence}"


def _head(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What hubs read: the library, tags, and the test figures as results of a data set."""
    task, parts = run.config["task"]["name"], run.parts
    results = [
        {"type": name, "value": value}
        for name, value in metrics["test"].items()
        if math.isfinite(value)
    ]
    head: dict[str, Any] = {"library_name": "structnet", "tags": ["structnet", task, *parts]}
    if results:
        dataset = {"type": task, "name": task, "split": "test"}
        found = {"task": {"type": task}, "dataset": dataset, "metrics": results}
        head["model-index"] = [{"name": f"{task} {' '.join(parts)}", "results": [found]}]
    return head


def _count(metrics: Mapping[str, Any]) -> str:
    parameters = metrics.get("train", {}).get("parameters")
    return "?" if parameters is None else f"{parameters:,}"


def _figures(run: Run, metrics: Mapping[str, Any]) -> str:
    """The table of the test figures beside the baselines', and notes on them."""
    mine = " ".join(run.parts)
    rows = {**metrics.get("baselines", {}), mine: metrics["test"]}
    columns, names = list(metrics["test"]), list(rows)
    cells = [[_shown(figures.get(name)) for name in columns] for figures in rows.values()]
    if len(columns) > MOST_COLUMNS:
        names, columns, cells = (
            columns,
            names,
            [list(column) for column in zip(*cells, strict=True)],
        )
    lines = [["", *columns], *([name, *line] for name, line in zip(names, cells, strict=True))]
    head, *body = [f"| {' | '.join(escaped(cell) for cell in line)} |" for line in lines]
    notes = [f"On the test split; epochs were selected by validation {run.task.monitor}."]
    if "baselines" not in metrics:
        notes.append("The task measured no baselines.")
    limit = run.config["trainer"].get("limit_batches")
    if limit is not None:
        notes.append(
            f"The net was measured on {limit} batches of the split, baselines on all of it."
        )
    notes += [f"{run.task.note}."] if run.task.note else []
    table = "\n".join([head, f"|---|{'---:|' * len(columns)}", *body])
    return f"{table}\n\n{' '.join(map(escaped, notes))}"


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.4g}" if abs(figure) >= 1e5 else f"{figure:.4f}"


def _training(metrics: Mapping[str, Any]) -> str:
    said = metrics.get("train", {})
    found = [
        counted(said[f"{one}s"], one) for one in ("epoch", "step", "second") if f"{one}s" in said
    ]
    return f"{', '.join(found)} of training." if found else ""


def _data(run: Run) -> str:
    """The options of the task that are not its defaults, which say what data was read."""
    known = registry.tasks.options(run.config["task"]["name"])
    given = {k: v for k, v in run.config["task"].items() if k in known and v != known[k][1]}
    if not given:
        return "What the task reads by default."
    return "\n".join(f"- {escaped(name)}: {escaped(spell(value))}" for name, value in given.items())


def _commands(run: Run) -> list[tuple[str, ...]]:
    return [(name, "run=DIR", *more) for name, *more in run.task.commands(run.topology)] + [
        ("test", "run=DIR")
    ]


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
