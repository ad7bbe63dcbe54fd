"""Image files of a folder with their classes and splits: by folders, or by a table beside them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from structnet.plugins.files.images import image_files
from structnet.plugins.files.splits import SPLIT_NAMES
from structnet.plugins.files.tables import read_rows

TABLE = "labels.csv"


class Labelled(NamedTuple):
    """An image file, its class and its split; None where none is given."""

    path: Path
    label: str | None = None
    split: str | None = None


def labelled_images(root: Path) -> list[Labelled]:
    """The images below a folder, with what is known of them.

    With a table `labels.csv` in the folder, of columns file, label and, if splits are given, split,
    its rows are the images. Otherwise the folders directly below are the classes or, where all are
    named like splits, train and test among them, the splits, with the classes below. Raises the
    errors of `image_files`, and ValueError with the line of the table for one that can't be used.
    """
    files = image_files(root)
    if (root / TABLE).is_file():
        return _of_table(root, {*files})
    parts = {path: [*path.relative_to(root).parts[:-1]] for path in files}
    first = {above[0] if above else "" for above in parts.values()}
    named = {SPLIT_NAMES.get(name) for name in first}
    if not {"train", "test"} <= named <= {*SPLIT_NAMES.values()}:
        return [Labelled(path, above[0] if above else None) for path, above in parts.items()]
    return [
        Labelled(path, above[1] if len(above) > 1 else None, SPLIT_NAMES[above[0]])
        for path, above in parts.items()
    ]


def _of_table(root: Path, files: set[Path]) -> list[Labelled]:
    table = root / TABLE
    rows = list(read_rows(table))
    head = [name.strip().casefold() for name in rows[0][1]] if rows else []
    if "file" not in head or not {"label", "split"} & {*head}:
        raise ValueError(
            f"{table}, line 1: its columns are {head}; write file,label or file,label,split as the "
            "first line"
        )
    found: dict[Path, Labelled] = {}
    for number, row in rows[1:]:
        one = _row(root, f"{table}, line {number}", head, row, files)
        if one.path in found:
            raise ValueError(f"{table}, line {number}: {row[head.index('file')]} is there twice")
        found[one.path] = one
    if not found:
        raise ValueError(f"{table} has no rows below its first line")
    return [found[path] for path in sorted(found)]


def _row(root: Path, where: str, head: Sequence[str], row: list[str], files: set[Path]) -> Labelled:
    if len(row) != len(head):
        raise ValueError(f"{where}: {len(row)} values for the columns {[*head]}")
    values = {name: value.strip() for name, value in zip(head, row, strict=True)}
    # Compared with what was found below the folder, so that no file elsewhere is read.
    path = root / values["file"]
    if path not in files:
        raise ValueError(f"{where}: there is no image {values['file']!r} below {root}")
    split = values.get("split")
    if split is not None and split.casefold() not in SPLIT_NAMES:
        raise ValueError(f"{where}: split {split!r} is none of train, validation, test")
    if values.get("label") == "":
        raise ValueError(f"{where}: {values['file']} has no label")
    return Labelled(path, values.get("label"), SPLIT_NAMES[split.casefold()] if split else None)
