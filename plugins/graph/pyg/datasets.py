"""Datasets of torch_geometric by the names of their classes, opened offline and without pickle.

Where the raw files are pickles, only files that were processed before are read.
"""

import inspect
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from structnet.plugins.graph.pyg.guard import guarded, plain_folder, plain_loading

# Datasets whose raw files are text or plain arrays.
PLAIN = (
    "Actor", "Airports", "Amazon", "CitationFull", "Coauthor", "CoraFull", "EllipticBitcoinDataset",
    "Flickr", "HeterophilousGraphDataset", "MoleculeNet", "Reddit", "TUDataset", "WebKB", "WikiCS",
)  # fmt: skip
# Datasets whose raw files are pickles.
PROCESSED = (
    "AQSOL", "DeezerEurope", "FacebookPagePage", "GitHub", "GNNBenchmarkDataset", "LastFMAsia",
    "LRGBDataset", "Planetoid", "QM9", "Twitch", "WikipediaNetwork", "ZINC",
)  # fmt: skip
# Generated datasets without files.
MADE = ("BAShapes", "FakeDataset", "KarateClub")
NAMES = sorted((*PLAIN, *PROCESSED, *MADE))
NAME = re.compile(r"\w[\w.+-]*")
# Our names of splits, and those in classes that give one split at a time.
SPLITS = {"train": "train", "validation": "val", "test": "test"}


def open_dataset(kind: str, name: str | None, root: str | None) -> dict[str, list[Any]]:
    """The graphs (`Data`) of every split, under "all" where the dataset has no separate splits.

    ValueError for a name that is not allowed, for what the class rejects, and for files that hold
    more than tensors; FileNotFoundError for missing files says how to get them.
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
    options["root"] = plain_folder(root)
    opened = guarded(made, kind not in PLAIN)
    if "split" in parameters and kind != "Planetoid":
        return {ours: _open(opened, {**options, "split": pyg}) for ours, pyg in SPLITS.items()}
    return {"all": _open(opened, options)}


def _open(made: Any, options: dict[str, Any]) -> list[Any]:
    try:
        with plain_loading():
            graphs = list(made(**options))
    except (MemoryError, ImportError, FileNotFoundError, ValueError):
        raise
    # torch_geometric's errors for unknown names and for files of others have no common type.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise ValueError(
            f"{made.__name__} refuses option 'dataset_name', {options.get('name')!r}, or "
            f"what lies in {options['root']} ({reason}); it is made anew from the raw files where "
            "its folder 'processed' is deleted"
        ) from error
    for number, data in enumerate(graphs):
        _check_graph(data, f"graph {number} of {made.__name__} in {options['root']}")
    return graphs


def _check_graph(data: Any, where: str) -> None:
    """ValueError for edges, features or targets that do not fit together."""
    edges, size = getattr(data, "edge_index", None), getattr(data, "num_nodes", None)
    if not isinstance(edges, Tensor) or edges.dim() != 2 or len(edges) != 2:
        raise ValueError(f"{where} has no edge_index of shape (2, E)")
    if (edges.is_floating_point() and edges.numel()) or type(size) is not int:
        raise ValueError(
            f"{where} has {edges.dtype} edges and {size!r} nodes, whole numbers needed"
        )
    if edges.numel() and not 0 <= int(edges.min()) <= int(edges.max()) < size:
        raise ValueError(f"{where} has edges of nodes that are not among its {size}")
    rows = {"x": size, "edge_attr": edges.shape[1], "y": None}
    for name, count in rows.items():
        value = getattr(data, name, None)
        if value is None:
            continue
        if not isinstance(value, Tensor) or value.is_complex():
            raise ValueError(f"{where}: {name} is {type(value).__name__}, not a tensor of numbers")
        if count is not None and (not value.dim() or len(value) != count):
            raise ValueError(f"{where}: {name} has shape {tuple(value.shape)}, {count} rows needed")


def _checked_name(kind: str, name: str | None) -> str:
    if name is None or not NAME.fullmatch(name):
        raise ValueError(
            f"option 'dataset_name' is the name of one of the datasets of {kind}, got {name!r}"
        )
    return name


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Random draws inside come from the seed; the random state outside is left as it was."""
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
