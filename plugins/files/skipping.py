"""Reading many files, of which some can't be read."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import structnet as sn

Read = TypeVar("Read")


def read_all(
    files: Sequence[Path],
    read: Callable[[Path], Iterable[Read]],
    faults: tuple[type[Exception], ...] = (SyntaxError, OSError),
) -> Iterator[Read]:
    """What `read` finds in each of the files.

    A file with which it fails, by one of the errors `faults`, is skipped with a DataWarning;
    ValueError where all are.
    """
    skipped = 0
    for file in files:
        try:
            found = list(read(file))
        except faults as error:
            warnings.warn(f"skipped {error}", sn.DataWarning, stacklevel=2)
            skipped += 1
            continue
        yield from found
    if files and skipped == len(files):
        raise ValueError(f"none of {skipped} files can be read, {files[0]} first")
