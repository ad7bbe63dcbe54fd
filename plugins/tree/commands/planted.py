"""planted: how many swaps of operands, planted in other files, a trained net finds."""

import importlib.util
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structnet as sn

HELP = """\
structnet planted run=DIR: how many planted swaps a net trained on task=swapped finds, and where

  run=DIR         the directory of a run
  root=WHAT       a folder, a Python file or an installed package, such as root=networkx; may be
                  repeated. Files that the run was trained or validated with are left out; without
                  root=, the files are those that it was tested with
  habits=WHAT     a folder, file or package whose own habits are learned first (task.habits)
  files=N         files drawn at random, each with one swap (200)
  finds=N         the least number of expressions of a file (21: among fewer, a swap is always one
                  of the first 20)
  lines=N         the lines around a swap that count as changed (100)
  seed=N          seed of the draw (0)
  --json          machine-readable output, with every swap
  --plugin FILE   a Python file that registers your own components; may be repeated
  --traceback     show where an error came from

In each file one expression is drawn, its operands are exchanged, and all expressions are ranked by
their probability of being swapped, as structnet predict does. Prints how often the planted one is
among the first, of the file and of the lines around it, beside the same for a random order; and for
probabilities the share of planted swaps that have it, and how many expressions of the files as they
were, per 1,000 lines. The calibration error is that of the files' expressions, each in both orders.
"""
FLAGS = ("--json",)
NUMBERS = {"files": 200, "finds": 21, "lines": 100, "seed": 0}
TOP = (1, 5, 20)
LEAST = (0.5, 0.1, 0.01, 0.001)


def run(words: list[str]) -> int:
    as_json = sn.take_flag(words, "--json")
    roots = sn.take_repeated(words, "root")
    options = sn.take_options(words, ("run",), ("habits", *NUMBERS), also=("root",))
    count, finds, lines, seed = (
        sn.whole(options.get(name, str(default)), name, 0 if name == "seed" else 1)
        for name, default in NUMBERS.items()
    )
    run = sn.Run.open(options["run"])

    # Imported here, as help needs no torch.
    from structnet.plugins.tree.expressions.planting import plant
    from structnet.plugins.tree.tasks.swapped import Swapped

    if not isinstance(run.task, Swapped):
        raise ValueError(
            f"{run.directory} is a run of task {run.config['task']['name']!r}: take a run of "
            "task=swapped"
        )
    files = _files(run.task, [_place(root, "root") for root in roots])
    if "habits" in options:
        run.task.habits = _place(options["habits"], "habits")
    net = run.load_net()
    bench = plant(run, net, files, count=count, finds=finds, lines=lines, seed=seed)
    if not bench.swaps:
        raise ValueError(
            f"none of {len(files)} Python files has {finds} {run.task.pieces}: give another root=, "
            "or finds=1"
        )
    figures = _figures(bench)
    if as_json:
        swaps = [{**asdict(one), "path": str(one.path)} for one in bench.swaps]
        print(json.dumps({**figures, "swaps": swaps}, indent=1))
    else:
        _print(figures, lines)
    return 0


def _place(name: str, option: str) -> Path:
    """The path that is named, or else the folder or file of an installed package of that name."""
    path = Path(name).expanduser()
    if path.exists() or not name.isidentifier():
        return path
    found = importlib.util.find_spec(name)
    if found is None:
        raise FileNotFoundError(f"{option}={name} is neither a path nor an installed package")
    folders = found.submodule_search_locations
    return Path(next(iter(folders)) if folders else found.origin or name)


def _files(task: Any, roots: Sequence[Path]) -> list[Path]:
    """The Python files below the roots that the run has not seen, tests left out."""
    from structnet.plugins.code.sources import python_files

    splits = task.find()
    if not roots:
        return splits["test"]
    seen = {path.resolve() for name in ("train", "validation") for path in splits[name]}
    found = [path for root in roots for path in python_files(root, tests=task.tests)]
    unseen = [path for path in found if path.resolve() not in seen]
    if not unseen:
        raise ValueError(
            f"the run was trained or validated with all {len(found)} Python files below "
            f"{', '.join(map(str, roots))}: give another root="
        )
    return unseen


def _figures(bench: Any) -> dict[str, Any]:
    """The shares of swaps that are found, by rank and by probability."""
    swaps = bench.swaps

    def among(ranks: Sequence[tuple[int, int]]) -> dict[str, Any]:
        return {
            "finds": sum(of for _, of in ranks) / len(ranks),
            "top": {k: sum(rank <= k for rank, _ in ranks) / len(ranks) for k in TOP},
            "random": {k: sum(min(1, k / of) for _, of in ranks) / len(ranks) for k in TOP},
        }

    return {
        "files": len(swaps),
        "lines": bench.lines,
        "expressions": len(bench.odds),
        "right": sum(odds < 0 for odds in bench.odds) / len(bench.odds),
        "calibration_error": _calibration_error(bench.odds),
        "in_file": among([one.in_file for one in swaps]),
        "in_change": among([one.in_change for one in swaps]),
        "by_probability": [
            {
                "least": least,
                "found": sum(one.probability >= least for one in swaps) / len(swaps),
                "false_alarms": 1000 * sum(p >= least for p in bench.others) / bench.lines,
            }
            for least in LEAST
        ],
    }


def _calibration_error(odds: Sequence[float]) -> float:
    """Of the expressions, each as it was and with its operands exchanged; as in training."""
    import torch
    from torchmetrics.classification import BinaryCalibrationError

    swapped = torch.tensor(odds, dtype=torch.float64).sigmoid()
    both = torch.cat([swapped, 1 - swapped])
    target = torch.arange(2).repeat_interleave(len(odds))
    return float(BinaryCalibrationError()(both, target))


def _print(figures: dict[str, Any], lines: int) -> None:
    print(f"{figures['files']} files, {figures['lines']:,} lines, one swap in each file")
    right, error = 100 * figures["right"], figures["calibration_error"]
    print(
        f"{figures['expressions']:,} expressions, as they were and exchanged: {right:.1f} % right, "
        f"calibration error {error:.3f}"
    )
    rows = []
    for name, what in (("in_file", "its file"), ("in_change", f"{lines} lines around it")):
        ranks = figures[name]
        rows.append(
            [
                what,
                f"{ranks['finds']:.0f}",
                *(f"{100 * one:.1f} %" for one in ranks["top"].values()),
            ]
        )
        random = (f"{100 * one:.1f} %" for one in ranks["random"].values())
        rows.append(["  in a random order", "", *random])
    sn.print_rows(["the swap among those of", "finds", *(f"first {k}" for k in TOP)], rows)
    print()
    sn.print_rows(
        ["probability", "swaps found", "false alarms per 1,000 lines"],
        [
            [f"{one['least']:g}", f"{100 * one['found']:.1f} %", f"{one['false_alarms']:.2f}"]
            for one in figures["by_probability"]
        ],
    )
