"""Where the files of a data set are, under any of their names."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structnet as sn


def locate(root: str | None, name: str, choices: Sequence[Sequence[str]]) -> list[Path]:
    """Of each choice the first file that is there; `root` and `name` are those of `data_folder`.

    FileNotFoundError names the first of every choice of which none is there.
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
