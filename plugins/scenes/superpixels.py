"""What tasks on the superpixels of street scenes share.

n: superpixels; C: classes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import structnet as sn
from structnet.plugins.scenes.regions import (
    FEATURES,
    adjacency,
    count_labels,
    describe,
    superpixels,
)
from structnet.plugins.scenes.task import Image, SceneTask

# The most superpixels that a model is fitted to.
FITTED = 40_000


class SuperpixelTask(SceneTask):
    """Street scenes, cut into superpixels by SLIC (Achanta et al. 2012), scored on their pixels.

    A node is a superpixel with its colours, position, extent and size as features; an edge leads in
    both directions between two that touch. A node's target is the number of its pixels of each
    class. In the loss and the metrics every pixel has the class of its superpixel.

    A node's score, which is the visiting order of topology `ordered_graph` with order=score, is the
    probability of the most likely class under logistic regression on its features: the confidence
    of Liang et al. (2016), section 3.3.

    Arguments:
        superpixels: the approximate number of regions per image.
        compactness: of the regions; larger values make them squarer.
    """

    structures = ("undirected",)
    input_size = FEATURES
    bounds = ("upper bound",)

    def __init__(self, *, superpixels: int = 300, compactness: float = 10.0, **options: Any):
        if superpixels < 1:
            raise ValueError(f"option 'superpixels' is at least 1, got {superpixels}")
        if compactness <= 0:
            raise ValueError(f"option 'compactness' is above 0, got {compactness}")
        super().__init__(**options)
        self.superpixels, self.compactness = superpixels, compactness

    def title(self, sample: sn.Sample) -> str:
        return f"{sample.num_nodes} superpixels"

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        samples = super().read(path, topology)
        if getattr(topology, "order", None) != "score":
            return samples
        # Runs don't save the regression, so it may have to be fitted again.
        splits = self.loaded if hasattr(self, "loaded") else self.load(topology)
        return (_scored(sample, splits.source) for sample in samples)

    def load(self, topology: sn.Topology) -> sn.Splits:
        splits = super().load(topology)
        model = _fit_logistic(*_together(splits["train"]))
        scored = {split: [_scored(one, model) for one in some] for split, some in splits.items()}
        return sn.Splits(scored, source=model)

    def sample(self, image: Image, labels: Image) -> sn.Sample:
        regions = superpixels(image, self.superpixels, self.compactness)
        x = describe(image, regions)
        counts = count_labels(labels, regions, len(self.classes))
        return sn.Sample(sn.Edges(adjacency(regions), len(x)), x, counts)

    def count(self, sample: sn.Sample) -> NDArray[np.int64]:
        return sample.y.sum(0)

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        self.refuse_other_length(output, batch)
        pixels = batch.y * self.weights.to(output)
        return -(pixels * output.log_softmax(dim=1)).sum() / pixels.sum().clamp(min=1e-9)

    def num_targets(self, output: Tensor, batch: sn.Batch) -> Tensor:
        return (batch.y * self.weights.to(output)).sum()

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        self.refuse_other_length(output, batch)
        return dict.fromkeys(("accuracy", "mean_iou"), pixels_of(output.argmax(dim=1), batch.y))

    def baselines(self) -> dict[str, dict[str, float]]:
        """Superpixels classified one by one, and the best result that they allow.

        "logistic" is the regression that gives the scores, "boosted" scikit-learn's histogram
        gradient boosting. "upper bound" is the true class of most pixels of a superpixel, which no
        model of these superpixels can surpass.
        """
        from structnet.plugins.baselines.features import boosted_classifier

        (x, y), (unseen, truth) = (_together(self.loaded[split]) for split in ("train", "test"))
        known = _some_known(y)
        predicted = {
            "logistic": self.loaded.source.predict(unseen),
            "boosted": boosted_classifier().fit(x[known], y[known].argmax(1)).predict(unseen),
            "upper bound": truth.argmax(1),
        }
        counts = torch.from_numpy(truth)
        return {
            name: self.figures(*pixels_of(torch.from_numpy(classes), counts))
            for name, classes in predicted.items()
        }


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


def pixels_of(classes: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Predicted and true class of every known pixel.

    `classes` (n,) are the superpixels' predicted classes, `counts` (n, C) their pixels per class.
    """
    true = torch.arange(counts.shape[1], device=counts.device).expand_as(counts)
    predicted = classes[:, None].expand_as(counts)
    flat = counts.flatten()
    return predicted.flatten().repeat_interleave(flat), true.flatten().repeat_interleave(flat)
