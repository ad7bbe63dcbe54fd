"""Scene parsing: the tree of a street scene, whose superpixels are merged to segments."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.scenes.superpixels import SuperpixelTask, pixels_of
from structnet.plugins.scenes.task import Image
from structnet.plugins.tree.parsing.parses import Answer, Objective, Parses
from structnet.plugins.tree.parsing.scene import Scene
from structnet.plugins.tree.parsing.segments import (
    given_segments,
    segment_of,
    segments,
    ward_merges,
)


@sn.tasks.register("scene_parsing")
class SceneParsing(SuperpixelTask):
    """The tree of a street scene: superpixels are merged to segments, each with a class.

    The scenes and superpixels of task `superpixels`. In the given tree what is connected of
    superpixels with the same class is a segment, and segments are below the image (Socher et al.
    2011, "Parsing natural scenes and natural language with recursive neural networks"): a merge is
    right that does not join a part of a segment with others. Superpixels without a known pixel are
    segments of their own.

    A superpixel has the class of its segment: of the uppermost node above it that is not said to
    have several segments. "accuracy" and "mean_iou" are those of `superpixels`, over pixels, with
    these classes, and "alone accuracy" and "alone mean_iou" with those that superpixels have by
    themselves. "merges" is the share of merges that are right.

    Arguments:
        weight: what the cross entropy of classes counts in the loss, beside an image's violation,
            which is a sum over the nodes of its tree.
    """

    parts = ("tree",)

    def __init__(self, *, weight: float = 10.0, superpixels: int = 100, **options: Any):
        if not 0 <= weight < np.inf:
            raise ValueError(f"option 'weight' is at least 0 and finite, got {weight}")
        super().__init__(superpixels=superpixels, **options)
        self.weight = weight

    @property
    def num_outputs(self) -> int:
        # The first is that of nodes with several segments.
        return 1 + len(self.classes)

    def sample(self, image: Image, labels: Image) -> sn.Sample:
        sample = super().sample(image, labels)
        return replace(sample, parts=(given_segments(sample.structure.index, sample.y),))

    def commands(self, topology: sn.Topology) -> Iterator[Sequence[str]]:
        yield from super().commands(topology)
        yield "draw", "sample=0", "out=scene.png"

    def loss(self, output: Objective, batch: sn.Batch) -> Tensor:
        alone = super().loss(output.scores[: batch.num_nodes, 1:], batch)
        merged = slice(batch.num_nodes, None)
        nodes = self.cross_entropy(output.scores[merged], output.around[merged])
        return output.violations.mean() + self.weight * (alone + nodes)

    def num_targets(self, output: Objective, batch: sn.Batch) -> Tensor:
        """The number of images: of the means of the loss, the first is over them."""
        return torch.tensor(len(output.violations), device=output.violations.device)

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric

        alone = {f"alone {name}": metric for name, metric in super().metrics().items()}
        return {**super().metrics(), **alone, "merges": MeanMetric()}

    def measured(self, output: Parses, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        classes, is_leaf = output.scores[:, 1:].argmax(dim=1), output.children[:, 0] < 0
        leaves = torch.from_numpy(np.flatnonzero(is_leaf)).to(classes.device)
        segments = torch.from_numpy(segment_of(output)).to(classes.device)[leaves]
        found = {}
        for kind, nodes in (("", segments), ("alone ", leaves)):
            pixels = pixels_of(classes[nodes], batch.y)
            found |= {f"{kind}accuracy": pixels, f"{kind}mean_iou": pixels}
        right = torch.from_numpy(~output.wrong[~is_leaf]).double()
        return {**found, "merges": (right, torch.ones_like(right))}

    def answer(self, net: nn.Module, batch: sn.Batch) -> list[Answer]:
        """The classes of every scene, their mean probability over pixels, and its segments."""
        trees, bounds = net(batch), pairwise(batch.ptr.tolist())
        above, chance = segment_of(trees), trees.scores[:, 1:].softmax(dim=1).cpu().numpy()
        x, y = batch.x.cpu().numpy(), batch.y.cpu().numpy()
        found = []
        for (a, b), (first, stop) in zip(bounds, pairwise(trees.ptr.tolist()), strict=True):
            nodes, segment = np.unique(above[first : first + b - a], return_inverse=True)
            right = ~trees.wrong[first + b - a : stop]
            known, sure = y[a:b].any(axis=1), chance[nodes].max(1)
            scene = Scene(
                x[a:b], segment, chance[nodes].argmax(1), sure,
                np.where(known, y[a:b].argmax(1), sn.IGNORE),
                (int(right.sum()), len(right)) if known.any() else None,
            )  # fmt: skip
            found.append(Answer(scene.answer, float(scene.shares @ sure), scene))
        return found

    def drawing(self, sample: sn.Sample, scores: Tensor | None) -> Scene | None:
        """The segments that a scene was given."""
        segment, classes = segments(sample.structure.index, sample.y)
        return Scene(sample.x, segment, classes, None, classes[segment], None)

    def baselines(self) -> dict[str, dict[str, float]]:
        """Those of `superpixels`, and merges of superpixels with similar features.

        These are the clustering of Ward (1963) of superpixels that touch.
        """
        samples: Any = self.loaded["test"]
        return {**super().baselines(), "ward": {"merges": ward_merges(samples)}}
