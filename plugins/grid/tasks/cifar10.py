"""CIFAR-10: small photographs in binary files."""

import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import structnet as sn
from structnet.plugins.files.images import refuse_labels
from structnet.plugins.files.locate import locate
from structnet.plugins.grid.tasks.pictures import PictureTask, Split

SIDE, CHANNELS = 32, 3
RECORD = 1 + CHANNELS * SIDE * SIDE
OFFICIAL = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
SUBSET = ("data_batch_first4000.bin.gz", "test_batch_first1000.bin.gz")


@sn.tasks.register("cifar10")
class CIFAR10(PictureTask):
    """Photographs of 32 x 32 pixels in ten classes, 256 levels of red, green and blue.

    Krizhevsky (2009): data_batch_1.bin to data_batch_5.bin and test_batch.bin, as they are or under
    gzip; or else a subset, data_batch_first4000.bin and test_batch_first1000.bin. The last tenth of
    the training images is validation.

    Arguments:
        root: the folder with the binary files; null is cifar10/ or cifar10_subset/ of the folder
            that STRUCTNET_DATA names.
    """

    classes = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    monitor = measure = "bits_per_dim"

    def __init__(self, *, root: str | None = None, **options: Any):
        super().__init__(CHANNELS, 256, **options)
        self.root = root

    def read_splits(self) -> dict[str, Split]:
        *training, test = map(self._read, self.find())
        images = np.concatenate([one.images for one in training])
        labels = np.concatenate([one.labels for one in training])
        cut = len(images) - len(images) // 10
        return {
            "train": Split(images[:cut], labels[:cut]),
            "validation": Split(images[cut:], labels[cut:]),
            "test": test,
        }

    def find(self) -> list[Path]:
        official = [(name, f"{name}.gz") for name in OFFICIAL]
        subset = [(name, name.removesuffix(".gz")) for name in SUBSET]
        for name, files in (("cifar10", official), ("cifar10", subset), ("cifar10_subset", subset)):
            with suppress(FileNotFoundError):
                found = locate(self.root, name, files)
                if files is subset and self.root is None:
                    warnings.warn(
                        f"only a part of CIFAR-10: {found[0].parent} holds 4,000 of its training "
                        "images, so that figures don't compare with published ones",
                        sn.DataWarning,
                        stacklevel=2,
                    )
                return found
        return locate(self.root, "cifar10", official)

    def _read(self, path: Path) -> Split:
        data = np.frombuffer(sn.read_bytes(path), np.uint8)
        if not len(data) or len(data) % RECORD:
            raise ValueError(
                f"{path} is of {len(data)} bytes, expected a multiple of {RECORD}: a label and "
                f"{SIDE} x {SIDE} red, green and blue values an image; get it again"
            )
        records = data.reshape(-1, RECORD)
        refuse_labels(path, records[:, 0], len(self.classes))
        planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
        return Split(planes.transpose(0, 2, 3, 1).copy(), records[:, 0].astype(np.int64))
