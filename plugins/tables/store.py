"""Rows as a net reads them, in files that are mapped into memory."""

import json
import os
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.tables.schema import Encoded

# The layout of the files: another one is made anew.
LAYOUT = 1
NAMES = ("numbers", "ids", "counts")


def store_folder(what: Mapping[str, Any]) -> Path:
    """The folder for what is made of data and options, under the one that STRUCTNET_CACHE names."""
    given = os.environ.get("STRUCTNET_CACHE", str(Path.home() / ".cache" / "structnet"))
    if not given:
        raise ValueError(
            "task.lazy keeps what it has read in the folder STRUCTNET_CACHE, which is set to none: "
            "name one with room for the data"
        )
    digest = sha256(json.dumps([LAYOUT, what], sort_keys=True, default=str).encode()).hexdigest()
    return Path(given).expanduser() / "data" / digest[:32]


class Writer:
    """Writes encoded rows one part after the other; the folder appears once all is written.

    Used in a `with` statement: what is written is removed where it is left by an error.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.temporary = folder.with_name(f".{os.getpid()}-{folder.name}")

    def __enter__(self) -> "Writer":
        shutil.rmtree(self.temporary, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        self.files = {name: (self.temporary / f"{name}.bin").open("wb") for name in NAMES}
        self.width = 0
        return self

    def add(self, encoded: Encoded) -> None:
        """Write the rows of a part."""
        if encoded.numbers is not None:
            self.width = encoded.numbers.shape[1]
            encoded.numbers.tofile(self.files["numbers"])
        if encoded.tokens is not None:
            encoded.tokens.ids.astype(np.int64).tofile(self.files["ids"])
            np.diff(encoded.tokens.ptr).astype(np.int64).tofile(self.files["counts"])

    def finish(self, arrays: Mapping[str, NDArray[Any]], plain: Mapping[str, Any]) -> None:
        """Write what belongs to all rows, and give the folder its name."""
        for file in self.files.values():
            file.close()
        for name, values in arrays.items():
            np.save(self.temporary / f"{name}.npy", values, allow_pickle=False)
        meta = {**plain, "width": self.width}
        (self.temporary / "meta.json").write_text(json.dumps(meta))
        try:
            os.replace(self.temporary, self.folder)
        except OSError:
            # Another process has made the same.
            if not (self.folder / "meta.json").is_file():
                raise

    def __exit__(self, *error: object) -> None:
        for file in self.files.values():
            file.close()
        shutil.rmtree(self.temporary, ignore_errors=True)


class Store:
    """What a `Writer` wrote: rows, arrays by name, and plain data.

    ValueError, which names the folder, for files that are not what they should be.
    """

    def __init__(self, folder: Path):
        try:
            self.plain: dict[str, Any] = json.loads((folder / "meta.json").read_text())
            width = self.plain["width"]
            self.numbers = _mapped(folder / "numbers.bin", np.float32)
            self.numbers = self.numbers.reshape(-1, width) if width else None
            counts = _mapped(folder / "counts.bin", np.int64)
            self.ids = _mapped(folder / "ids.bin", np.int64)
            self.ptr = np.concatenate([[0], np.cumsum(counts)]) if self.plain["tokens"] else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{folder} is damaged: {error}; remove it, it is made again"
            ) from error
        self.folder = folder

    def has(self, name: str) -> bool:
        return (self.folder / f"{name}.npy").is_file()

    def array(self, name: str) -> NDArray[Any]:
        return np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    def rows(self, start: int, end: int) -> Any:
        """What the nodes of a sample are given, those of the rows from start to end."""
        numbers = None if self.numbers is None else np.array(self.numbers[start:end])
        if self.ptr is None:
            return numbers
        ptr = self.ptr[start : end + 1]
        tokens = sn.Tokens(np.array(self.ids[ptr[0] : ptr[-1]]), ptr - ptr[0])
        return tokens if numbers is None else sn.Mixed(tokens, numbers)


def _mapped(path: Path, dtype: Any) -> NDArray[Any]:
    """An array of a file; an empty one can't be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.zeros(0, dtype)
