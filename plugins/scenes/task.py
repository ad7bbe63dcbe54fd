"""What tasks on street scenes share, whatever their nodes are."""

import abc
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.files.images import read_coloured, read_images
from structnet.plugins.scenes.files import CLASSES, FILE, PARTS, VOID, WHAT, read_arrays

Image = NDArray[np.uint8]


class SceneTask(sn.Task):
    """The class of every pixel of street scenes of 60 x 80 pixels, eleven classes.

    CamVid (Brostow et al. 2009) in the split of Badrinarayanan et al. (2017), each image reduced to
    a sixth of its height and width: camvid_80x60.npz. "accuracy" is the share of right pixels,
    "mean_iou" the mean over classes of the intersection over union of all images together; pixels
    without a class (void) are left out of both and of the loss. There a class is weighted by its
    share of the training pixels to the power -`balance`; 1 is the weighting of Eigen and Fergus
    (2015), section 6.2.

    Arguments:
        root: the folder with camvid_80x60.npz; null is camvid_small/ of the folder that
            STRUCTNET_DATA names.
        balance: how much rare classes are emphasised: 0 weights all pixels equally, 1 all classes.
    """

    classes = CLASSES
    monitor = "mean_iou"

    def __init__(self, *, root: str | None = None, balance: float = 0.0):
        if balance < 0:
            raise ValueError(f"option 'balance' is at least 0, got {balance}")
        self.root, self.balance = root, balance

    @abc.abstractmethod
    def sample(self, image: Image, labels: Image) -> sn.Sample:
        """A sample from an image (h, w, 3) and its labels (h, w)."""

    @abc.abstractmethod
    def count(self, sample: sn.Sample) -> NDArray[np.int64]:
        """The number of pixels (C,) of each class."""

    @abc.abstractmethod
    def title(self, sample: sn.Sample) -> str:
        """What a user's image is called."""

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "every"

    def find(self) -> Path:
        return sn.data_folder(self.root, "camvid_small", [FILE]) / FILE

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The PNG and JPEG files of a folder that can be read, or a single one."""
        for file, image in read_images(path, read_coloured):
            sample = self.sample(image, np.full(image.shape[:2], VOID, np.uint8))
            yield replace(sample, origin=sn.Origin(file, 1, self.title(sample)))

    def load(self, topology: sn.Topology) -> sn.Splits:
        names = [f"{part}_{what}" for part in PARTS.values() for what in WHAT]
        arrays = read_arrays(self.find(), names)
        self.check_pixels(sum(array.size for name, array in arrays.items() if "labels" in name))
        splits = {
            split: [
                self.sample(*pair)
                for pair in zip(*(arrays[f"{part}_{what}"] for what in WHAT), strict=True)
            ]
            for split, part in PARTS.items()
        }
        return sn.Splits(splits)

    def check_pixels(self, pixels: int) -> None:
        """ValueError for a number of pixels whose samples don't fit in memory."""

    @cached_property
    def weights(self) -> Tensor:
        """What a training pixel of each class counts for in the loss."""
        counts = np.sum([self.count(sample) for sample in self.loaded["train"]], axis=0)
        return torch.from_numpy(counts.clip(min=1).astype(np.float32)) ** -self.balance

    def refuse_other_length(self, output: Tensor, batch: sn.Batch) -> None:
        if len(output) != len(batch.y):
            raise ValueError(f"{sn.tasks.called(self)} has one target per node: take readout=every")

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassJaccardIndex

        iou = MulticlassJaccardIndex(len(self.classes), ignore_index=sn.IGNORE)
        return {**super().metrics(), "mean_iou": iou}

    def figures(self, predicted: Tensor, true: Tensor) -> dict[str, float]:
        """Accuracy and mean IoU of predicted and true classes of pixels."""
        metrics = SceneTask.metrics(self)
        return {name: float(metric(predicted, true)) for name, metric in metrics.items()}
