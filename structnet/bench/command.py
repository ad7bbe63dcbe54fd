"""`structnet bench`: what a composition costs, next to its floor and what else one would write."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from structnet.bench.picture import draw_times
from structnet.bench.rows import Mark
from structnet.bench.suite import run_suite
from structnet.bench.workload import Figures, Setting, Work, measure_case
from structnet.config.compose import compose
from structnet.data.synthetic import Sizes
from structnet.registry.signature import did_you_mean
from structnet.system.files import write
from structnet.system.terminal import console

GROUPS = ("topology", "cell")
# Option -> its default.
COMPOSED = {
    "size": "20",
    "batch": 64,
    "input_size": 128,
    "hidden_size": 128,
    "executor": "auto",
    "save": "gates",
    "zoneout": 0.0,
}
SUITE = {"suite": "", "rows": "", "scale": 1.0}
BOTH = {"repeats": 30, "seed": 0, "threads": 0, "out": ""}
LEAST = {"seed": 0, "threads": 1, "zoneout": 0.0, "scale": 0.0}
Options = dict[str, Any]


def bench(words: Sequence[str], device: str, as_json: bool) -> None:
    """Measure what the words say; ValueError or KeyError names a word that is wrong."""
    options, groups = _read(words)
    _check_device(device)
    if options["suite"] == "cuda" and torch.device(device).type != "cuda":
        raise ValueError(f"suite 'cuda' is measured on a GPU, got device {device!r}; --device cuda")
    # Before minutes are spent on what could not be saved.
    if options["out"] and not (folder := Path(options["out"]).absolute().parent).is_dir():
        raise FileNotFoundError(f"no folder {folder} for out={options['out']}")
    if Path(options["out"]).suffix == ".png":
        raise ValueError(f"out is a file for JSON, the picture is put beside it: {options['out']}")
    setting = Setting(device, options["repeats"], options["seed"], options["scale"])
    with _threads(options["threads"]):
        if options["suite"]:
            found = _run_suite(options, setting, as_json)
        else:
            found = _run_one(options, groups, setting, as_json)
    text = json.dumps(found, indent=1)
    if as_json:
        print(text)
    if options["out"]:
        out = Path(options["out"])
        write(out, lambda path: path.write_text(text + "\n"))
        if curves := {row: one for row, one in found.get("rows", {}).items() if "label" in one}:
            picture = out.with_suffix(".png")
            draw_times(curves, picture)
            if not as_json:
                print(f"picture: {picture}")


def _read(words: Sequence[str]) -> tuple[Options, list[str]]:
    """The options, defaults filled in, and the words that compose topology and cell."""
    defaults: Options = {**COMPOSED, **SUITE, **BOTH}
    given: Options = {}
    groups = []
    for word in words:
        key, equals, value = word.partition("=")
        if key.split(".")[0] in GROUPS:
            groups.append(word)
        elif key in defaults and equals:
            given[key] = _value(key, value, defaults[key])
        else:
            raise ValueError(f"no option {word!r} {did_you_mean(key, (*defaults, *GROUPS))}")
    of_suite = "suite" in given
    misplaced = [key for key in given if key in (COMPOSED if of_suite else SUITE)]
    misplaced += groups if of_suite else []
    if misplaced:
        has = "has compositions of its own" if of_suite else "is for a suite, as in suite=cpu"
        what = f"suite {given['suite']!r}" if of_suite else "this option"
        raise ValueError(f"{misplaced[0]!r}: {what} {has}")
    return {**defaults, **given}, groups


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
        raise ValueError(f"{key} is {number} from {least} on, got {text!r}")
    return value


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"no device {device!r}; take cpu or cuda") from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"times are taken on cpu and cuda, got device {device!r}")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not here: torch sees no GPU")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads within, torch's own number if 0."""
    most = max(64, 4 * (os.cpu_count() or 1))
    if count > most:
        raise ValueError(f"threads is at most {most} on this machine, got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def machine(device: str) -> Figures:
    """What figures depend on that is not ours."""
    found = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    return found if device == "cpu" else {"gpu": torch.cuda.get_device_name(device), **found}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.is_file() else ())
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()


