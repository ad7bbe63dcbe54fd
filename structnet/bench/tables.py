"""What a person sees of a benchmark: the figures as tables, and the machine they depend on."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from structnet.bench.rows import Mark
from structnet.bench.workload import Figures, Setting
from structnet.system.terminal import console, print_rows

SETTLED = {True: " as after 50,000 levels", False: ""}


def machine(device: str) -> Figures:
    """What the figures depend on besides our code."""
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


def print_composition(found: Figures) -> None:
    """Print the figures of one composition: one row per contender."""
    name = f"{found['topology']['name']} {found['cell']['name']}"
    levels = " and ".join(map(str, found["levels"]))
    out = console()
    out.print(
        f"{name}, a training step of {found['nodes']} nodes in {found['samples']} samples and "
        f"{levels} levels, input {found['input_size']}, hidden {found['hidden_size']}, "
        f"{found['precision']}, executor {found['executor']}{SETTLED[found['executor'] == 'auto']}",
        highlight=False,
        markup=False,
    )
    heads = ("", "ms", "quartiles", "x floor", "nodes/s", "peak MB", "")
    print_rows(heads, [_contender(*one) for one in found["contenders"].items()], left=(0, 6))
    for part in ("planning", "collating"):
        share = 100 * found[part]["share_of_step"]
        what = "collating, planning included" if part == "collating" else "planning, not cached"
        out.print(f"{what}: {1e3 * found[part]['median_s']:.2f} ms, {share:.1f} % of the step")
    out.print(_described(found["machine"]), highlight=False)


def _contender(name: str, figures: Figures) -> list[str]:
    scale = figures["step_s"] / figures["median_s"]
    low, high = (1e3 * scale * figures[key] for key in ("low_s", "high_s"))
    peak = figures.get("peak_bytes")
    return [
        name,
        f"{1e3 * figures['step_s']:.2f}",
        f"{low:.2f} - {high:.2f}",
        f"{figures['over_floor']:.2f}",
        f"{figures['nodes_per_s']:,.0f}",
        "" if peak is None else f"{peak / 1e6:.1f}",
        figures["note"] + (", scaled" if scale > 1 else ""),
    ]


def print_suite(name: str, marks: Sequence[Mark], setting: Setting) -> None:
    """Print the figures of a suite beside their limits."""
    title = f"suite {name}, forward and backward, medians of {setting.repeats} runs"
    if setting.scale != 1:
        title += f", sizes x {setting.scale:g}: the limits are for full sizes"
    out = console()
    out.print(title, highlight=False, markup=False)
    heads = ("row", "figure", "measured", "at most", "", "")
    print_rows(heads, [_mark(one) for one in marks], left=(0, 5))
    out.print(_described(machine(setting.device)), highlight=False)


def _mark(mark: Mark) -> list[str]:
    value, limit = ("" if one is None else f"{one:.3g}" for one in (mark.value, mark.limit))
    met = {None: "", True: "met", False: "not met"}[mark.met]
    outcome = "not measured" if mark.value is None else met
    return [mark.row, mark.figure, value, limit, outcome, mark.note]


def _described(found: Mapping[str, Any]) -> str:
    gpu = f"{found['gpu']}, " if "gpu" in found else ""
    return f"{gpu}{found['processor']}, {found['threads']} threads, torch {found['torch']}"
