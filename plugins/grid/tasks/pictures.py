"""Tasks on images: predict their pixels one by one, or classify them.

h, w: height and width; C: channels; n: pixels, row by row; L: levels of a channel.
"""

import abc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import structnet as sn
from structnet.plugins.files.images import read_image, read_images, resized
from structnet.plugins.files.splits import SPLITS
from structnet.plugins.grid.likelihood import create_likelihood, scaled
from structnet.plugins.grid.pixel.condition import Classes, Small
from structnet.plugins.grid.pixel.generation import blank, completions, draw, generate, sheet
from structnet.plugins.grid.pixel.net import PixelNet
from structnet.plugins.grid.tasks.reducing import patched, thin

Image = NDArray[np.uint8]


class Split(NamedTuple):
    """Images (h, w, C) with values from 0 to L - 1, and their classes."""

    images: Sequence[Image] | NDArray[np.uint8]
    labels: Sequence[int] | NDArray[np.int64]


class Pictures(Sequence[sn.Sample]):
    """Samples that are made when they are indexed; until then images take one byte per channel."""

    def __init__(self, split: Split, make: Callable[[Image, int], sn.Sample]):
        self.split, self.make = split, make

    def __len__(self) -> int:
        return len(self.split.images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.make(self.split.images[index], int(self.split.labels[index]))

    def __iter__(self) -> Iterator[sn.Sample]:
        return (self[index] for index in range(len(self)))


class PictureTask(sn.Task):
    """Images whose pixels are predicted one by one, or whose class is predicted.

    With goal=pixels the net gives the distribution of every pixel given the pixels before it in
    raster order, channel by channel. The loss is in nats per dimension (a channel of a pixel). The
    metrics are "nats_per_image" and "bits_per_dim", bits per dimension, both upper bounds on the
    code length of an image. With goal=class the net predicts the class from all pixels, measured by
    "accuracy".

    Arguments:
        goal: what is predicted: pixels, each from those before it, or class, from the whole image.
        likelihood: the distribution of a pixel; null is bernoulli for binary images, else softmax.
        mixtures: the number of mixture components of likelihood=logistics.
        condition: what the net is conditioned on: the image's class, or a small version of the
            image; null is nothing.
        factor: by which a small image is reduced in height and width.
        size: the height and width that images are reduced to by keeping evenly spaced pixels; null
            keeps all.
        averaged: whether `size` averages pixels instead, of images of any height and width.
        patch: with goal=class, the side of the squares of pixels that are a node each, as in vision
            transformers (Dosovitskiy et al. 2021); null is a node for every pixel.
        train_size: the number of training images, the first ones; null is all.
    """

    structures = ("grid",)
    monitor = "nats_per_image"
    loss_unit = "nats per channel of a pixel"
    mode = "min"
    # The `monitor` of goal=pixels.
    measure: ClassVar[str] = "nats_per_image"

    def __init__(
        self,
        channels: int,
        levels: int,
        *,
        goal: Literal["pixels", "class"] = "pixels",
        likelihood: Literal["bernoulli", "softmax", "logistics"] | None = None,
        mixtures: int = 10,
        condition: Literal["class", "small"] | None = None,
        factor: int = 2,
        size: int | None = None,
        averaged: bool = False,
        patch: int | None = None,
        train_size: int | None = None,
    ):
        if goal == "class" and (condition or likelihood):
            raise ValueError(
                "options 'condition' and 'likelihood' are for task.goal=pixels; leave them out "
                "for task.goal=class"
            )
        if goal == "pixels" and patch is not None:
            raise ValueError(
                "option 'patch' is for task.goal=class: pixels are predicted one by one; leave "
                "it out"
            )
        given = {"factor": factor, "size": size, "patch": patch, "train_size": train_size}
        for option, value in given.items():
            bound = 2 if option == "factor" else 1
            if value is not None and value < bound:
                raise ValueError(f"option {option!r} is at least {bound}, got {value}")
        if averaged and size is None:
            raise ValueError("option 'averaged' is of task.size: set task.size=N as well")
        self.averaged = averaged
        self.channels, self.levels, self.patch = channels, levels, patch
        self.input_size = channels * (patch or 1) ** 2
        self.goal, self.given, self.factor = goal, condition, factor
        self.size, self.train_size = size, train_size
        if goal == "pixels":
            self.likelihood = create_likelihood(likelihood, channels, levels, mixtures)
            self.sees, self.monitor = self.likelihood.sees, self.measure
        else:
            self.monitor, self.mode = "accuracy", "max"
            self.generate = None  # pyright: ignore[reportAttributeAccessIssue]

    @abc.abstractmethod
    def read_splits(self) -> dict[str, Split]:
        """The images of train, validation and test; errors are those of `load`."""

    @property
    def condition(self) -> Classes | Small | None:  # pyright: ignore[reportIncompatibleVariableOverride]
        if self.given == "class":
            return Classes(len(self.classes))
        return Small(self.channels, self.factor) if self.given == "small" else None

    @property
    def num_outputs(self) -> int:
        return len(self.classes) if self.goal == "class" else self.likelihood.num_outputs

    def scores_nodes(self, topology: sn.Topology) -> bool:
        return self.goal == "pixels"

    def readout(self, topology: sn.Topology) -> str:
        return "mean" if self.goal == "class" else "every"

    def encode(self, values: Tensor) -> Tensor:
        """A net's input for values (n, C), scaled to -1 to 1."""
        return scaled(values.float(), self.levels)

    def picture(self, values: Tensor) -> Image:
        """Values (h, w, C) as an image of bytes, for display."""
        return (values.float() * (255 / (self.levels - 1))).round().to(torch.uint8).cpu().numpy()

    def load(self, topology: sn.Topology) -> sn.Splits:
        splits = self.read_splits()
        if self.train_size is not None:
            images, labels = splits["train"]
            splits["train"] = Split(images[: self.train_size], labels[: self.train_size])
        samples = {name: Pictures(splits[name], self._sample) for name in SPLITS}
        return sn.Splits(samples, source=splits)

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The PNG and JPEG files of a folder that can be read, or a single one.

        ValueError for goal=pixels.
        """
        if self.goal != "class":
            raise ValueError(
                f"{sn.tasks.called(self)} with task.goal=pixels draws images and predicts nothing "
                f"about {path}: take structnet generate run=DIR, or train with task.goal=class"
            )
        for _, sample in read_images(path, self._read_file):
            yield sample

    def _read_file(self, file: Path) -> sn.Sample:
        """The sample of an image file; ValueError, naming it, for one that options do not fit."""
        image = read_image(file, self.channels)
        shown = (image * ((self.levels - 1) / 255)).round().astype(np.uint8)
        height, width = image.shape[:2]
        try:
            sample = self._sample(shown, sn.IGNORE)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return replace(sample, origin=sn.Origin(file, 1, f"{height} x {width} pixels"))

    @property
    def reads_files(self) -> bool:
        return self.goal == "class"

    def generate(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        net: nn.Module,
        topology: sn.Topology,
        *,
        n: int = 64,
        temperature: float = 1.0,
        seed: int = 0,
        class_: str | int | None = None,
        complete: int | None = None,
        small: str | None = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Any:
        """A sheet of new images, or of test images whose lower halves are drawn.

        Arguments:
            n: the number of new images.
            temperature: log-probabilities are divided by it.
            seed: the seed of the draws.
            class_: the class of all images, for a net conditioned on classes; by default each class
                in turn.
            complete: the number of test images to complete, instead of new images.
            small: a run whose small images are enlarged, for a net conditioned on small images; by
                default those of test images.
            height: the height of new images; by default that of the first test image.
            width: the width of new images; by default that of the first test image.
        """
        shape = (height, width)
        return generate(self, net, topology, n, temperature, seed, class_, complete, small, shape)

    def illustrate(
        self, net: nn.Module, topology: sn.Topology, samples: Sequence[sn.Sample]
    ) -> dict[str, Any]:
        """New images and completed test images, by the same seed every time to be comparable."""
        if not isinstance(net, PixelNet):
            return {}
        some = [samples[place % len(samples)] for place in range(64)]
        empty = [blank(one.structure, self.channels, one.condition) for one in some]
        drawn = draw(self, net, topology, empty)
        return {
            "samples": sheet(map(self.picture, drawn), 8),
            "completions": completions(self, net, topology, samples[:8]),
        }

    def loss(self, output: Tensor, batch: sn.Batch) -> Tensor:
        if self.goal == "class":
            return super().loss(output, batch)
        if len(output) != len(batch.y):
            raise ValueError(
                f"{sn.tasks.called(self)} has one target per pixel: take readout=every"
            )
        return self.likelihood.nats(output, batch.y).mean() / self.channels

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric

        if self.goal == "class":
            return super().metrics()
        return {name: MeanMetric() for name in ("nats_per_image", "bits_per_dim")}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Values and their weights in the mean; for goal=class, scores and labels."""
        if self.goal == "class":
            return super().measured(output, batch)
        pixels = self.likelihood.nats(output, batch.y)
        nats = pixels.new_zeros(batch.num_samples).index_add(0, batch.sample_of_node(), pixels)
        dimensions = batch.ptr.diff() * self.channels
        return {
            "nats_per_image": (nats, torch.ones_like(nats)),
            "bits_per_dim": (nats / (dimensions * math.log(2)), dimensions),
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        # Imported here: scikit-learn takes a second, and only training needs it.
        from structnet.plugins.grid.baselines import fit_classifiers, fit_densities

        train, test = (self.loaded.source[name] for name in ("train", "test"))
        images, unseen = ([self._thinned(one) for one in split.images] for split in (train, test))
        if self.goal == "class":
            return fit_classifiers((images, train.labels), (unseen, test.labels))
        return fit_densities(images, unseen, self.levels)

    def _thinned(self, image: Image) -> Image:
        if self.size is None:
            return image
        if self.averaged:
            return resized(image, self.size, self.size)
        return thin(image, "size", self.size)

    def _sample(self, image: Image, label: int) -> sn.Sample:
        image = self._thinned(image)
        x = self.encode(torch.from_numpy(image)).numpy()
        pixels = image.reshape(-1, self.channels).astype(np.int64)
        condition = None
        if self.given == "class":
            condition = label
        elif self.given == "small":
            condition = thin(x, "factor", self.factor)
        y = pixels if self.goal == "pixels" else label
        if self.patch is not None:
            x = patched(x, self.patch)
        height, width, _ = x.shape
        return sn.Sample((height, width), x.reshape(height * width, -1), y, condition=condition)
