"""Guards so that torch_geometric reads local files only, and never unpickles.

torch_geometric opens its files through fsspec, for which `file:`, `simplecache::` and others are
addresses, and falls back to pickle where a processed file holds more than tensors and plain
containers. So a root is an absolute path here, and unpickling is replaced by an error within
`plain_loading`.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import structnet as sn

# `file:`, `s3:`, but not a drive as in `C:`.
ADDRESS = re.compile(r"[^\W\d_][\w+.-]+:")
_load = torch.load


def plain_folder(root: str) -> str:
    """The absolute path of a folder; ValueError for what fsspec would read as an address."""
    path = os.path.abspath(Path(root).expanduser())
    if ADDRESS.match(root) or "::" in path or "\0" in path:
        raise ValueError(
            f"option 'root' is a folder of this machine, such as ./data or /data/pyg, got {root!r}"
        )
    return path


def load_plain(file: Any, map_location: Any = None, **options: Any) -> Any:
    """Load tensors and plain containers saved by `torch.save`; ValueError for anything else."""
    name = getattr(file, "name", file)
    if isinstance(file, str | os.PathLike):
        path = Path(os.path.abspath(file))
        if sn.read_bytes(path, 4) == b"PK\x03\x04":
            sn.check_archive(path)
        file = path
    try:
        return _load(file, "cpu", weights_only=True)
    # torch's errors for damaged files and forbidden objects have no common type.
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{name} holds more than tensors, which would be unpickled: {reason}. Delete "
            f"{os.path.dirname(name)}, and it is made anew from the raw files"
        ) from error


def _refuse_pickle(*args: Any, **kwargs: Any) -> Any:
    raise ValueError("a pickle, which is not opened here")


@contextmanager
def plain_loading() -> Iterator[None]:
    """Inside, only tensors, arrays, plain containers and text can be loaded."""
    from torch_geometric.io import fs

    guards = [
        (torch, "load", load_plain),
        (fs, "torch_load", load_plain),
        (fs.pickle, "load", _refuse_pickle),
        (fs.pickle, "loads", _refuse_pickle),
        (fs.pickle, "Unpickler", _refuse_pickle),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in guards]
    try:
        for module, name, guard in guards:
            setattr(module, name, guard)
        yield
    finally:
        for module, name, own in kept:
            setattr(module, name, own)


def guarded(made: Any, pickled: bool) -> Any:
    """The class without downloads and, if its raw files are `pickled`, without processing them."""

    class Guarded(made):
        def _download(self) -> None:
            if not all(map(os.path.exists, self.raw_paths)):
                self.download()
            check_files(self)

        def download(self) -> None:
            given = ", ".join(repr(v) for v in (self.root, getattr(self, "name", None)) if v)
            files = ", ".join(map(os.path.basename, self.raw_paths))
            raise FileNotFoundError(
                f"no {files} in {self.raw_dir}; nothing is "
                'downloaded here. Get them with: python -c "from torch_geometric.datasets import '
                f'{made.__name__}; {made.__name__}({given})"'
            )

        def _process(self) -> None:
            self.log = False
            super()._process()

        def process(self) -> None:
            if pickled:
                raise ValueError(
                    f"the raw files of {made.__name__} are pickles, which are not opened here, and "
                    f"{self.processed_dir} is missing: make it with torch_geometric, if you trust "
                    "the files"
                )
            try:
                super().process()
            # torch_geometric's errors for damaged files have no common type.
            except (ImportError, MemoryError):
                raise
            except Exception as error:
                raise ValueError(
                    f"{made.__name__} can't read its raw files in {self.raw_dir}: "
                    f"{error or type(error).__name__}; get them again"
                ) from error

    Guarded.__name__ = made.__name__
    return Guarded


def check_files(dataset: Any) -> None:
    """ValueError for a special file in a dataset's folders, and for a too large archive."""
    folders = [Path(folder) for folder in (dataset.raw_dir, dataset.processed_dir)]
    found = {path for folder in folders if folder.is_dir() for path in folder.iterdir()}
    found |= {Path(path) for path in (*dataset.raw_paths, *dataset.processed_paths)}
    for path in sorted(found):
        if path.is_dir() or not path.exists():
            continue
        sn.check_file(path)
        if path.suffix == ".npz":
            sn.check_archive(path)
