"""MNIST: hand-written digits in IDX files."""

from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.files.images import read_idx, refuse_labels
from structnet.plugins.files.locate import locate
from structnet.plugins.grid.tasks.binary import GreyTask, Way
from structnet.plugins.grid.tasks.pictures import Split

LEVELS = 256
FILES = {"train": "train", "test": "t10k"}


@sn.tasks.register("mnist")
class MNIST(GreyTask):
    """Hand-written digits of 28 x 28 pixels, in black and white or 256 levels of grey.

    LeCun et al. (1998): the four IDX files, as they are or under gzip. The last sixth of the
    training file is validation. Nats on binarise=static compare with those published for the
    binarisation of Larochelle and Murray (2011), which is another draw of the same kind.

    Arguments:
        root: the folder with the four IDX files; null is mnist/ of the folder that STRUCTNET_DATA
            names.
    """

    classes = "0123456789"

    def __init__(self, *, root: str | None = None, binarise: Way | None = "static", **options: Any):
        super().__init__(LEVELS, binarise=binarise, **options)
        self.root = root

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
                    "labels: these files do not belong together"
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
        return self.binarised(splits)
