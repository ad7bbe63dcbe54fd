"""Line-aligned files: sentences, and their translations in the same lines of another file."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import structnet as sn
from structnet.plugins.files.locate import locate
from structnet.plugins.files.splits import NO_FOLDS, Folds, deal, to_draw

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


def find_files(given: Mapping[str, Path], source: str, target: str) -> Files:
    """The two files of every split; of two files that are given by name, those of `train` alone.

    FileNotFoundError names the files that are missing.

    Arguments:
        given: the folder of the files as `all`, or of each split the path of its files without the
            ending that is the language; nothing for Multi30k.
        source, target: the languages, or two files.
    """
    if given and "all" not in given:
        return {split: _beside(split, stem, source, target) for split, stem in given.items()}
    named = [Path(one).expanduser() for one in (source, target)]
    if any(one.is_file() for one in named):
        for one in named:
            sn.check_file(one)
        return {"train": (named[0], named[1])}
    choices = [
        [f"{name}.{language}{end}" for name in names for end in ("", ".gz")]
        for names in NAMES.values()
        for language in (source, target)
    ]
    found = locate(str(given["all"]) if given else None, FOLDER, choices)
    pairs = zip(found[::2], found[1::2], strict=True)
    return dict(zip(NAMES, pairs, strict=True))


def read_splits(files: Files, folds: Folds = NO_FOLDS) -> dict[str, list[Pair]]:
    """The pairs of every split; those of splits that are not given are dealt in random order."""
    found = {split: list(read_pairs(*some)) for split, some in files.items()}
    pairs, missing = to_draw(found, folds)
    order = range(len(pairs))
    if missing:
        order = np.random.default_rng(0).permutation(len(pairs))[::-1].tolist()
    try:
        parts = deal(order, missing, folds, "sentences with a translation")
    except ValueError as error:
        raise ValueError(f"{files['train'][0]} has {error}") from error
    back = -1 if missing else 1
    return found | {split: [pairs[at] for at in part[::back]] for split, part in parts.items()}


def _beside(split: str, stem: Path, source: str, target: str) -> tuple[Path, Path]:
    """A split's files in both languages; FileNotFoundError names one that is missing."""
    found = []
    for language in (source, target):
        paths = [stem.with_name(f"{stem.name}.{language}{end}") for end in ("", ".gz")]
        one = next((path for path in paths if path.is_file()), None)
        if one is None:
            raise FileNotFoundError(
                f"no file {paths[0]}: task.{split} is the path of two files without their endings, "
                f".{source} and .{target}, the languages of task.source and task.target"
            )
        found.append(one)
    return found[0], found[1]


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
