"""Segmentation by superpixels: the class of every region of a street scene."""

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
from structnet.plugins.files.street_scenes import CLASSES, FILE, PARTS, WHAT, read_arrays
from structnet.plugins.graph.regions import (
    FEATURES,
    adjacency,
    count_labels,
    describe,
    superpixels,
)

# The most superpixels that a model is fitted to.
FITTED = 40_000


@sn.tasks.register("superpixels")
class Superpixels(sn.Task):
    """The class of every superpixel of street scenes, scored on their pixels.

    The scenes, classes, splits and file of task `segmentation`, cut into regions by SLIC (Achanta
    et al. 2012). A node is a superpixel with its colours, position, extent and size as features; an
    edge leads in both directions between two that touch. A node's target is the number of its
    pixels of each class: in the loss every known pixel counts, weighted by its class's share of the
    training pixels to the power -`balance`. "accuracy" and "mean_iou" are those of `segmentation`:
    every pixel has the class of its superpixel, and pixels without a class are left out.

    A node's score, which is the visiting order of topology `ordered_graph` with order=score, is the
    probability of the most likely class under logistic regression on its features: the confidence
    of Liang et al. (2016), section 3.3.

    Arguments:
        root: the folder with camvid_80x60.npz; null is camvid_small/ of the folder that
            STRUCTNET_DATA names.
        superpixels: the approximate number of regions per image.
        compactness: of the regions; larger values make them squarer.
        balance: how much rare classes are emphasised: 0 weights all pixels equally, 1 all classes.
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
        """The colour PNG and JPEG files of a folder, or a single one."""
        for file in [path] if path.is_file() else image_files(path):
            image = read_image(file, 3)
            sample = self._sample(image, np.full(image.shape[:2], len(self.classes), np.uint8))
            if getattr(topology, "order", None) == "score":
                sample = _scored(sample, self._logistic)
            origin = sn.Origin(file, 1, f"{sample.num_nodes} superpixels")
            yield replace(sample, origin=origin)

    def load(self, topology: sn.Topology) -> sn.Splits:
        splits = self._read_splits()
        model = _fit_logistic(*_together(splits["train"]))
        scored = {split: [_scored(one, model) for one in some] for split, some in splits.items()}
        return sn.Splits(scored, source=model)

    def _read_splits(self) -> dict[str, list[sn.Sample]]:
        names = [f"{part}_{what}" for part in PARTS.values() for what in WHAT]
        arrays = read_arrays(self.find(), names)
        return {
            split: [
                self._sample(*pair)
                for pair in zip(*(arrays[f"{part}_{what}"] for what in WHAT), strict=True)
            ]
            for split, part in PARTS.items()
        }

    @cached_property
    def _logistic(self) -> Any:
        """The regression that gives the scores; runs don't save it, so it may be fitted again."""
        if hasattr(self, "loaded"):
            return self.loaded.source
        return _fit_logistic(*_together(self._read_splits()["train"]))

    @cached_property
    def weights(self) -> Tensor:
        """What a training pixel of each class counts for in the loss."""
        _, pixels = _together(self.loaded["train"])
        return torch.from_numpy(pixels.sum(0).clip(min=1)).float() ** -self.balance

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        self._refuse_other_length(output, batch)
        pixels = batch.y * self.weights.to(output)
        return -(pixels * output.log_softmax(dim=1)).sum() / pixels.sum().clamp(min=1e-9)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics.classification import MulticlassJaccardIndex

        return {**super().metrics(), "mean_iou": MulticlassJaccardIndex(len(self.classes))}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self._refuse_other_length(output, batch)
        return dict.fromkeys(("accuracy", "mean_iou"), _pixels(output.argmax(dim=1), batch.y))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Superpixels classified one by one, and the best result that they allow.

        "logistic" is the regression that gives the scores, "boosted" scikit-learn's histogram
        gradient boosting. "majority" is the true class of most pixels of a superpixel, an upper
        bound for the accuracy of any model of these superpixels.
        """
        from structnet.plugins.baselines.features import boosted_classifier

        (x, y), (unseen, truth) = (_together(self.loaded[split]) for split in ("train", "test"))
        model = boosted_classifier()
        known = _some_known(y)
        model.fit(x[known], y[known].argmax(1))
        predicted = {
            "logistic": self.loaded.source.predict(unseen),
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

    def _refuse_other_length(self, output: Tensor, batch: sn.Batch) -> None:
        if len(output) != len(batch.y):
            raise ValueError("task 'superpixels' has one target per superpixel: take readout=every")


def _fit_logistic(x: NDArray, y: NDArray[np.int64]) -> Any:
    """Logistic regression on superpixels' features (n, FEATURES), given pixels per class (n, C)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    known = _some_known(y)
    found = len(np.unique(y[known].argmax(1)))
    if found < 2:
        raise ValueError(
            f"the training images have superpixels of {found} classes, expected 2 or more; "
            "look at their labels, or set task.superpixels to more"
        )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    return model.fit(x[known], y[known].argmax(1))


def _some_known(y: NDArray[np.int64]) -> NDArray[np.int64]:
    """The superpixels with known pixels that models are fitted to."""
    return np.random.default_rng(0).permutation(np.flatnonzero(y.any(1)))[:FITTED]


def _scored(sample: sn.Sample, model: Any) -> sn.Sample:
    score = model.predict_proba(sample.x).max(axis=1)
    return replace(sample, structure=sample.structure._replace(score=score))


def _together(samples: Sequence[sn.Sample]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The features (n, FEATURES) and the pixels per class (n, C) of all superpixels."""
    return np.concatenate([one.x for one in samples]), np.concatenate([one.y for one in samples])


def _pixels(classes: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true class of every known pixel.

    `classes` (n,) are the superpixels' predicted classes, `counts` (n, C) their pixels per class.
    """
    true = torch.arange(counts.shape[1], device=counts.device).expand_as(counts)
    predicted = classes[:, None].expand_as(counts)
    flat = counts.flatten()
    return predicted.flatten().repeat_interleave(flat), true.flatten().repeat_interleave(flat)
