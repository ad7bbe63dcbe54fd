"""Tasks on images: generate them, pixel by pixel, or tell their class.

h, w: height and width; C: channels; n: pixels, row by row; L: levels of a channel.
"""

import abc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from structnet.plugins.files.images import image_files, read_image
from structnet.plugins.grid.pixel.condition import Classes, Small
from structnet.plugins.grid.pixel.generation import blank, completions, draw, generate, sheet
from structnet.plugins.grid.pixel.likelihood import create_likelihood, scaled
from structnet.plugins.grid.pixel.net import PixelNet
from torch import Tensor, nn

import structnet as sn

Image = NDArray[np.uint8]
SPLITS = ("train", "validation", "test")
GOALS = ("pixels", "class")
CONDITIONS = ("class", "small")


class Split(NamedTuple):
    """Images (h, w, C) of whole numbers below L, and their classes."""

    images: Sequence[Image]
    labels: Sequence[int]


class Pictures(Sequence[sn.Sample]):
    """Samples that are made as they are asked for: images take a byte a channel until then."""

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
    """Images whose pixels are predicted one after the other, or whose class is.

    `goal=pixels`: the distribution of every pixel given those before it, in raster order, its
    channels in theirs. The loss is in nats per dimension (a channel of a pixel), the metrics are
    "nats_per_image", and "bits_per_dim", bits per dimension; both are upper bounds on how few an
    image can be coded in. `likelihood` is bernoulli, softmax or logistics with `mixtures` of them;
    null takes bernoulli for binary images, softmax for others. `condition` gives the net the
    image's class, or, small, the image's every `factor`-th pixel each way. `goal=class`: the
    image's class from all of its pixels, "accuracy".

    `size` keeps so many rows and columns of every image, evenly spaced: what a net that is
    conditioned on small images is given. `train_size` takes the first so many images to train on.

    Arguments:
        goal: what is predicted: pixels, each from those before, or class, from all.
        likelihood: of a pixel: bernoulli, softmax or logistics; null is bernoulli for binary
            images, else softmax.
        mixtures: the logistics that are mixed.
        condition: what the net is given: class, or small, the image reduced; null is nothing.
        factor: by which small images are smaller each way.
        size: the rows and columns that are kept of every image; null is all.
        train_size: the images to train on; null is all.
    """

    structures = ("grid",)
    monitor = "nats_per_image"
    loss_unit = "nats per channel of a pixel"
    mode = "min"
    # What a run of the goal `pixels` is judged by.
    measure: ClassVar[str] = "nats_per_image"

    def __init__(
        self,
        channels: int,
        levels: int,
        *,
        goal: str = "pixels",
        likelihood: str | None = None,
        mixtures: int = 10,
        condition: str | None = None,
        factor: int = 2,
        size: int | None = None,
        train_size: int | None = None,
    ):
        if goal not in GOALS:
            raise ValueError(f"no goal {goal!r} among {list(GOALS)}")
        if condition not in (None, *CONDITIONS):
            raise ValueError(f"no condition {condition!r} among {[None, *CONDITIONS]}")
        if goal == "class" and (condition or likelihood):
            raise ValueError(
                "options 'condition' and 'likelihood' are for task.goal=pixels; leave them out "
                "where the class is told"
            )
        least = {"factor": (factor, 2), "size": (size, 1), "train_size": (train_size, 1)}
        for option, (value, bound) in least.items():
            if value is not None and value < bound:
                raise ValueError(f"option {option!r} is at least {bound}, got {value}")
        self.channels, self.levels, self.input_size = channels, levels, channels
        self.goal, self.given, self.factor = goal, condition, factor
        self.size, self.train_size = size, train_size
        if goal == "pixels":
            self.likelihood = create_likelihood(likelihood, channels, levels, mixtures)
            self.sees, self.monitor = self.likelihood.sees, self.measure
        else:
            self.monitor, self.mode = "accuracy", "max"
            self.generate = None

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
        """A net's input for values (n, C): from -1 to 1."""
        return scaled(values.float(), self.levels)

    def picture(self, values: Tensor) -> Image:
        """What a person sees of values (h, w, C): from 0 to 255."""
        return (values.float() * (255 / (self.levels - 1))).round().to(torch.uint8).cpu().numpy()

    def load(self, topology: sn.Topology) -> dict[str, Sequence[sn.Sample]]:
        self._splits = self.read_splits()
        if self.train_size is not None:
            images, labels = self._splits["train"]
            self._splits["train"] = Split(images[: self.train_size], labels[: self.train_size])
        return {name: Pictures(self._splits[name], self._sample) for name in SPLITS}

    def read(self, path: Path, topology: sn.Topology) -> Iterator[sn.Sample]:
        """The PNG and JPEG files of a folder, or one of them; ValueError for another goal."""
        if self.goal != "class":
            raise ValueError(
                f"{type(self).__name__} with task.goal=pixels draws images and tells nothing of "
                f"{path}: take structnet generate run=DIR, or train with task.goal=class"
            )
        for file in [path] if path.is_file() else image_files(path):
            image = read_image(file, self.channels)
            shown = (image * ((self.levels - 1) / 255)).round().astype(np.uint8)
            height, width = image.shape[:2]
            origin = sn.Origin(file, 1, f"{height} x {width} pixels")
            yield replace(self._sample(shown, sn.IGNORE), origin=origin)

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
        """A sheet of `n` new images, or of `complete` test images whose lower halves are drawn.

        A class for all of them, or images of the run `small`, is what the net is given where it was
        trained with a condition; else each of the classes in turn, or the test images'. Images are
        of the size of the first test image.
        """
        shape = (height, width)
        return generate(self, net, topology, n, temperature, seed, class_, complete, small, shape)

    def illustrate(
        self, net: nn.Module, topology: sn.Topology, samples: Sequence[sn.Sample]
    ) -> dict[str, Any]:
        """New images and completions; the same seed each time, so that sheets can be compared."""
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
            raise ValueError(f"{type(self).__name__} has a target a pixel: take readout=every")
        return self.likelihood.nats(output, batch.y).mean() / self.channels

    def metrics(self) -> dict[str, Any]:
        from torchmetrics import MeanMetric

        if self.goal == "class":
            return super().metrics()
        return {name: MeanMetric() for name in ("nats_per_image", "bits_per_dim")}

    def measured(self, output: Tensor, batch: sn.Batch) -> dict[str, tuple[Tensor, Tensor]]:
        """Values, and how much each of them counts; of classes, scores and labels."""
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

        shown = {
            name: Split([self._thinned(image) for image in split.images], split.labels)
            for name, split in self._splits.items()
            if name != "validation"
        }
        if self.goal == "class":
            return fit_classifiers(shown["train"], shown["test"])
        return fit_densities(shown["train"].images, shown["test"].images, self.levels)

    def _thinned(self, image: Image) -> Image:
        return image if self.size is None else thin(image, "size", self.size)

    def _sample(self, image: Image, label: int) -> sn.Sample:
        image = self._thinned(image)
        height, width, channels = image.shape
        x = self.encode(torch.from_numpy(image)).numpy()
        pixels = image.reshape(-1, channels).astype(np.int64)
        condition = None
        if self.given == "class":
            condition = label
        elif self.given == "small":
            condition = thin(x, "factor", self.factor)
        y = pixels if self.goal == "pixels" else label
        return sn.Sample((height, width), x.reshape(-1, channels), y, condition=condition)


def thin(image: NDArray, option: str, value: int) -> NDArray:
    """Rows and columns of an image, evenly spaced from the first on.

    Option "size" keeps `value` of each, "factor" one of `value`. ValueError if it does not divide
    them.
    """
    height, width = image.shape[:2]
    if height % value or width % value:
        raise ValueError(
            f"option {option!r} divides height and width of every image, {value} does not divide "
            f"{height} x {width}"
        )
    down, right = (height // value, width // value) if option == "size" else (value, value)
    return image[::down, ::right]
