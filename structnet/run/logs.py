"""The logged figures of training: DIR/logs/version_N/metrics.csv.

A run has one version directory for the start and one for each time it was resumed.
"""

import csv
import re
import warnings
from pathlib import Path

from structnet import DataWarning
from structnet.system.reading import check_file, read_text

# Of a large file, this many bytes at its end are read: tens of thousands of steps.
TAIL = 1 << 22
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
            _leave_out(file, f"it has no {error}" if isinstance(error, KeyError) else error)
    return values


def last_validation(folder: Path) -> dict[str, float]:
    """The figures that were logged after the last validation in training; empty if none were.

    Of a file, the last `TAIL` bytes are read. Lightning counts epochs from 0. A file that holds
    anything but figures is left out, with a DataWarning.
    """
    for _, version in sorted(_numbered(folder).items(), reverse=True):
        if not (file := version / "metrics.csv").is_file():
            continue
        try:
            head, *lines = _ends(file)
            for row in csv.DictReader([head, *reversed(lines)]):
                # Tests at the end of training log no minutes.
                if row.get("minutes"):
                    return {name: float(value) for name, value in row.items() if value}
        except (OSError, ValueError, TypeError, csv.Error) as error:
            _leave_out(file, error)
    return {}


def _ends(file: Path) -> list[str]:
    """The first line of a file, and the whole lines in its last `TAIL` bytes."""
    size = check_file(file)
    with file.open("rb") as opened:
        head = opened.readline(TAIL)
        start = max(opened.tell(), size - TAIL)
        is_cut = start > opened.tell()
        opened.seek(start)
        # The last line may be one that is being written.
        lines = opened.read(TAIL).split(b"\n")[int(is_cut) : -1]
    return [line.decode() for line in (head, *lines)]


def _leave_out(file: Path, reason: Exception | str) -> None:
    warnings.warn(f"{file} is left out: {str(reason)[:200]}", DataWarning, stacklevel=3)


def _numbered(folder: Path) -> dict[int, Path]:
    found = {path: VERSION.fullmatch(path.name) for path in folder.glob("version_*")}
    return {int(match[1]): path for path, match in found.items() if match}
