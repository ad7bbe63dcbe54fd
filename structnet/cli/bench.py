"""bench: time and memory of a composition beside its rivals, or of the rows of a suite."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from structnet.bench.picture import draw_times
from structnet.bench.rows import Mark
from structnet.bench.suite import run_suite
from structnet.bench.tables import machine, print_composition, print_suite
from structnet.bench.workload import Figures, Setting, Work, measure_case
from structnet.config.composing import compose
from structnet.data.synthetic import SizeRange
from structnet.registry.suggest import did_you_mean
from structnet.system.cores import threads
from structnet.system.files import write
from structnet.system.memory import keep_memory
from structnet.system.words import take_flag, take_values

GROUPS = ("topology", "cell")
# Option -> its default.
OF_COMPOSITION = {
    "size": "20",
    "batch": 64,
    "input_size": 128,
    "hidden_size": 128,
    "executor": "auto",
    "save": "auto",
    "zoneout": 0.0,
    "precision": "float32",
}
OF_SUITE = {"suite": "", "rows": "", "scale": 1.0}
OF_BOTH = {"repeats": 30, "seed": 0, "threads": 0, "out": ""}
LEAST = {"seed": 0, "threads": 1, "zoneout": 0.0, "scale": 0.0}
Options = dict[str, Any]


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    device = (take_values(words, "--device") or ["cpu"])[-1]
    options, chosen = _read(words)
    _check(options, device)
    keep_memory()
    setting = Setting(device, options["repeats"], options["seed"], options["scale"])
    with _threads(options["threads"]):
        if options["suite"]:
            found = _measure_suite(options, setting, as_json)
        else:
            found = _measure_composition(options, chosen, setting, as_json)
    text = json.dumps(found, indent=1)
    if as_json:
        print(text)
    if options["out"]:
        _save(Path(options["out"]), text, found, as_json)
    return 0


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The options, with defaults filled in, and the words that compose topology and cell."""
    defaults: Options = {**OF_COMPOSITION, **OF_SUITE, **OF_BOTH}
    given: Options = {}
    chosen = []
    for word in words:
        key, equals, value = word.partition("=")
        if key.split(".")[0] in GROUPS:
            chosen.append(word)
        elif key in defaults and equals:
            given[key] = _value(key, value, defaults[key])
        else:
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*defaults, *GROUPS))}")
    of_suite = "suite" in given
    misplaced = [key for key in given if key in (OF_COMPOSITION if of_suite else OF_SUITE)]
    misplaced += chosen if of_suite else []
    if misplaced:
        has = "has compositions of its own" if of_suite else "is for a suite, as in suite=cpu"
        what = f"suite {given['suite']!r}" if of_suite else "this option"
        raise ValueError(f"{misplaced[0]!r}: {what} {has}")
    return {**defaults, **given}, chosen


def _value(key: str, text: str, default: Any) -> Any:
    if isinstance(default, str):
        if not text:
            raise ValueError(f"{key}= takes a value")
        return text
    kind = type(default)
    least = LEAST.get(key, 1)
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not least <= value < 2**32:
        number = "a whole number" if kind is int else "a number"
        raise ValueError(f"{key} must be {number}, at least {least}, got {text!r}")
    return value


def _check(options: Options, device: str) -> None:
    """Raise for a device or a file that would fail after minutes of measuring."""
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"no device {device!r}; take cpu or cuda") from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"no device {device!r} here: torch finds no GPU")
    if options["suite"] == "cuda" and kind != "cuda":
        raise ValueError(f"suite 'cuda' is measured on a GPU, got device {device!r}; --device cuda")
    out = Path(options["out"])
    if options["out"] and not (folder := out.absolute().parent).is_dir():
        raise FileNotFoundError(f"no folder {folder} for out={out}")
    if out.suffix == ".png":
        raise ValueError(f"out must be a JSON file, beside which the picture is saved, got {out}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Compute with the given number of threads; torch's own number if it is 0."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if count > most:
        raise ValueError(f"threads must be at most {most} on this machine, got {count}")
    with threads(count or torch.get_num_threads()):
        yield


def _measure_composition(
    options: Options, chosen: list[str], setting: Setting, as_json: bool
) -> Figures:
    config = compose(chosen)
    work = Work(
        config["topology"],
        config["cell"],
        SizeRange.read(options["size"]),
        **{key: options[key] for key in OF_COMPOSITION if key != "size"},
    )
    case = work.build(setting.seed, setting.device)
    found = {
        "machine": machine(setting.device),
        "topology": config["topology"],
        "cell": config["cell"],
        **{key: options[key] for key in (*OF_COMPOSITION, "repeats", "seed")},
        **measure_case(case, setting),
    }
    if not as_json:
        print_composition(found)
    return found


def _measure_suite(options: Options, setting: Setting, as_json: bool) -> Figures:
    rows = [row for row in options["rows"].split(",") if row]
    marks: list[Mark] = []
    figures: Figures = {}
    errors = Console(stderr=True)

    def say(row: str) -> None:
        if errors.is_terminal:
            errors.print(f"measuring {row}", highlight=False)

    for row, found, of_row in run_suite(options["suite"], rows, setting, say):
        marks += found
        figures[row] = of_row
    name = options["suite"]
    if not as_json:
        print_suite(name, marks, setting)
    return {
        "suite": name,
        "machine": machine(setting.device),
        **{key: options[key] for key in ("scale", "repeats", "seed")},
        "marks": [{**mark._asdict(), "met": mark.met} for mark in marks],
        "rows": figures,
    }


def _save(out: Path, text: str, found: Figures, as_json: bool) -> None:
    """Save the figures, and the picture of those rows that have curves."""
    write(out, lambda path: path.write_text(text + "\n"))
    if curves := {row: one for row, one in found.get("rows", {}).items() if "label" in one}:
        picture = out.with_suffix(".png")
        draw_times(curves, picture)
        if not as_json:
            print(f"picture: {picture}")
