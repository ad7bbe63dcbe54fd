"""MNIST: hand-written digits in IDX files."""

from pathlib import Path

import numpy as np
from structnet.plugins.files.images import read_idx, refuse_labels
from structnet.plugins.files.locate import locate
from structnet.plugins.grid.tasks.binary import binarised, check_way
from structnet.plugins.grid.tasks.pictures import PictureTask, Split

import structnet as sn

LEVELS = 256
FILES = {"train": "train", "test": "t10k"}


@sn.tasks.register("mnist")
class MNIST(PictureTask):
    """Hand-written digits of 28 x 28 pixels, in black and white or 256 levels of grey.

    LeCun et al. (1998): the four IDX files, as they are or under gzip, in `root`, or in mnist/ of
    the folder that STRUCTNET_DATA names. The last sixth of the training file is validation.
    `binarise` (static, threshold, dynamic, null for grey) makes them black and white: see
    `binarised`. Nats on "static" compare with those published for the binarisation of Larochelle
    and Murray (2011), which is another draw of the same kind. The other options are those of
    `PictureTask`.

    Arguments:
        root: the folder of the four IDX files; null is mnist/ of the folder that STRUCTNET_DATA
            names.
        binarise: how images become black and white: static, threshold or dynamic; null keeps them
            grey.
    """

    classes = "0123456789"

    def __init__(
        self,
        *,
        root: str | None = None,
        goal: str = "pixels",
        likelihood: str | None = None,
        mixtures: int = 10,
        condition: str | None = None,
        factor: int = 2,
        size: int | None = None,
        train_size: int | None = None,
        binarise: str | None = "static",
    ):
        check_way(binarise)
        super().__init__(
            channels=1,
            levels=2 if binarise else LEVELS,
            goal=goal,
            likelihood=likelihood,
            mixtures=mixtures,
            condition=condition,
            factor=factor,
            size=size,
            train_size=train_size,
        )
        self.root, self.binarise = root, binarise

    def find(self) -> list[Path]:
        names = [
            f"{part}-{what}-ubyte"
            for part in FILES.values()
            for what in ("images-idx3", "labels-idx1")
        ]
        return locate(self.root, "mnist", [(f"{name}.gz", name) for name in names])

    def read_splits(self) -> dict[str, Split]:
        paths = self.find()
        read = {}
        for split, images_path, labels_path in zip(FILES, paths[::2], paths[1::2], strict=True):
            images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
            if len(images) != len(labels):
                raise ValueError(
                    f"{images_path} has {len(images)} images, {labels_path} has {len(labels)} "
                    "labels: these files are not of one set"
                )
            refuse_labels(labels_path, labels, len(self.classes))
            read[split] = Split(images[..., None], labels.astype(np.int64))
        images, labels = read["train"]
        if len(images) < 6:
            raise ValueError(
                f"{paths[0]} has {len(images)} images, of which one in six is for validation: "
                "at least 6 are needed"
            )
        cut = len(images) - len(images) // 6
        splits = {
            "train": Split(images[:cut], labels[:cut]),
            "validation": Split(images[cut:], labels[cut:]),
            "test": read["test"],
        }
        return binarised(splits, LEVELS, self.binarise)
