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
        _refuse_wrong(path, images, arrays[images], (*arrays[labels].shape, 3), 255)
        _refuse_wrong(path, labels, arrays[labels], arrays[images].shape[:3], VOID)
    return arrays


def _refuse_wrong(
    path: Path, name: str, array: NDArray, shape: tuple[int, ...], largest: int
) -> None:
    if array.dtype != np.uint8 or array.shape != shape or not array.size:
        raise ValueError(
            f"{path}: {name} is {array.dtype} of shape {array.shape}, expected uint8 of "
            f"(N, h, w, 3) for images, (N, h, w) for their labels"
        )
    if array.max() > largest:
        raise ValueError(f"{path}: {name} has the value {array.max()}, expected 0 to {largest}")
