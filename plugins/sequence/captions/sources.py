"""Images with captions: scikit-learn's digits and their names, or a folder of the user's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import structnet as sn
from structnet.plugins.files.images import read_image, read_images, resized
from structnet.plugins.files.splits import SPLITS, Folds, deal, to_draw
from structnet.plugins.files.tables import read_rows

FILE = "captions.tsv"
# The first line of the file, if it has one that names its columns.
HEAD = ["file", "caption", "language"]
# The language of a folder whose file names none.
ONLY = "any"
NAMES = {
    "english": "zero one two three four five six seven eight nine",
    "german": "null eins zwei drei vier fünf sechs sieben acht neun",
    "french": "zéro un deux trois quatre cinq six sept huit neuf",
    "spanish": "cero uno dos tres cuatro cinco seis siete ocho nueve",
    "italian": "zero uno due tre quattro cinque sei sette otto nove",
}


@dataclass(frozen=True, eq=False)
class Captioned:
    """An image (h, w, C) with values from 0 to 255, and what to say of it in which language.

    The text is None where it is not known.
    """

    image: NDArray[np.uint8]
    text: str | None
    language: str
    origin: sn.Origin | None = None


def read_digits(seed: int) -> dict[str, list[Captioned]]:
    """Scikit-learn's digits with their names, in the same splits as task digits.

    A training image has its name in every language, others in one that is drawn at random.
    """
    # Imported here: scikit-learn takes a second.
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    names = {language: line.split() for language, line in NAMES.items()}
    order = np.random.default_rng(0).permutation(len(digits.target))
    parts = dict(zip(("test", "validation", "train"), np.split(order, [360, 540]), strict=True))
    images = (digits.images[..., None] * (255 / 16)).round().astype(np.uint8)
    drawn = np.random.default_rng(seed).integers(len(names), size=len(images))

    def captions(index: int, languages: Sequence[str]) -> list[Captioned]:
        digit = int(digits.target[index])
        return [Captioned(images[index], names[one][digit], one) for one in languages]

    every = list(names)
    return {
        split: [
            caption
            for index in parts[split].tolist()
            for caption in captions(index, every if split == "train" else [every[drawn[index]]])
        ]
        for split in SPLITS
    }


def read_folder(
    root: Path, size: int, channels: int, known: Sequence[str] = ()
) -> list[list[Captioned]]:
    """The images of a folder, each with all its captions in captions.tsv.

    ValueError names the line of a caption that can't be used.

    Arguments:
        root: the folder.
        size: the height and width that images are scaled to.
        channels: 1 or 3.
        known: the only languages that captions may have, if any are given.
    """
    images: dict[str, NDArray[np.uint8]] = {}
    found: dict[str, list[Captioned]] = {}
    for number, (name, text, language) in read_captions(root / FILE):
        if known and language not in known:
            raise ValueError(
                f"{root / FILE}, line {number}: the net knows the languages {', '.join(known)}, "
                f"got {language!r}"
            )
        if name not in images:
            images[name] = _image(root, name, number, size, channels)
        origin = sn.Origin(root / FILE, number, f"{name}: {text}")
        found.setdefault(name, []).append(Captioned(images[name], text, language, origin))
    if not found:
        raise ValueError(f"{root / FILE} has no captions")
    return list(found.values())


def split_images(
    given: dict[str, list[list[Captioned]]], seed: int, folds: Folds
) -> dict[str, list[Captioned]]:
    """The captions of train, validation and test; of splits that are not given, images are drawn.

    ValueError, naming the file, for too few images.
    """
    splits = dict(given)
    images, missing = to_draw(splits, folds)
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    try:
        parts = deal(order, missing, folds, "images")
    except ValueError as error:
        origin = images[0][0].origin
        raise ValueError(f"{origin and origin.path} has captions of {error}: add more") from error
    splits |= {split: [images[at] for at in sorted(part)] for split, part in parts.items()}
    return {split: [one for image in splits[split] for one in image] for split in SPLITS}


def read_captions(path: Path) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """File, caption and language of every line of a captions.tsv, with the line's number.

    The language is `ONLY` where there are two columns. ValueError names the line of a mistake.
    """
    columns = 0
    for number, row in read_rows(path, tabs=True):
        values = [value.strip() for value in row]
        columns = columns or len(values)
        if len(values) != columns or columns not in (2, 3):
            expected = str(columns) if columns in (2, 3) else "2 or 3"
            raise ValueError(
                f"{path}, line {number}: {len(values)} columns, expected {expected}: an image's "
                "file, its caption and, in all lines or none, the caption's language, separated by "
                "tabs"
            )
        if number == 1 and values == HEAD[:columns]:
            continue
        for what, value in zip(HEAD, values, strict=False):
            if not value:
                raise ValueError(f"{path}, line {number}: the {what} is empty; give one")
        yield number, (values[0], values[1], values[2] if columns == 3 else ONLY)


def resized_images(
    path: Path, size: int, channels: int
) -> Iterator[tuple[Path, NDArray[np.uint8]]]:
    """The user's images to write captions for: a file, or those below a folder that can be read."""
    for file, image in read_images(path, partial(read_image, channels=channels)):
        yield file, resized(image, size, size)


def _image(root: Path, name: str, line: int, size: int, channels: int) -> NDArray[np.uint8]:
    file = root / name
    if not file.is_file():
        raise ValueError(f"{root / FILE}, line {line}: there is no file {file}")
    try:
        return resized(read_image(file, channels), size, size)
    except ValueError as error:
        raise ValueError(f"{root / FILE}, line {line}: {error}") from error
