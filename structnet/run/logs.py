"""The logged figures of training: DIR/logs/version_N/metrics.csv.

A run has one version directory for the start and one for each time it was resumed.
"""

import csv
import re
import warnings
from pathlib import Path

from structnet import DataWarning
from structnet.system.reading import read_text

VERSION = re.compile(r"version_([0-9]{1,9})")


def next_version(folder: Path) -> int:
    """The number of a new version, above all numbers that are in use."""
    return max(_numbered(folder), default=-1) + 1


def logged(folder: Path, name: str) -> dict[int, float]:
    """The values of a figure by step, over all versions.

    A run that was stopped within an epoch logs some steps twice: the later value counts. A file
    that holds anything but figures is left out, with a DataWarning.
    """
    values = {}
    for _, version in sorted(_numbered(folder).items()):
        # A run that was stopped at once has logged nothing.
        if not (file := version / "metrics.csv").is_file():
            continue
        try:
            rows = csv.DictReader(read_text(file).splitlines())
            values.update({int(row["step"]): float(row[name]) for row in rows if row.get(name)})
        except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else error
            warnings.warn(f"{file} is left out: {str(reason)[:200]}", DataWarning, stacklevel=2)
    return values


def _numbered(folder: Path) -> dict[int, Path]:
    found = {path: VERSION.fullmatch(path.name) for path in folder.glob("version_*")}
    return {int(match[1]): path for path, match in found.items() if match}
