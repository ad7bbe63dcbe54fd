"""Train an experiment and keep its figures for the book's page of results.

    python docs/results/measure.py NAME [WORD ...]

Runs `structnet train experiment=NAME WORD ...` into runs/results/NAME, a new folder, and writes
docs/results/NAME.json: the command, the day, the machine, minutes of processor time of all runs
together, and every run's metrics.json as it stands. Runs that differ in nothing but seed and fold
stand together. The head of the experiment's file then says what it gave.
"""

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import structnet as sn

HERE = Path(__file__).parent
EXPERIMENTS = HERE.parents[1] / "conf" / "experiment"
sys.path.insert(0, str(HERE.parent))

from result_pages import kept_in, with_gave  # noqa: E402


def main(name: str, *words: str) -> None:
    folder = Path("runs", "results", name)
    typed = ["structnet", "train", f"experiment={name}", *words]
    if folder.exists():
        sys.exit(f"{folder} is there already: remove it, or its minutes would be left out")
    subprocess.run([*typed, f"run={folder}"], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    kept = {
        "command": shlex.join(typed), "date": time.strftime("%Y-%m-%d"), "machine": machine(),
        "cores": os.cpu_count(),
        "processor_minutes": round((used.ru_utime + used.ru_stime) / 60, 1),
        "versions": {"structnet": sn.__version__, "torch": version("torch")},
        "runs": runs_of(folder),
    }  # fmt: skip
    text = json.dumps(kept, indent=1) + "\n"
    sn.write(HERE / f"{name}.json", lambda path: path.write_text(text))
    experiment = EXPERIMENTS / f"{name}.yaml"
    said = with_gave(experiment.read_text(), kept_in(HERE / f"{name}.json"))
    sn.write(experiment, lambda path: path.write_text(said))


def machine() -> str:
    """The name of the processor."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else "unknown"


def runs_of(folder: Path) -> dict[str, list[dict]]:
    """What differs but for seed and fold -> the figures of these runs."""
    runs: dict[str, list[dict]] = {}
    for file in sorted(folder.rglob("metrics.json")):
        runs.setdefault(label(folder, file.parent), []).append(json.loads(file.read_text()))
    if not runs:
        sys.exit(f"no run has ended in {folder}")
    return runs


def label(folder: Path, run: Path) -> str:
    """The words of a sweep's run, or the column and row of a comparison's, without repeats."""
    if run == folder:
        return ""
    if (sweep := folder / "sweep.json").is_file():
        parts = json.loads(sweep.read_text())["runs"]
        words = next(one["words"] for one in parts if Path(one["run"]).name == run.name)
        kept = [word for word in words if not re.match(r"seed=|task\.fold=|experiment=|run=", word)]
        return " ".join(kept)
    section = sn.read_text(folder / "comparison.yaml")
    repeats = 2 if re.search(r"^folds:", section, re.MULTILINE) else 1
    return " ".join(run.name.rsplit("_", repeats)[0].split("_", 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
