"""predict: predictions of a run's net for a user's files."""

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from structnet.system.terminal import visible
from structnet.system.words import take_flag, take_options, whole


def run(words: list[str]) -> int:
    as_json = take_flag(words, "--json")
    options = take_options(words, required=("run", "path"), optional=("top", "min", "out"))
    top = whole(options["top"], "top") if "top" in options else None
    least = _share(options.get("min", "0"))
    from structnet.config.composing import saved
    from structnet.run.run import Run
    from structnet.training.predict import predict

    run = Run.compose(saved(options["run"]), Path(options["run"]))
    found = predict(run, run.load_net(), Path(options["path"]))
    if not found:
        task = run.config["task"]["name"]
        path = visible(options["path"])
        print(f"structnet: nothing in {path} for task {task!r}", file=sys.stderr)
    found = [one for one in found if one.probability is None or one.probability >= least]
    if "out" in options:
        _save(Path(options["out"]), found[:top], run.task.wanted)
        return 0
    shown = found[: 20 if top is None else top]
    if as_json:
        print(json.dumps([one.as_dict() for one in shown], indent=1))
    else:
        print("".join(f"{_line(one, run.task.wanted)}\n" for one in shown), end="")
    if len(found) > len(shown):
        print(f"... {len(found) - len(shown)} more; top=N shows N", file=sys.stderr)
    return 0


def _line(one: Any, wanted: str | None) -> str:
    return f"{one} ({f'{one.probability:.3f}' if wanted else one.verdict})"


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"min must be a probability from 0 to 1, got {text!r}")
    return value


def _save(path: Path, found: Sequence[Any], wanted: str | None) -> None:
    """Write predictions to a file: a list for .json, a table for .csv, else one line each."""
    from structnet.system.files import write

    rows = [one.as_dict() for one in found]
    if path.suffix == ".json":
        text = json.dumps(rows, indent=1) + "\n"
    elif path.suffix == ".csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
        text = table.getvalue()
    else:
        text = "".join(f"{_line(one, wanted)}\n" for one in found)
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    print(f"predictions: {path} ({len(found)})")
