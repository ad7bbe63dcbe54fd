"""Street scenes with the class of every pixel: CamVid in one .npz file."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import structnet as sn

FILE = "camvid_80x60.npz"
# Our names of the splits and the file's, and the arrays of each.
PARTS = {"train": "train", "validation": "val", "test": "test"}
WHAT = ("images", "labels")
# The label of pixels without a class.
VOID = 11
CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car",
    "pedestrian", "bicyclist",
)  # fmt: skip
# The colours in which SegNet shows these classes (Badrinarayanan et al. 2017): red, green and blue.
COLOURS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
    """Images (N, h, w, 3) and labels (N, h, w) of an .npz file, by name.

    `names` has the images and the labels of each split in turn. ValueError, naming the file and
    what was expected, for a damaged file, and for an array that is missing or of another shape,
    type or range.
    """
    sn.check_archive(path)
    try:
        with path.open("rb") as raw, np.load(raw) as file:
            arrays = {name: file[name] for name in names if name in file}
    except MemoryError:
        raise MemoryError(f"out of memory reading {path}") from None
    # numpy raises errors of three modules for damaged files.
    except Exception as error:
        raise ValueError(f"{path} is not a valid .npz file: {error}") from error
    for name in names:
        if name not in arrays:
            raise ValueError(f"{path} has no array {name!r}, expected {', '.join(names)}")
    for images, labels in zip(names[::2], names[1::2], strict=True):
        _refuse_wrong(path, *((name, arrays[name]) for name in (images, labels)))
    return arrays


def _refuse_wrong(path: Path, images: tuple[str, NDArray], labels: tuple[str, NDArray]) -> None:
    (of_images, x), (of_labels, y) = images, labels
    of_bytes = x.dtype == y.dtype == np.uint8
    if not of_bytes or x.shape != (*y.shape, 3) or y.ndim != 3 or not x.size:
        raise ValueError(
            f"{path}: {of_images} is {x.dtype} of shape {x.shape} and {of_labels} {y.dtype} of "
            f"{y.shape}, expected uint8 of (N, h, w, 3) for images, (N, h, w) for their labels"
        )
    if y.max() > VOID:
        raise ValueError(f"{path}: {of_labels} has the value {y.max()}, expected 0 to {VOID}")
    if y.min() == VOID:
        raise ValueError(
            f"{path}: {of_labels} has no pixel with a class, all are {VOID}; give images with "
            f"labels from 0 to {VOID - 1}"
        )
