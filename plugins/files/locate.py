"""Finding the files of a data set, each under one of several names."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structnet as sn


def locate(root: str | None, name: str, choices: Sequence[Sequence[str]]) -> list[Path]:
    """For each choice of file names the first file that exists.

    `root` and `name` are those of `sn.data_folder`. FileNotFoundError names the first file of every
    choice of which none exists.
    """

    def find(files: Sequence[str]) -> Path | None:
        for file in files:
            with suppress(FileNotFoundError):
                return sn.data_folder(root, name, [file]) / file
        return None

    found = [find(files) for files in choices]
    missing = [files[0] for files, path in zip(choices, found, strict=True) if path is None]
    if missing:
        sn.data_folder(root, name, missing)
    return [path for path in found if path is not None]
