"""The splits of rows that are given in Python."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from structnet.data.rows import Row, read_rows

SPLITS = ("train", "validation", "test")
# A split that is not given is one in this many rows of train.
SHARE = 10


def rows_in_splits(data: Any, seed: int, per_node: bool | None) -> dict[str, list[Row]]:
    """The rows of every split: as given, or else a tenth each, drawn from train by a seed.

    ValueError for other splits, for too few rows, and for a row that is none, by its number.

    Arguments:
        data: rows, or a mapping from train, and validation and test if given, to rows.
        seed: of the drawing.
        per_node: as that of `read_rows`.
    """
    given = data if isinstance(data, Mapping) else {"train": data}
    if odd := [name for name in given if name not in SPLITS]:
        raise ValueError(f"no split {odd[0]!r} among {list(SPLITS)}")
    if "train" not in given:
        raise ValueError(f"no split 'train', only {list(given)}")
    splits = {}
    for name in [one for one in SPLITS if one in given]:
        of = name if given is data else "data"
        splits[name] = list(read_rows(given[name], of, per_node))
        if not splits[name]:
            raise ValueError(f"{of} has no rows")
    return _drawn(splits, seed)


def _drawn(splits: dict[str, list[Row]], seed: int) -> dict[str, list[Row]]:
    """The splits, with those that are missing drawn from train."""
    rows, missing = splits["train"], [name for name in SPLITS if name not in splits]
    order = np.random.default_rng(seed).permutation(len(rows)).tolist()
    share = max(1, len(order) // SHARE)
    if len(order) <= share * len(missing):
        raise ValueError(
            f"{len(order)} rows: {' and '.join(missing)} are drawn from them, so that at least "
            f"{len(missing) + 1} are needed"
        )
    found = {**splits, "train": [rows[i] for i in sorted(order[len(missing) * share :])]}
    for k, name in enumerate(missing):
        found[name] = [rows[i] for i in sorted(order[k * share : (k + 1) * share])]
    return found
