"""Grey images made black and white."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from structnet.plugins.grid.tasks.pictures import Split

WAYS = ("static", "threshold", "dynamic")


def check_way(how: str | None) -> None:
    """ValueError if there is no such way."""
    if how not in (None, *WAYS):
        raise ValueError(f"no binarise {how!r} among {[None, *WAYS]}")


def binarised(splits: dict[str, Split], levels: int, how: str | None) -> dict[str, Split]:
    """Images of two levels: a pixel is 1 with its brightness as probability, or if above the half.

    "static" draws them once, by a fixed seed, "threshold" draws nothing, and "dynamic" draws
    training images anew whenever they are asked for, by torch's generator, the others as "static".
    None leaves the images as they are.
    """
    check_way(how)
    if how is None:
        return splits
    out = {}
    for number, (name, (images, labels)) in enumerate(splits.items()):
        images = np.asarray(images)
        if how == "dynamic" and name == "train":
            made: Sequence = Drawn(images, levels)
        elif how == "threshold":
            made = (images > (levels - 1) / 2).astype(np.uint8)
        else:
            made = _drawn_once(images, levels, number)
        out[name] = Split(made, labels)
    return out


def _drawn_once(images: NDArray[np.uint8], levels: int, number: int) -> NDArray[np.uint8]:
    random = np.random.default_rng([0, number])
    made = np.empty_like(images)
    for image, into in zip(images, made, strict=True):
        into[:] = random.random(image.shape, np.float32) * (levels - 1) < image
    return made


class Drawn(Sequence):
    """Images that are drawn anew at every look."""

    def __init__(self, images: NDArray[np.uint8], levels: int):
        self.images, self.levels = images, levels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> Any:
        images = self.images[index]
        if isinstance(index, slice):
            return Drawn(images, self.levels)
        noise = torch.rand(images.shape).numpy()
        return (noise * (self.levels - 1) < images).astype(np.uint8)
