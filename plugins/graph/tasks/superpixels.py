"""Segmentation by superpixels: the class of every region of a street scene."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from structnet.plugins.files.images import image_files, read_image
from structnet.plugins.files.street_scenes import CLASSES, FILE, PARTS, read_arrays
from structnet.plugins.graph.regions import (
    FEATURES,
    adjacency,
    count_labels,
    describe,
    superpixels,
)
from torch import Tensor

import structnet as sn

# A baseline is fitted to so many superpixels.
FITTED = 40_000


@sn.tasks.register("superpixels")
class Superpixels(sn.Task):
    """The class of every superpixel of street scenes, scored on their pixels.

    The scenes, classes, splits and file of task `segmentation`, cut by SLIC (Achanta et al. 2012)
    into about `superpixels` regions an image of `compactness`. A node is a superpixel with its
    colours, place, extent and size, an edge leads both ways between two that touch. A node's target
    is the share of each class in its known pixels; one counts for as many as it has, and a class
    for its share of the training pixels to the power -`balance`. "accuracy" and "mean_iou" are
    those of `segmentation`: every pixel has the class of its superpixel, pixels of no class are
    left out.

    A node's score, by which topology `ordered_graph` with order=score visits them, is the
    probability of the likeliest class, told by logistic regression on its features: the confidence
    of Liang et al. (2016), section 3.3.

    Arguments:
        root: the folder of camvid_80x60.npz; null is camvid_small/ of the folder that
            STRUCTNET_DATA names.
        superpixels: about how many regions an image is cut into.
        compactness: of the regions: the larger, the squarer.
        balance: the power by which rare classes count for more: 0 all pixels alike, 1 all classes
            alike.
    """

    structures = ("undirected",)
    classes = CLASSES
    monitor = "mean_iou"
    input_size = FEATURES

    def __init__(
        self,
        *,
        root: str | None = None,
        superpixels: int = 300,
        compactness: float = 10.0,
        balance: float = 0.0,
    ):
        if superpixels < 1:
            raise ValueError(f"option 'superpixels' is at least 1, got {superpixels}")
        if compactness <= 0:
            raise ValueError(f"option 'compactness' is above 0, got {compactness}")
        if balance < 0:
            raise ValueError(f"option 'balance' is at least 0, got {balance}")
        self.root, self.superpixels, self.compactness = root, superpixels, compactness
        self.balance = balance

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return True

    def readout(self, topology: sn.Topology) -> str:
        return "every"

    def find(self) -> Path:
        return sn.data_folder(self.root, "camvid_small", [FILE]) / FILE

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The PNG and JPEG files of a folder, or one of them, in colours."""
        for file in [path] if path.is_file() else image_files(path):
            image = read_image(file, 3)
            sample = self._sample(image, np.full(image.shape[:2], len(self.classes), np.uint8))
            if getattr(topology, "order", None) == "score":
                if not hasattr(self, "_logistic"):
                    # A run does not save the regression that the scores come from.
                    self.load(topology)
                sample = self._scored(sample)
            origin = sn.Origin(file, 1, f"{sample.num_nodes} superpixels")
            yield replace(sample, origin=origin)

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        path = self.find()
        names = [f"{part}_{what}" for part in PARTS.values() for what in ("images", "labels")]
        arrays = read_arrays(path, names)
        splits = {
            split: [
                self._sample(*pair)
                for pair in zip(arrays[f"{part}_images"], arrays[f"{part}_labels"], strict=True)
            ]
            for split, part in PARTS.items()
        }
        x, y = _together(splits["train"])
        self._weights = torch.from_numpy(y.sum(0).clip(min=1)).float() ** -self.balance
        self._fit_logistic(x, y)
        self._splits = {split: list(map(self._scored, some)) for split, some in splits.items()}
        return dict(self._splits)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        self._refuse_other_length(output, batch)
        pixels = batch.y * self._weights.to(output)
        return -(pixels * output.log_softmax(dim=1)).sum() / pixels.sum().clamp(min=1e-9)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassJaccardIndex

        return {**super().metrics(), "mean_iou": MulticlassJaccardIndex(len(self.classes))}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self._refuse_other_length(output, batch)
        return dict.fromkeys(("accuracy", "mean_iou"), _pixels(output.argmax(dim=1), batch.y))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Superpixels told one by one, and the most that they allow.

        "logistic" is the regression that gives the confidences, "boosted" scikit-learn's histogram
        gradient boosting, "majority" the class that most pixels of a superpixel truly have: no
        model of these superpixels has more pixels right.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        (x, y), (unseen, truth) = (_together(self._splits[split]) for split in ("train", "test"))
        model = HistGradientBoostingClassifier(max_iter=40, early_stopping=False, random_state=0)
        known = np.random.default_rng(0).permutation(np.flatnonzero(y.any(1)))[:FITTED]
        model.fit(x[known], y[known].argmax(1))
        predicted = {
            "logistic": self._logistic.predict(unseen),
            "boosted": model.predict(unseen),
            "majority": truth.argmax(1),
        }
        counts = torch.from_numpy(truth)
        return {
            name: {
                metric: float(made(*_pixels(torch.from_numpy(classes), counts)))
                for metric, made in self.metrics().items()
            }
            for name, classes in predicted.items()
        }

    def _sample(self, image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> sn.Sample:
        regions = superpixels(image, self.superpixels, self.compactness)
        x = describe(image, regions)
        counts = count_labels(labels, regions, len(self.classes))
        return sn.Sample(sn.Edges(adjacency(regions), len(x)), x, counts)

    def _fit_logistic(self, x: NDArray, y: NDArray[np.int64]) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        known = np.random.default_rng(0).permutation(np.flatnonzero(y.any(1)))[:FITTED]
        found = len(np.unique(y[known].argmax(1)))
        if found < 2:
            raise ValueError(
                f"the training images have superpixels of {found} classes, expected 2 or more; "
                "look at their labels, or set task.superpixels to more"
            )
        self._logistic = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
        self._logistic.fit(x[known], y[known].argmax(1))

    def _scored(self, sample: sn.Sample) -> sn.Sample:
        score = self._logistic.predict_proba(sample.x).max(axis=1)
        return replace(sample, structure=sample.structure._replace(score=score))

    def _refuse_other_length(self, output: Tensor, batch: sn.Batch) -> None:
        if len(output) != len(batch.y):
            raise ValueError("task 'superpixels' has a target a superpixel: take readout=every")


def _together(samples: Sequence[sn.Sample]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The features and the pixels of each class of all superpixels."""
    return np.concatenate([one.x for one in samples]), np.concatenate([one.y for one in samples])


def _pixels(classes: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true class of every known pixel.

    From a class (n,) a superpixel, and how many pixels (n, classes) it has of each.
    """
    true = torch.arange(counts.shape[1], device=counts.device).expand_as(counts)
    predicted = classes[:, None].expand_as(counts)
    flat = counts.flatten()
    return predicted.flatten().repeat_interleave(flat), true.flatten().repeat_interleave(flat)