def _run_one(options: Options, groups: list[str], setting: Setting, quiet: bool) -> Figures:
    config = compose(groups)
    work = Work(
        config["topology"],
        config["cell"],
        Sizes.read(options["size"]),
        **{key: options[key] for key in COMPOSED if key != "size"},
    )
    case = work.build(setting.seed, setting.device)
    figures = measure_case(case, setting)
    found = {
        "machine": machine(setting.device),
        "topology": config["topology"],
        "cell": config["cell"],
        **{key: options[key] for key in (*COMPOSED, "repeats", "seed")},
        **figures,
    }
    if not quiet:
        _print_one(found)
    return found


def _print_one(found: Figures) -> None:
    name = f"{found['topology']['name']} {found['cell']['name']}"
    levels = " and ".join(map(str, found["levels"]))
    title = (
        f"{name}, a training step of {found['nodes']} nodes in {found['samples']} samples and "
        f"{levels} levels, input {found['input_size']}, hidden {found['hidden_size']}"
    )
    heads = ("", "ms", "quartiles", "x floor", "nodes/s", "peak MB", "")
    table = _table(heads)
    for contender, figures in found["contenders"].items():
        scale = figures["step_s"] / figures["median_s"]
        low, high = (1e3 * scale * figures[key] for key in ("low_s", "high_s"))
        peak = figures.get("peak_bytes")
        note = figures["note"] + (", scaled" if scale > 1 else "")
        table.add_row(
            contender,
            f"{1e3 * figures['step_s']:.2f}",
            f"{low:.2f} - {high:.2f}",
            f"{figures['over_floor']:.2f}",
            f"{figures['nodes_per_s']:,.0f}",
            "" if peak is None else f"{peak / 1e6:.1f}",
            note,
        )
    out = console()
    out.print(title, highlight=False, markup=False)
    out.print(table)
    for part in ("planning", "collating"):
        share = 100 * found[part]["share_of_step"]
        what = "collating, planning included" if part == "collating" else "planning anew"
        out.print(f"{what}: {1e3 * found[part]['median_s']:.2f} ms, {share:.1f} % of the step")
    out.print(_described(found["machine"]), highlight=False)


def _run_suite(options: Options, setting: Setting, quiet: bool) -> Figures:
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
    if not quiet:
        _print_marks(name, marks, setting)
    return {
        "suite": name,
        "machine": machine(setting.device),
        **{key: options[key] for key in ("scale", "repeats", "seed")},
        "marks": [{**mark._asdict(), "met": mark.met} for mark in marks],
        "rows": figures,
    }


def _print_marks(name: str, marks: Sequence[Mark], setting: Setting) -> None:
    title = f"suite {name}, forward and backward, medians of {setting.repeats} runs"
    if setting.scale != 1:
        title += f", sizes x {setting.scale:g}: not those that the limits are for"
    table = _table(("row", "figure", "measured", "at most", "", ""))
    for mark in marks:
        measured = "" if mark.value is None else f"{mark.value:.3g}"
        limit = "" if mark.limit is None else f"{mark.limit:.3g}"
        table.add_row(mark.row, mark.figure, measured, limit, _verdict(mark), mark.note)
    out = console()
    out.print(title, highlight=False, markup=False)
    out.print(table)
    out.print(_described(machine(setting.device)), highlight=False)


def _verdict(mark: Mark) -> str:
    if mark.value is None:
        return "not measured"
    return {None: "", True: "met", False: "not met"}[mark.met]


def _table(heads: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, head in enumerate(heads):
        last = number == len(heads) - 1
        table.add_column(head, justify="left" if last or not number else "right")
    return table


def _described(found: Mapping[str, Any]) -> str:
    gpu = f"{found['gpu']}, " if "gpu" in found else ""
    return f"{gpu}{found['processor']}, {found['threads']} threads, torch {found['torch']}"
