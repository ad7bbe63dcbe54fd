"""Segmentation: the class of every pixel of a street scene.

h, w: height and width; n: pixels, row by row; V: pixels in a window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.files.images import image_files, read_image
from structnet.plugins.files.street_scenes import CLASSES, FILE, PARTS, VOID, WHAT, read_arrays


@sn.tasks.register("segmentation")
class Segmentation(sn.Task):
    """The class of every pixel of street scenes of 60 x 80 pixels, eleven classes.

    CamVid (Brostow et al. 2009) in the split of Badrinarayanan et al. (2017), each image reduced to
    a sixth of its height and width: camvid_80x60.npz. "accuracy" is the share of right pixels,
    "mean_iou" the mean over classes of the intersection over union of all images together; pixels
    without a class (void) are left out of both and of the loss. The features of a pixel are the
    `window` x `window` pixels around it and its row and column, all from -1 to 1. In the loss a
    class is weighted by its share of the training pixels to the power -`balance`; 1 is the
    weighting of Eigen and Fergus (2015), section 6.2.

    Arguments:
        root: the folder with camvid_80x60.npz; null is camvid_small/ of the folder that
            STRUCTNET_DATA names.
        window: the side of the square of pixels in a pixel's features, an odd number.
        balance: how much rare classes are emphasised: 0 weights all pixels equally, 1 all classes.
    """

    structures = ("grid",)
    classes = CLASSES
    monitor = "mean_iou"

    def __init__(self, *, root: str | None = None, window: int = 1, balance: float = 0.0):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"option 'window' is an odd number from 1 on, got {window}")
        if balance < 0:
            raise ValueError(f"option 'balance' is at least 0, got {balance}")
        self.root, self.window, self.balance = root, window, balance
        self.input_size = 3 * window * window + 2

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "every"

    def find(self) -> Path:
        return sn.data_folder(self.root, "camvid_small", [FILE]) / FILE

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The colour PNG and JPEG files of a folder, or a single one."""
        for file in [path] if path.is_file() else image_files(path):
            image = read_image(file, 3)
            height, width = image.shape[:2]
            sample = self._sample(image, np.full((height, width), VOID, np.uint8))
            yield replace(sample, origin=sn.Origin(file, 1, f"{height} x {width} pixels"))

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        """The row and column of every pixel."""
        height, width = sample.structure
        return [f"({row}, {column})" for row in range(height) for column in range(width)]

    def load(self, topology: sn.Topology) -> sn.Splits:
        path = self.find()
        arrays = read_arrays(path, [f"{p}_{what}" for p in PARTS.values() for what in WHAT])
        pixels = sum(len(arrays[f"{part}_labels"].ravel()) for part in PARTS.values())
        if (size := 4 * pixels * (3 * self.window**2 + 2)) > sn.total_memory():
            raise ValueError(
                f"the windows of {pixels:,} pixels take {sn.as_bytes(size)}, more than this "
                f"machine's memory: set task.window to less than {self.window}"
            )
        splits = {
            name: [
                self._sample(*pair)
                for pair in zip(*(arrays[f"{part}_{what}"] for what in WHAT), strict=True)
            ]
            for name, part in PARTS.items()
        }
        return sn.Splits(splits)

    @cached_property
    def weights(self) -> Tensor:
        """What a training pixel of each class counts for in the loss."""
        labels = np.concatenate([sample.y for sample in self.loaded["train"]])
        counts = np.bincount(labels[labels != sn.IGNORE], minlength=len(self.classes)).clip(min=1)
        return torch.from_numpy(counts.astype(np.float32)) ** -self.balance

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        if len(output) != len(batch.y):
            raise ValueError("task 'segmentation' has one target per pixel: take readout=every")
        return self.cross_entropy(output, batch.y, self.weights.to(output))

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassJaccardIndex

        iou = MulticlassJaccardIndex(len(self.classes), ignore_index=sn.IGNORE)
        return {**super().metrics(), "mean_iou": iou}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        return dict.fromkeys(("accuracy", "mean_iou"), (output, batch.y))

    def baselines(self) -> dict[str, dict[str, float]]:
        """The most frequent class at each position, and pixels classified by their own features."""
        from structnet.plugins.grid.baselines import fit_pixels

        train, test = (
            [(sample.structure, sample.x, sample.y) for sample in self.loaded[split]]
            for split in ("train", "test")
        )
        y = torch.from_numpy(np.concatenate([target for _, _, target in test]))
        return {
            name: {metric: float(made(predicted, y)) for metric, made in self.metrics().items()}
            for name, predicted in fit_pixels(train, test, sn.IGNORE).items()
        }

    def _sample(self, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> sn.Sample:
        around = windows(image.astype(np.float32) / 127.5 - 1, self.window)
        x = np.concatenate([around, places(labels.shape)], axis=1)
        y = np.where(labels == VOID, sn.IGNORE, labels.astype(np.int64))
        return sn.Sample(labels.shape, x, y.ravel())


def windows(image: NDArray, size: int) -> NDArray:
    """The pixels (n, V * 3) around every pixel of an image (h, w, 3), padded by its border."""
    around = size // 2
    framed = np.pad(image, ((around, around), (around, around), (0, 0)), mode="edge")
    view = np.lib.stride_tricks.sliding_window_view(framed, (size, size), (0, 1))
    return view.transpose(0, 1, 3, 4, 2).reshape(image.shape[0] * image.shape[1], -1)


def places(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Row and column (n, 2) of every pixel, from -1 to 1; 0 where there is only one."""
    axes = [np.linspace(-1, 1, size, dtype=np.float32) if size > 1 else [0.0] for size in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
