"""Segmentation: the class of every pixel of a street scene.

h, w: height and width; n: pixels, row by row; V: pixels in a window.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.scenes.files import VOID
from structnet.plugins.scenes.task import Image, SceneTask


@sn.tasks.register("segmentation")
class Segmentation(SceneTask):
    """The class of every pixel of street scenes of 60 x 80 pixels, eleven classes.

    CamVid (Brostow et al. 2009) in the split of Badrinarayanan et al. (2017). The features of a
    pixel are the `window` x `window` pixels around it and its row and column, all from -1 to 1.

    Arguments:
        window: the side of the square of pixels in a pixel's features, an odd number.
    """

    structures = ("grid",)

    def __init__(self, *, window: int = 1, **options: Any):
        if window < 1 or window % 2 == 0:
            raise ValueError(f"option 'window' is an odd number from 1 on, got {window}")
        super().__init__(**options)
        self.window = window
        self.input_size = 3 * window * window + 2

    def title(self, sample: sn.Sample) -> str:
        height, width = sample.structure
        return f"{height} x {width} pixels"

    def node_names(self, sample: sn.Sample) -> Sequence[str]:
        """The row and column of every pixel."""
        height, width = sample.structure
        return [f"({row}, {column})" for row in range(height) for column in range(width)]

    def check_pixels(self, pixels: int) -> None:
        if (size := 4 * pixels * (3 * self.window**2 + 2)) > sn.total_memory():
            raise ValueError(
                f"the windows of {pixels:,} pixels take {sn.as_bytes(size)}, more than this "
                f"machine's memory: set task.window to less than {self.window}"
            )

    def sample(self, image: Image, labels: Image) -> sn.Sample:
        around = windows(image.astype(np.float32) / 127.5 - 1, self.window)
        x = np.concatenate([around, places(labels.shape)], axis=1)
        y = np.where(labels == VOID, sn.IGNORE, labels.astype(np.int64))
        return sn.Sample(labels.shape, x, y.ravel())

    def count(self, sample: sn.Sample) -> NDArray[np.int64]:
        return np.bincount(sample.y[sample.y != sn.IGNORE], minlength=len(self.classes))

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        self.refuse_other_length(output, batch)
        return self.cross_entropy(output, batch.y, self.weights.to(output))

    def num_targets(self, output: Tensor, batch: sn.Batch) -> Tensor:
        known = batch.y != sn.IGNORE
        return self.weights.to(output)[batch.y[known]].sum()

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
        predicted = fit_pixels(train, test, sn.IGNORE)
        return {name: self.figures(classes, y) for name, classes in predicted.items()}


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
