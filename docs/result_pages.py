"""The tables of the page of results, from the figures that docs/results/measure.py keeps."""

import itertools
import json
import re
import textwrap
from pathlib import Path
from statistics import mean, stdev
from typing import Any

# What begins the last sentence of the head of an experiment's file, which is made from its figures.
GAVE = "Gave:"
NOT = """## Not measured since these figures are kept

What they gave before, as it stands, by hand, at the head of their files in `conf/experiment`."""


def write_results(experiments: Path, kept: Path, page: Path) -> None:
    """Write the tables of all experiments, and what was not measured.

    Arguments:
        experiments: the folder of their configurations.
        kept: the folder of their figures.
        page: the file that docs/results.md includes.
    """
    names = sorted(path.stem for path in experiments.glob("*.yaml"))
    found = {name: kept_in(kept / f"{name}.json")
             for name in names if (kept / f"{name}.json").is_file()}  # fmt: skip
    table = ["| experiment | figure | test | best baseline | runs | minutes | day |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, one in found.items():
        table += rows(name, one)
    heads = {name: head(experiments / f"{name}.yaml") for name in names}
    missing = [
        f"### {title(name)}\n\n```bash\n{heads[name][0]}\n```\n\n{heads[name][1]}"
        for name in names
        if name not in found
    ]
    sections = [section(name, one, heads[name][1]) for name, one in found.items()]
    parts = ["\n".join(table), *sections, *([NOT, *missing] if missing else [])]
    page.write_text("\n\n".join(parts) + "\n")


def kept_in(file: Path) -> dict[str, Any]:
    """What is kept of an experiment, its nets named by the words that not all of them share."""
    found = json.loads(file.read_text())
    shared = set.intersection(*(set(label.split()) for label in found["runs"]))
    found["runs"] = {
        " ".join(word for word in label.split() if word not in shared): runs
        for label, runs in found["runs"].items()
    }
    return found


def rows(name: str, one: dict[str, Any]) -> list[str]:
    """The rows of an experiment: one for each of its nets."""
    lines = []
    for label, runs in one["runs"].items():
        monitor, best = runs[0]["monitor"], runs[0].get("baseline", {}).get("name")
        baseline = "" if best is None else f"{spread(of_baseline(runs, best, monitor))} ({best})"
        first = not lines
        day = one["date"].replace("-", "\N{NON-BREAKING HYPHEN}") if first else ""
        minutes = one["processor_minutes"] if first else ""
        lines.append(
            f"| {f'[{name}](#{anchor(name)})' if first else ''} {label} | {title(monitor)} "
            f"| {spread([run['test'][monitor] for run in runs])} | {baseline} "
            f"| {len(runs)} | {minutes} | {day} |"
        )
    return lines


def title(name: str) -> str:
    """A name of an experiment or figure as words."""
    return name.replace("_", " ")


def head(file: Path) -> tuple[str, str]:
    """What stands at the head of an experiment's file: its command, and text but for `GAVE`."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), file.read_text().splitlines())
    _, command, *rest = [line.removeprefix("#").removeprefix(" ") for line in lines]
    return command, escaped(" ".join(rest).partition(GAVE)[0].rstrip())


def gave(one: dict[str, Any]) -> list[str]:
    """What an experiment gave, as the last lines of its head.

    The figure that selects the best epoch, and the first of all if that is another one.
    """
    run = next(iter(one["runs"].values()))[0]
    said = []
    for figure in dict.fromkeys((run["monitor"], next(iter(run["test"])))):
        nets = [
            f"{label} {spread([run['test'][figure] for run in runs])}".strip()
            for label, runs in one["runs"].items()
        ]
        said.append(f"{title(figure)} {', '.join(nets)}")
    text = f"{GAVE} {'; '.join(said)} on the test split (docs/results.md)."
    text = text.replace("\N{NO-BREAK SPACE}", " ")
    return textwrap.wrap(text, 100, initial_indent="# ", subsequent_indent="# ")


def with_gave(text: str, one: dict[str, Any]) -> str:
    """An experiment's file whose head says what it gave, in place of what stood there."""
    lines = text.splitlines()
    end = next(at for at, line in enumerate(lines) if not line.startswith("#"))
    start = next((at for at in range(end) if lines[at].startswith(f"# {GAVE}")), end)
    return "\n".join([*lines[:start], *gave(one), *lines[end:]]) + "\n"


def escaped(text: str) -> str:
    """Plain text in which Markdown finds no marks, but for code."""
    return re.sub(r"([*_<>\[\]#|])", r"\\\1", text)


def section(name: str, one: dict[str, Any], what: str) -> str:
    """The command of an experiment, its machine, and all figures of its runs and baselines."""
    parts = [
        f"## {title(name)}", what, f"```bash\n{one['command']}\n```",
        f"{one['date']}, {one['machine']}, {one['cores']} cores, structnet "
        f"{one['versions']['structnet']}, torch {one['versions']['torch']}.",
    ]  # fmt: skip
    for label, runs in one["runs"].items():
        figures = list(runs[0]["test"])
        head = f"| {label} | {' | '.join(map(title, figures))} |"
        lines = [head, "|---" * (len(figures) + 1) + "|"]
        net = f"the net, {runs[0]['train']['parameters']:,} weights"
        known = {net: [[run["test"].get(figure) for run in runs] for figure in figures]}
        for best in runs[0].get("baselines", {}):
            known[best] = [of_baseline(runs, best, figure) for figure in figures]
        for what, values in known.items():
            lines.append(f"| {what} | " + " | ".join(map(spread, values)) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def of_baseline(runs: list[dict[str, Any]], name: str, figure: str) -> list[float | None]:
    """A figure of a baseline in every run."""
    return [run["baselines"].get(name, {}).get(figure) for run in runs]


def anchor(name: str) -> str:
    """The anchor of an experiment's section."""
    return name.replace("_", "-")


def spread(values: list[float | None]) -> str:
    """The mean of values ± their standard deviation, if they differ; nothing if one is missing."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return ""
    if len(set(known)) == 1:
        return shown(known[0])
    return f"{shown(mean(known))}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{stdev(known):.2g}"


def shown(value: float) -> str:
    """A figure with four digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
