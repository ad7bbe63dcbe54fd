"""The figures of training as they were logged: DIR/logs/version_N/metrics.csv, a stretch each."""

import csv
import re
import warnings
from pathlib import Path

from structnet import DataWarning
from structnet.system.reading import read_text

STRETCH = re.compile(r"version_([0-9]{1,9})")


def next_stretch(folder: Path) -> int:
    """The number of a new stretch, above all whose names are taken by whatever it is."""
    return max(_numbered(folder), default=-1) + 1


def logged(folder: Path, name: str) -> dict[int, float]:
    """The values of a figure by step, of every stretch of a run.

    A run that was stopped within an epoch logs some steps again: the later value counts. A
    DataWarning names a file that holds other things than figures, which is passed over.
    """
    values = {}
    for _, stretch in sorted(_numbered(folder).items()):
        # A stretch that was stopped at once has logged nothing.
        if not (file := stretch / "metrics.csv").is_file():
            continue
        try:
            rows = csv.DictReader(read_text(file).splitlines())
            values.update({int(row["step"]): float(row[name]) for row in rows if row.get(name)})
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            warnings.warn(f"{file} is passed over: {str(reason)[:200]}", DataWarning, stacklevel=2)
    return values


def _numbered(folder: Path) -> dict[int, Path]:
    found = {path: STRETCH.fullmatch(path.name) for path in folder.glob("version_*")}
    return {int(match[1]): path for path, match in found.items() if match}
