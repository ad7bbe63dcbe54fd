"""Trees and graphs that are in two splits, which a test then doesn't test."""

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence

import structnet as sn
from structnet.plugins.shapes.shape import Shape


def warn_of_leaks(splits: Mapping[str, Sequence[Shape]], target: str, ident: str | None) -> None:
    """A DataWarning for an id that is in two splits, and for trees or graphs that are the same.

    Those with the same edges and records in the same order are the same, whatever their targets.

    Arguments:
        splits: the shapes of every split.
        target: the column with targets.
        ident: the column with the ids of shapes; None for none.
    """
    for what in ("the same id", "the same nodes and edges"):
        seen: dict[str, tuple[str, Shape]] = {}
        found: list[tuple[tuple[str, Shape], tuple[str, Shape]]] = []
        for split, shapes in splits.items():
            for shape in shapes:
                key = _id(shape, ident) if what == "the same id" else print_of(shape, target)
                if key is not None and (first := seen.setdefault(key, (split, shape)))[0] != split:
                    found.append((first, (split, shape)))
        if found:
            (split, one), (other, same) = found[0]
            warnings.warn(
                f"{len(found)} of the splits' trees or graphs have {what} as one of another split: "
                f"{same.place.path}, {same.place.what} {same.place.line} ({other}) and "
                f"{one.place.path}, {one.place.what} {one.place.line} ({split}); their figures say "
                "little of new data. Set task.group=COLUMN to keep what belongs together in one "
                "split",
                sn.DataWarning,
                stacklevel=2,
            )


def print_of(shape: Shape, target: str) -> str:
    """A fingerprint of a shape's edges and records, without targets."""
    records = [
        [{key: value for key, value in one.items() if key != target} for one in some]
        for some in (shape.nodes, shape.links)
    ]
    text = json.dumps([len(shape), records], sort_keys=True, default=str)
    return hashlib.sha256(text.encode() + shape.edges.tobytes()).hexdigest()


def _id(shape: Shape, ident: str | None) -> str | None:
    value = None if ident is None else shape.own.get(ident)
    return None if value is None else str(value)
