"""Line-aligned files: sentences, and their translations in the same lines of another file."""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import structnet as sn
from structnet.plugins.files.locate import locate

# How files of a split may be called, before the ending that is the language.
NAMES = {
    "train": ("train",),
    "validation": ("valid", "val", "dev", "validation"),
    "test": ("test", "test_2016_flickr"),
}
# Where Multi30k is in the folder that STRUCTNET_DATA names.
FOLDER = "multi30k/raw"
Files = dict[str, tuple[Path, Path]]


class Pair(NamedTuple):
    """A sentence and its translation, from a line of two files."""

    source: str
    target: str
    origin: sn.Origin


def find_files(root: str | None, source: str, target: str) -> Files:
    """The two files of every split; of two files that are given by name, those of `train` alone.

    FileNotFoundError names the files that are missing.
    """
    given = [Path(one).expanduser() for one in (source, target)]
    if any(one.is_file() for one in given):
        for one in given:
            sn.check_file(one)
        return {"train": (given[0], given[1])}
    choices = [
        [f"{name}.{language}{end}" for name in names for end in ("", ".gz")]
        for names in NAMES.values()
        for language in (source, target)
    ]
    found = locate(root, FOLDER, choices)
    pairs = zip(found[::2], found[1::2], strict=True)
    return dict(zip(NAMES, pairs, strict=True))


def read_splits(files: Files) -> dict[str, list[Pair]]:
    """The pairs of every split; of one pair of files a random tenth each is validation and test."""
    found = {split: list(read_pairs(*some)) for split, some in files.items()}
    if len(found) > 1:
        return found
    pairs = found["train"]
    if len(pairs) < 3:
        raise ValueError(
            f"{files['train'][0]} has {len(pairs)} sentences with a translation; training, "
            "validation and test need at least one each"
        )
    order = np.random.default_rng(0).permutation(len(pairs))
    tenth = max(1, len(pairs) // 10)
    parts = np.split(order, [len(pairs) - 2 * tenth, len(pairs) - tenth])
    return {
        split: [pairs[at] for at in part.tolist()] for split, part in zip(NAMES, parts, strict=True)
    }


def read_pairs(source: Path, target: Path) -> Iterator[Pair]:
    """The sentences of two files, line by line.

    Lines that are blank in one of them are left out with a DataWarning. ValueError for files of
    different lengths, and where no line is left; other errors are those of `sn.read_text`.
    """
    first, second = lines_of(source), lines_of(target)
    if len(first) != len(second):
        longer, shorter = (source, target) if len(first) > len(second) else (target, source)
        raise ValueError(
            f"{source} has {len(first):,} lines and {target} {len(second):,}: line "
            f"{min(len(first), len(second)) + 1} of {longer} has no translation in {shorter}; look "
            "where they begin to differ"
        )
    blank = []
    for number, (one, other) in enumerate(zip(first, second, strict=True), start=1):
        if one.strip() and other.strip():
            yield Pair(one.strip(), other.strip(), sn.Origin(source, number, one.strip()))
        else:
            blank.append(number)
    if len(blank) == len(first):
        raise ValueError(f"{source} and {target} have no line with a sentence in both")
    if blank:
        warnings.warn(
            f"left out {_lines(blank)} of {source} and {target}, blank in one of them",
            sn.DataWarning,
            stacklevel=2,
        )


def lines_of(path: Path) -> list[str]:
    """The lines of a text file, blank ones among them."""
    text = sn.read_text(path).replace("\r\n", "\n")
    return text.removesuffix("\n").split("\n") if text else []


def _lines(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:3]))
    if len(numbers) == 1:
        return f"line {shown}"
    return f"{len(numbers)} lines, {shown}{', ...' if len(numbers) > 3 else ''}"
