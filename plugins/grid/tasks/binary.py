"""Grey images made black and white."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from structnet.plugins.grid.tasks.pictures import PictureTask, Split

Way = Literal["static", "threshold", "dynamic"]


class GreyTask(PictureTask):
    """Images in levels of grey, which can be made black and white.

    Arguments:
        binarise: make images black and white: static draws every pixel once, with its brightness as
            the probability of white; dynamic draws training images anew every time; threshold
            rounds. null keeps them grey.
    """

    def __init__(self, levels: int, *, binarise: Way | None = None, **options: Any):
        super().__init__(1, 2 if binarise else levels, **options)
        self.grey_levels = levels
        self.binarise: Way | None = binarise

    def binarised(self, splits: dict[str, Split]) -> dict[str, Split]:
        return binarised(splits, self.grey_levels, self.binarise)


def binarised(splits: dict[str, Split], levels: int, how: Way | None) -> dict[str, Split]:
    """Images of two levels: a pixel is 1 with its brightness as probability, or if above one half.

    "static" draws all images once, by a fixed seed; "threshold" rounds; "dynamic" draws training
    images anew at every access, by torch's generator, and the others like "static". None leaves
    the images as they are.
    """
    if how is None:
        return splits
    out = {}
    for number, (name, (images, labels)) in enumerate(splits.items()):
        images = np.asarray(images)
        if how == "dynamic" and name == "train":
            made: Any = Drawn(images, levels)
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
    """Images that are drawn anew at every access."""

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
