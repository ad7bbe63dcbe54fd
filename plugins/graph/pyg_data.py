"""Datasets of torch_geometric by the names of their classes, opened offline and without pickle.

torch_geometric keeps what it has made of the raw files with torch.save, and falls back to pickle
where such a file holds more than tensors and plain containers. So files in `processed` are read
here as tensors alone before it opens them, and are refused where they hold anything else; and where
the raw files themselves are pickles, only what has been processed before is taken.
"""

import inspect
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

# Raw files of text or plain arrays.
PLAIN = (
    "Actor", "Airports", "Amazon", "CitationFull", "Coauthor", "CoraFull", "EllipticBitcoinDataset",
    "Flickr", "HeterophilousGraphDataset", "MoleculeNet", "Reddit", "TUDataset", "WebKB", "WikiCS",
)  # fmt: skip
# Raw files that are pickles.
PROCESSED = (
    "AQSOL", "DeezerEurope", "FacebookPagePage", "GitHub", "GNNBenchmarkDataset", "LastFMAsia",
    "LRGBDataset", "Planetoid", "QM9", "Twitch", "WikipediaNetwork", "ZINC",
)  # fmt: skip
# No files at all.
MADE = ("BAShapes", "FakeDataset", "KarateClub")
NAMES = sorted((*PLAIN, *PROCESSED, *MADE))
NAME = re.compile(r"\w[\w.+-]*")
# Of classes that give a split at a time, what they call them.
SPLITS = {"train": "train", "validation": "val", "test": "test"}


def open_dataset(kind: str, name: str | None, root: str | None) -> dict[str, list[Any]]:
    """The graphs, `Data` each: of every split where the dataset has them apart, else of "all".

    ValueError for a name that is not allowed, for what the class refuses and for files that are
    more than tensors; FileNotFoundError, saying how to get them, for files that are not there.
    """
    from torch_geometric import datasets

    if kind not in NAMES:
        from difflib import get_close_matches

        close = get_close_matches(str(kind), NAMES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"option 'dataset' is one of {NAMES}, got {kind!r}{hint}")
    made = getattr(datasets, kind)
    parameters = inspect.signature(made.__init__).parameters
    options: dict[str, Any] = {}
    if "name" in parameters:
        options["name"] = _checked_name(kind, name)
    elif name is not None:
        raise ValueError(f"{kind} has no names: leave 'dataset_name' out, got {name!r}")
    if kind in MADE:
        with _seeded(0):
            return {"all": list(made(**options))}
    if root is None:
        raise FileNotFoundError(f"set task.root=FOLDER to the root that {kind} has its files in")
    options["root"] = str(Path(root).expanduser())
    opened = _guarded(made, kind not in PLAIN)
    if "split" in parameters and kind != "Planetoid":
        return {ours: _open(opened, {**options, "split": pyg}) for ours, pyg in SPLITS.items()}
    return {"all": _open(opened, options)}


def _open(made: Any, options: dict[str, Any]) -> list[Any]:
    try:
        return list(made(**options))
    except (AssertionError, KeyError) as error:
        name = options.get("name")
        raise ValueError(
            f"{made.__name__} refuses option 'dataset_name', {name!r}: {error or 'no such name'}"
        ) from error


def _checked_name(kind: str, name: str | None) -> str:
    if name is None or not NAME.fullmatch(name):
        raise ValueError(
            f"option 'dataset_name' is the name of one of the datasets of {kind}, got {name!r}"
        )
    return name


def _guarded(made: Any, pickled: bool) -> Any:
    """The class, which gets nothing from the network and unpickles nothing."""

    class Guarded(made):
        def download(self) -> None:
            given = ", ".join(repr(v) for v in (self.root, getattr(self, "name", None)) if v)
            raise FileNotFoundError(
                f"no {', '.join(map(str, self.raw_file_names))} in {self.raw_dir}; nothing is "
                'downloaded here. Get them with: python -c "from torch_geometric.datasets import '
                f'{made.__name__}; {made.__name__}({given})"'
            )

        def _process(self) -> None:
            for path in sorted(Path(self.processed_dir).glob("*.pt")):
                _refuse_pickle(path)
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
            # What torch_geometric raises for damaged files has no common type.
            except (IndexError, RuntimeError, ValueError) as error:
                raise ValueError(
                    f"{made.__name__} can't read its raw files in {self.raw_dir}: {error}; get "
                    "them again"
                ) from error

    Guarded.__name__ = made.__name__
    return Guarded


def _refuse_pickle(path: Path) -> None:
    try:
        torch.load(path, map_location="cpu", weights_only=True)
    # What torch raises for a damaged file or a forbidden object has no common type.
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{path} holds more than tensors, which would be unpickled: {reason}. Delete "
            f"{path.parent}, and it is made anew from the raw files"
        ) from error


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """What is drawn is drawn from the seed; other draws go on as if nothing had been."""
    python, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=()):
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)
